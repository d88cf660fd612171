"""The reply text of whole mails, program by program: `tests/replies/`, and what is never taken for a footer, card or disclaimer."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.mail_reading import FORMS, compared, wrong_replies
from connectors.mime import read_mail
from connectors.replies import reply_text

# Forms of which every line stays.
WHOLE = frozenset((
    "new-mail-with-fields", "forward", "polite-customer", "passed-on-without-a-word", "list-below-two-dashes", "troubles-below-a-dash",
    "list-below-a-rule", "form-below-a-rule", "asks-for-secrecy", "photos-for-repair-only", "prices-with-arrows", "wrapped-like-a-footer",
    "own-record-of-a-complaint", "outlook-answers-within",
))  # fmt: skip
PATHS = sorted(FORMS.glob("*.eml"))


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_reply_form(path: Path) -> None:
    mail = read_mail(path.read_bytes())
    assert mail.reply_text == path.with_name(f"{path.stem}.expected.txt").read_text("utf-8").rstrip("\n")


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_the_whole_text_is_kept_beside_the_reply(path: Path) -> None:
    mail = read_mail(path.read_bytes())
    assert [line for line in mail.reply_text.split("\n") if line.strip() not in mail.text] == []
    # Something else was there, except where every word is the customer's or may be.
    assert len(mail.text) > len(mail.reply_text) or path.stem.partition("-")[2] in WHOLE


def test_there_are_enough_forms_and_the_readme_names_each() -> None:
    readme = (FORMS / "README.md").read_text("utf-8")
    assert len(PATHS) >= 80
    assert [path.stem for path in PATHS if f"| {path.stem} |" not in readme] == []


@pytest.mark.parametrize(
    "text",
    [
        # A disclaimer's words in a complaint.
        "本邮件附件是保密协议，你们的销售让我签的。\n\n我不同意。",
        "请回复。\n\n本邮件仅供贵司参考，\n\n但我要求三日内答复。",
        # A contact that the customer gives is his word.
        "请工程师联系我：\n\n张三\n13800000000",
        # A rule above a further point.
        "第一，漏水。\n--------------------\n第二，请联系物业公司经理，他说不管。",
        # A word that mailers use as a title.
        "我要看原始邮件\n\n你们发过的那封。",
        # A table with bars.
        "费用如下\n| |\n| 物业费 | 300 | 元 |\n|\n以上。",
        "获取 Outlook 账号时你们的员工看了我的密码",
    ],
)
def test_what_only_looks_like_a_mailers_words_stays(text: str) -> None:
    assert reply_text(text) == text


def test_marks_of_signatures_alone_are_no_letter() -> None:
    assert reply_text("--\n\n--\n张三") == "--\n\n--\n张三"
    assert reply_text("--\n--\n") == "--\n--"


def test_a_name_card_goes_only_above_history() -> None:
    card = "地板翘起来了。\n\n\n\n张三\n电话：13800000000"
    assert reply_text(card) == card.replace("\n\n\n\n", "\n\n")
    assert reply_text(f"{card}\n \n发件人： 客服\n发送时间： 2024-05-01 12:00\n收件人： 张三\n主题： 回复\n您好") == "地板翘起来了。"


def test_a_disclaimer_alone_is_still_shown() -> None:
    text = "本邮件及其附件含有保密信息，仅限于发送给上面地址中列出的个人。"
    assert reply_text(text) == text


def test_the_measuring_command_counts(tmp_path: Path) -> None:
    assert wrong_replies(FORMS) == ([], len(PATHS))
    (tmp_path / "a.eml").write_bytes(b"From: a@example.com\nSubject: x\n\nhello\n  there\n")
    (tmp_path / "a.json").write_text(
        '{"from_email": "a@example.com", "from_display_name": null, "subject": "y", "body_text": "hello there", "attachments": []}'
    )
    assert [outcome for _, _, outcome in compared(tmp_path, "")] == ["right", "unsaid", "wrong", "right", "right"]
    told = subprocess.run(
        [sys.executable, "-m", "benchmarks.mail_reading", "mails", str(tmp_path)], capture_output=True, text=True, check=True, timeout=30
    )
    assert "subject" in told.stdout
    assert "wrong   1" in told.stdout
