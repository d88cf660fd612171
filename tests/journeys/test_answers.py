"""A mail in, an acknowledgement out by a real mail server, a reply joined."""

from __future__ import annotations

from pathlib import Path

from console_house import complain
from fakes import eventually
from mailboxes import MailServer
from running import RunningGateway


def test_a_mail_is_acknowledged(tmp_path: Path) -> None:
    with MailServer() as server, RunningGateway(tmp_path, **server.settings()) as gateway:
        number = complain(gateway, "合同问题：定金不退", "定金纠纷")
        eventually(lambda: server.taken)
        letter = server.taken[0]
        print(letter.raw.decode())
        print(letter.message.get_content())
        print(gateway.log())
        assert letter.rcpt_tos == ["lin@mail.example"]
        assert number in letter.message["Subject"]
