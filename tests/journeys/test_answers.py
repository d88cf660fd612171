"""Answers from end to end: real doors, a real mail server, real time."""

from __future__ import annotations

import base64
import json
import os
import re
import signal
import urllib.request
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from answering_house import message
from console_house import complain, person
from fakes import FakeChampion, FakeSender, eventually
from mailboxes import PASSWORD, MailServer, Taken
from running import RunningGateway, send
from serving import Serving
from trackers import RunningTracker

from benchmarks.programs import free_port
from classifiers import trained_model
from classifiers.reading import shipped_reader
from gateway import champion
from gateway.store import jobs
from models.answer import AnswerState
from models.staff import Role, Scope
from models.verdict import ComplaintClass

PHOTO = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==")
QQ_HEAD = '------------------ 原始邮件 ------------------\n发件人: "晨光地产" <tousu@jiesu.example>;\n收件人: "林树";\n主题: x\n\n'


def text_of(letter: Taken) -> str:
    return str(letter.message.get_content())


def test_a_letter_greets_who_wrote_it_or_nobody(tmp_path: Path) -> None:
    # Names are found by what really reads the texts.
    trained = champion.shipped(None)
    real = FakeChampion(trained_model.load(trained.data, trained.card, reader=shipped_reader()))  # type: ignore[arg-type]
    with MailServer() as server, RunningGateway(tmp_path, champion=real, **server.settings()) as gateway:
        stated = "我是朱镕𠮷，厨房漏水，没有人来修。"
        mails = {"a": ("李四", "厨房漏水，没有人来修。\n失望"), "b": ("往事随风", "厨房漏水，没有人来修。\n失望"), "c": ("李四", stated)}
        numbers = {box: complain(gateway, text, "漏水", f"{name} <{box}@mail.example>") for box, (name, text) in mails.items()}
        letters = {one.rcpt_tos[0][0]: text_of(one) for one in eventually(lambda: server.taken if len(server.taken) == 3 else None)}  # type: ignore[attr-defined]
        greetings = {box: re.findall(r".*您好", letter)[0] for box, letter in letters.items()}
        assert greetings == {"a": "李四您好", "b": "您好", "c": "朱镕𠮷您好"}
        names = {box: story.complaint.customer.name for box, number in numbers.items() if (story := gateway.app.desk.story(number))}
        assert names == {"a": "李四", "b": None, "c": "朱镕𠮷"}


def test_from_a_mail_to_the_answer_of_staff_and_back(tmp_path: Path) -> None:
    sender = FakeSender()
    with MailServer() as server, RunningGateway(tmp_path, sender=sender, **server.settings(mail_plus_addresses="true")) as gateway:
        number = complain(gateway, "合同问题：定金不退", "定金纠纷")
        eventually(lambda: server.taken)
        letter = server.taken[0]
        # The number, who acts in plain words, and by when; over STARTTLS, logged in, to the very sender.
        assert letter.rcpt_tos == ["lin@mail.example"]
        assert (letter.mail_from, letter.message["From"]) == ("tousu@jiesu.example", "晨光地产客户服务中心 <tousu@jiesu.example>")
        assert number in text_of(letter)
        assert "已转交法务部处理" in text_of(letter)
        assert re.search(r"我们将在 \d{4}年\d+月\d+日\d\d:\d\d 前答复您", text_of(letter))
        assert "400-000-0000" in text_of(letter)
        # Unsure: a person looks first. English and traditional Chinese in their own words.
        complain(gateway, "你们看着办吧", "投诉", "王一 <wang@mail.example>")
        complain(gateway, "Nobody rings me back about the flat.", "Complaint", "Ann <ann@mail.example>")
        complain(gateway, "浴室漏水三個月都沒有人來處理，請盡快回覆", "滲水", "陳二 <chen@mail.example>")
        by_name = {one.rcpt_tos[0]: text_of(one) for one in eventually(lambda: server.taken if len(server.taken) == 4 else None)}  # type: ignore[attr-defined]
        assert "客服正在核对" in by_name["wang@mail.example"]
        assert "Your complaint has arrived" in by_name["ann@mail.example"]
        assert "客服正在核對" in by_name["chen@mail.example"]
        # He replies from QQ on the phone: References gone, history below, the token in the subject and in the address.
        reply_to = letter.message["Reply-To"].addresses[0].addr_spec
        quoted = "产品质量也有问题\n\n------------------ 原始邮件 ------------------\n发件人: 客服\n主题: x\n\n" + text_of(letter)
        fresh = send(gateway.smtp, message(quoted, f"回复：{letter.message['Subject']}"), to=reply_to)
        story = eventually(
            lambda: (found := gateway.app.desk.story(number)) and len(found.messages) == 2 and len(found.events) == 2 and found
        )
        assert story.messages[1].said.strip() == "产品质量也有问题"  # type: ignore[attr-defined]
        told = eventually(lambda: [json.loads(one.body) for one in sender.accepted if json.loads(one.body)["data"]["number"] == number][1:])
        assert told[0]["type"] in ("complaint.updated", "complaint.rerouted")  # type: ignore[index]
        assert told[0]["data"]["new_message"].strip() == "产品质量也有问题"  # type: ignore[index]
        assert [line["joined"] for line in gateway.log("Joined")] == [number]
        # The number that his reply was given leads to the complaint: on the page, in the list, over the API.
        agent = person(gateway, "王芳", Role.AGENT)
        moved = agent.get(f"/console/complaints/{fresh}")
        assert (moved.status, moved.headers["location"]) == (303, f"/console/complaints/{number}")
        assert number in agent.get(f"/console?show=all&q={fresh}").text
        page = agent.get(f"/console/complaints/{number}").text
        for words in ("受理回执", "已送出", fresh, "带有我方签发的回信标记", "答复顾客"):
            assert words in page
        # Staff writes: looked at first, confirmed, sent once though the button is pressed twice.
        where = f"/console/complaints/{number}/answers"
        draft = {"csrf": agent.csrf(), "text": "您好，定金将于周五退还。\n<b>不是标签</b>"}
        looked = agent.post(where, draft)
        assert looked.status == 200
        assert "请确认" in looked.text
        assert "lin@mail.example" in looked.text
        assert "&lt;b&gt;" in looked.text
        key = re.search(r'name="key" value="([^"]+)"', looked.text)
        assert key
        assert "周五退还" in agent.post(where, draft | {"key": key[1], "change": "1"}).text
        for _ in range(2):
            assert agent.post(where, draft | {"key": key[1], "confirm": "1"}).status == 303
        answer = eventually(lambda: [one for one in server.taken if "周五退还" in text_of(one)])[0]  # type: ignore[index]
        assert answer.rcpt_tos == ["lin@mail.example"]
        assert answer.message["Auto-Submitted"] is None
        assert answer.message["In-Reply-To"] in answer.message["References"]
        assert letter.message["Message-ID"] in answer.message["References"]
        assert agent.post(where, draft | {"csrf": "no", "confirm": "1", "key": key[1]}).status == 403
        assert agent.post(where, draft | {"text": " "}).status == 422
        # And a program, with a token of its own scope.
        token = gateway.app.staffing.add_token("desk", [Scope.ANSWERS_WRITE])
        asked = urllib.request.Request(
            f"{gateway.web}/api/v1/complaints/{fresh}/answers",
            json.dumps({"text": "再答一句", "by": "李强"}).encode(),
            {"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(asked, timeout=20) as answered:
            made = json.load(answered)
        assert (made["number"], made["way"], made["kind"], made["by"]) == (number, "email", "staff", "李强")
        eventually(lambda: any("再答一句" in text_of(one) for one in server.taken))
        whole: Any = gateway.app.records.whole(number)
        assert [one["kind"] for one in whole["answers"]] == ["acknowledgement", "staff", "staff"]
        assert sum("周五退还" in text_of(one) for one in server.taken) == 1
        # No address, no name and no text in the log.
        log = json.dumps(gateway.log(), ensure_ascii=False)
        for private in ("lin@mail.example", "林树", "定金", "王芳"):
            assert private not in log
        metrics = gateway.app.metrics.text().decode()
        assert 'jiesu_mail_attempts_total{code="accepted"} 6.0' in metrics
        assert 'jiesu_joined_total{by="token"} 1.0' in metrics


def test_a_reply_with_a_photo_and_no_word_joins_and_changes_nothing_else(tmp_path: Path) -> None:
    sender = FakeSender()
    with MailServer() as server, RunningGateway(tmp_path, sender=sender, **server.settings()) as gateway:
        number = complain(gateway, "合同问题：定金不退", "定金纠纷")
        letter = eventually(lambda: server.taken)[0]  # type: ignore[index]
        # His program quotes our letter, here with the words of another class in it; he wrote nothing.
        quoted = f"\n\n发自我的iPhone\n\n{QQ_HEAD}{text_of(letter)}\n产品质量、服务态度的问题请另行投诉。"
        mail = EmailMessage()
        mail["From"], mail["To"] = "林树 <lin@mail.example>", "tousu@jiesu.example"
        mail["Subject"], mail["In-Reply-To"] = f"回复：{letter.message['Subject']}", letter.message["Message-ID"]
        mail.set_content(quoted)
        mail.add_attachment(PHOTO, maintype="image", subtype="png", filename="IMG_0.png")
        send(gateway.smtp, mail.as_bytes())
        story: Any = eventually(lambda: (one := gateway.app.desk.story(number)) and len(one.messages) == len(one.events) == 2 and one)
        assert story.messages[1].said == ""
        assert "编号" in story.messages[1].text
        told = [json.loads(one.body) for one in eventually(lambda: sender.accepted if len(sender.accepted) > 1 else None)]  # type: ignore[attr-defined]
        assert told[-1]["type"] == "complaint.updated"
        assert told[-1]["data"]["new_message"] == ""
        routed = next(one["data"] for one in told if one["type"] == "complaint.routed")
        for key in ("class", "department", "priority", "decision", "summary", "matter", "reply_due", "steps"):
            assert told[-1]["data"][key] == routed[key]
        assert routed["class"] == story.complaint.klass == ComplaintClass.CONTRACT
        assert [file["filename"] for file in told[-1]["data"]["attachments"]] == ["IMG_0.png"]
        page = person(gateway, "王芳", Role.AGENT).get(f"/console/complaints/{number}").text
        for words in ("IMG_0.png", "（没有新写的话）", "全文"):
            assert words in page


def test_without_the_password_of_outgoing_mail_complaints_are_taken_in_and_answers_wait(tmp_path: Path) -> None:
    with MailServer() as server, RunningGateway(tmp_path, sender=FakeSender(), **server.settings(mail_password="")) as gateway:
        assert [line["level"] for line in gateway.log("AnswersWait")] == ["warning"]
        assert "mail.password" in gateway.log("AnswersWait")[0]["zh"]
        number = complain(gateway, "合同问题：定金不退", "定金纠纷")
        assert eventually(lambda: [line["code"] for line in gateway.log("AnswerRetried")]) == ["not_let_in"]
        (answer,) = gateway.app.desk.story(number).answers
        assert answer.state is AnswerState.WAITING
        file = gateway.app.settings.secrets_folder / "mail.password"
        file.write_text(PASSWORD)
        file.chmod(0o600)
        with gateway.app.store.write() as conn:
            assert jobs.hasten(conn, "answer", "", gateway.app.clock.now()) == 1
        gateway.app.worker.wake("answering")
        eventually(lambda: server.taken)
        assert number in text_of(server.taken[0])


def test_two_gateways_that_answer_each_other_end_at_once(tmp_path: Path) -> None:
    ports = free_port(), free_port()

    def settings(own: int, other: int, name: str) -> dict[str, object]:
        mail = {"mail_enabled": "true", "mail_host": "127.0.0.1", "mail_port": other, "mail_tls": "none", "mail_timeout_seconds": 5}
        return mail | {"smtp_port": own, "mail_from_address": f"tousu@{name}.example"}

    with (
        RunningGateway(tmp_path / "a", **settings(*ports, "a")) as a,
        RunningGateway(tmp_path / "b", **settings(*reversed(ports), "b")) as b,
    ):
        # The other one's desk complains at the first.
        number = send(a.smtp, message("合同问题", "催款", From="tousu@b.example"), "tousu@b.example")
        eventually(lambda: a.log("AnswerSent") and b.log("AnswerSuppressed"))
        # B has A's acknowledgement, takes it for a machine's, and says nothing; A is not told anything further.
        assert [line["reason"] for line in b.log("AnswerSuppressed")] == ["machine"]
        assert b.log("AnswerSent") == []
        assert len(a.numbers()) == 1
        assert len(b.numbers()) == 1
        (answer,) = a.app.desk.story(number).answers  # type: ignore[union-attr]
        assert answer.to == "tousu@b.example"


def test_a_responder_that_heeds_nothing_is_ended_by_the_limit(tmp_path: Path) -> None:
    with MailServer(tls="none", auth=False) as server:
        settings = server.settings(mail_host="127.0.0.1", smtp_max_connections=50)
        with RunningGateway(tmp_path, **settings) as gateway:
            sent = []

            def responds(_letter: Taken) -> None:
                # Another subject and no header at all by which it could be known; a real one has its own process.
                sent.append(1)
                raw = message(f"合同问题：我在休假 {len(sent)}", f"休假 {len(sent)}", From="lin@mail.example")
                import threading

                threading.Thread(target=send, args=(gateway.smtp, raw), daemon=True).start()

            server.on_taken = responds
            send(gateway.smtp, message("合同问题", "第一封"))
            eventually(lambda: gateway.log("AnswerSuppressed"))
            assert [line["reason"] for line in gateway.log("AnswerSuppressed")] == ["limit"]
            assert len(server.taken) == 3
            assert len(gateway.numbers()) == 4


def test_killed_between_the_servers_yes_and_our_commit_the_letter_goes_again_under_the_same_id(tmp_path: Path) -> None:
    with MailServer() as server, RunningTracker() as tracker:
        serving: list[Serving] = []
        environment = {f"JIESU_{key.upper()}": str(value) for key, value in server.settings().items()}

        def kills(_letter: Taken) -> None:
            if len(server.taken) == 1:
                os.kill(serving[0].process.pid, signal.SIGKILL)

        server.on_taken = kills
        serving.append(Serving(tmp_path, tracker, **environment))
        try:
            number = serving[0].mail("漏水", "6栋1503卫生间漏水三个月没人修")
            eventually(lambda: serving[0].process.poll() is not None, 60)
            (tmp_path / "serve.json").unlink(missing_ok=True)
            serving.append(Serving(tmp_path, tracker, **environment))
            eventually(lambda: len(server.taken) == 2, 60)
            first, second = (letter.message for letter in server.taken)
            assert first["Message-ID"] == second["Message-ID"]
            assert number in first["Subject"]
            told = eventually(lambda: "AnswerSent" in (tmp_path / "log").read_text("utf-8"), 30)
            assert told
            assert len(server.taken) == 2
        finally:
            for one in serving:
                if one.process.poll() is None:
                    one.process.terminate()
                    one.process.wait(30)
