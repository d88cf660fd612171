"""Whatever the standard library builds comes back: text whole, files byte for byte; and Outlook's wrapping, sound, broken and hostile."""

from __future__ import annotations

import time
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8

import pytest
from factories import MORNING
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tnef import BINARY, BYTES, CONTENT_ID, HTML, LONG_NAME, MEDIA_TYPE, OBJECT, PLAIN, STRING, UNICODE, attribute, properties, tnef

from connectors.mail_defects import DEFAULT_LIMITS, DEFECTS, Budget
from connectors.mail_files import safe_filename
from connectors.mail_tnef import read_tnef
from connectors.mime import Mail, file_of, parse, read_mail
from models.errors import Unreadable
from models.submission import Channel, Submission

WORDS = st.text(
    st.characters(codec="gb18030", categories=("L", "N", "P", "S"), exclude_characters="\u00ad\u061c\ufffd"), min_size=1, max_size=12
)
LINES = st.lists(WORDS, min_size=1, max_size=6).map(" ".join)
TEXTS = st.lists(LINES, min_size=1, max_size=8).map("\n".join)
CHARSETS = st.sampled_from(["utf-8", "gb18030"])
FILES = st.lists(
    st.tuples(
        st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), max_size=30).map(lambda name: f"{name}.bin"),
        st.binary(max_size=400),
        st.sampled_from(["image/jpeg", "application/pdf", "application/octet-stream", "video/mp4", "audio/amr"]),
        st.sampled_from(["attachment", "inline"]),
    ),
    max_size=5,
)


@st.composite
def mails(draw: st.DrawFn) -> tuple[bytes, str, list[tuple[str, bytes]]]:
    """A mail, its text and its files."""
    message = EmailMessage(policy=draw(st.sampled_from([SMTP, SMTPUTF8, SMTP.clone(max_line_length=40)])))
    message["From"], message["Subject"] = "林树 <lin@mail.example>", draw(LINES)
    text, charset = draw(TEXTS), draw(CHARSETS)
    message.set_content(text, charset=charset, cte=draw(st.sampled_from(["base64", "quoted-printable"])))
    files = draw(FILES)
    for name, content, mime_type, disposition in files:
        main, _, sub = mime_type.partition("/")
        message.add_attachment(content, maintype=main, subtype=sub, filename=name, disposition=disposition)
    wrapped = draw(st.integers(0, 3))
    for _ in range(wrapped if files else 0):
        outer = EmailMessage(policy=message.policy)
        outer["From"], outer["Subject"] = message["From"], message["Subject"]
        outer.make_mixed()
        for header in ("From", "Subject", "MIME-Version"):
            del message[header]
        outer.attach(message)
        message = outer
    for place, part in enumerate(message.walk()):
        if part.is_multipart():
            part.set_boundary(f"=_{place}")
    return message.as_bytes(), text, [(name, content) for name, content, _, _ in files]


def squeezed(text: str) -> str:
    return "".join(text.split())


@given(mails())
@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow])
def test_what_the_standard_library_builds_comes_back(built: tuple[bytes, str, list[tuple[str, bytes]]]) -> None:
    raw, text, files = built
    began = time.process_time()
    mail = read_mail(raw)
    assert time.process_time() - began < 5
    assert squeezed(mail.text) == squeezed(text)
    assert [part.content for part in mail.parts] == [content for _, content in files]
    for part, (name, _) in zip(mail.parts, files, strict=True):
        safe = safe_filename(name)[0]
        # Of two files of one name the second is numbered.
        assert not safe or part.attachment.filename.startswith(safe.rpartition(".")[0])
    said, whole = (set(words.replace(">", " ").split()) for words in (mail.reply_text, mail.text))
    assert squeezed(mail.reply_text) in squeezed(mail.text) or said <= whole
    submission = Submission(Channel.EMAIL, raw, "message/rfc822", "1", MORNING)
    for position, known in enumerate(parse(submission).attachments):
        assert file_of(submission, position, known.sha256) == files[position][1]
        # In another place, too: the sum finds it.
        assert file_of(submission, position + 7, known.sha256) == files[position][1]
    assert file_of(submission, 0, "0" * 64) is None


def wrapped(content: bytes) -> Mail:
    message = EmailMessage(policy=SMTP)
    message["From"] = "lin@mail.example"
    message.set_content("")
    message.add_attachment(content, maintype="application", subtype="ms-tnef", filename="winmail.dat")
    return read_mail(message.as_bytes())


def budget() -> Budget:
    return Budget(DEFAULT_LIMITS)


@given(
    st.lists(
        st.tuples(WORDS.filter(lambda w: w.encode("cp936", "ignore").decode("cp936") == w), st.binary(max_size=200), WORDS), max_size=6
    ),
    TEXTS,
    st.sampled_from([PLAIN, HTML]),
)
@settings(deadline=None, max_examples=60)
def test_what_outlook_wraps_comes_back(files: list[tuple[str, bytes, str]], text: str, kind: int) -> None:
    given_files = [(short, content, ((UNICODE, LONG_NAME, (long + "\0").encode("utf-16-le")),)) for short, content, long in files]
    letter = (UNICODE, PLAIN, (text + "\0").encode("utf-16-le")) if kind == PLAIN else (BINARY, HTML, b"<p>x</p>")
    found = read_tnef(tnef(*given_files, letter=(letter,)), budget(), set())
    assert found is not None
    assert found.whole
    assert [file.content for file in found.files] == [content for _, content, _ in files]
    assert [file.name for file in found.files] == [long for _, _, long in files]
    assert (found.plain, found.html) == ((text, "") if kind == PLAIN else ("", "<p>x</p>"))


SOUND = tnef(
    ("a.txt", b"one", ((STRING, MEDIA_TYPE, b"text/plain\0"), (STRING, CONTENT_ID, b"<x@y>\0"))),
    ("b.bin", b"", ((OBJECT, BYTES, b"\x07\x03\x02" + b"\0" * 13 + b"inner"),)),
    letter=((STRING, PLAIN, "信".encode("gbk") + b"\0"), (BINARY, 0x8002, b"named")),
)


def test_files_say_their_type_and_id_and_may_lie_in_a_property() -> None:
    mail = wrapped(SOUND)
    assert [(part.attachment.filename, part.content, part.attachment.mime_type, part.content_id, part.inline) for part in mail.parts] == [
        ("a.txt", b"one", "text/plain", "x@y", True),
        ("b.bin", b"inner", "application/octet-stream", "", False),
    ]
    assert mail.text == "信"
    within = tnef(("a", b"This attachment is a message", ((OBJECT, BYTES, b"\0" * 16 + SOUND),)))
    assert [part.content for part in wrapped(within).parts] == [SOUND]
    assert mail.defects == ("bad_date", "no_message_id")


@given(st.data())
@settings(deadline=None, max_examples=300)
def test_broken_wrapping_never_fails(data: st.DataObject) -> None:
    changed = bytearray(SOUND)
    for _ in range(data.draw(st.integers(1, 8))):
        at = data.draw(st.integers(6, len(changed) - 1))
        changed[at : at + data.draw(st.integers(0, 4))] = data.draw(st.binary(max_size=4))
    mail = wrapped(bytes(changed))
    assert set(mail.defects) <= set(DEFECTS)
    assert all(part.attachment.size == len(part.content) for part in mail.parts)


def test_what_breaks_off_is_kept_beside_what_could_be_read() -> None:
    mail = wrapped(SOUND[:-120])
    assert "winmail.dat" in [part.attachment.filename for part in mail.parts]
    assert "bad_tnef" in mail.defects
    assert [part.attachment.filename for part in wrapped(b"\x78\x9f\x3e\x22\x01\x00").parts] == ["winmail.dat"]
    assert [part.attachment.filename for part in wrapped(b"no TNEF").parts] == ["winmail.dat"]


@pytest.mark.parametrize(
    "content",
    [
        tnef(*((f"{n}.txt", b"x", ()) for n in range(200))),
        b"\x78\x9f\x3e\x22\x01\x00" + attribute(2, 0x00069002, b"") * 100_000,
    ],
)
def test_too_many_files_within_are_put_aside(content: bytes) -> None:
    with pytest.raises(Unreadable) as parked:
        wrapped(content)
    assert parked.value.code == "mail_too_many_parts"


def test_hostile_wrapping_costs_little() -> None:
    began = time.process_time()
    for content in (
        b"\x78\x9f\x3e\x22\x01\x00" + attribute(1, 0x00069003, b"\xff\xff\xff\xff" + b"\x03\x10\x01\x00\xff\xff\xff\xff" * 500_000),
        b"\x78\x9f\x3e\x22\x01\x00"
        + attribute(1, 0x00069003, b"\xff\xff\xff\xff" + b"\x1e\x00\x01\x00\xff\xff\xff\x0f" + b"\0" * 8_000_000),
        b"\x78\x9f\x3e\x22\x01\x00" + attribute(1, 0x0002800C, b"\xe6") * 300_000,
        b"\x78\x9f\x3e\x22\x01\x00" + attribute(1, 0x00069003, properties(*((STRING, n, b"x") for n in range(5000)))) * 20,
    ):
        try:
            read_tnef(content, budget(), set())
        except Unreadable as parked:
            assert parked.code == "mail_too_slow"
    assert time.process_time() - began < 5


def test_uuencode_within_a_text_is_a_file_only_where_every_line_is() -> None:
    def text(body: str) -> Mail:
        return read_mail(f"From: a@example.com\nContent-Type: text/plain; charset=utf-8\n\n{body}".encode())

    line = "M" + "A" * 60
    mail = text(f"前\nbegin 644 图.bin\n{line}\n`\nend\n后\n")
    assert ([part.attachment.filename for part in mail.parts], mail.text.split()) == (["图.bin"], ["前", "后"])
    for kept in (
        f"begin 644 a\n{line}\nwords\nend\n",
        f"begin 644 a\n{line}\n",
        "begin 644 a\nMy words\nend\n",
        f"begin 99 a\n{line}\nend\n",
    ):
        assert text(kept).parts == ()
        assert text(kept).text == kept.strip()
    began = time.process_time()
    text(f"begin 644 a\n{line}\n" * 20_000)
    assert time.process_time() - began < 5
