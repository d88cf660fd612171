"""When two copies of a mail are one: by what its sender wrote, and where that tells nothing apart, by the day."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from connectors.mail_identity import mail_key

FORM = b"From: form@site.example\r\nTo: tousu@jiesu.example\r\nSubject: lift\r\n\r\n\xe7\x94\xb5\xe6\xa2\xaf\xe5\x9d\x8f\xe4\xba\x86\r\n"
NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
SENDER = "form@site.example"


def test_what_a_form_sends_again_another_day_is_another_mail() -> None:
    key = mail_key(FORM, SENDER, NOON)
    # A server that lost our answer comes again.
    assert mail_key(FORM, SENDER, NOON + timedelta(hours=3)) == key
    for later in (timedelta(days=1), timedelta(days=7), timedelta(days=30), timedelta(days=365)):
        assert mail_key(FORM, SENDER, NOON + later) != key
    assert mail_key(FORM, "other@site.example", NOON) != key
    assert mail_key(FORM + b"x", SENDER, NOON) != key
    # Where nobody knows when it came, it is known by its bytes alone.
    assert mail_key(FORM, SENDER, None) == mail_key(FORM, SENDER, None) != key
    assert mail_key(b"no head at all", SENDER, NOON) != mail_key(b"no head at all", SENDER, NOON + timedelta(days=2))
    assert mail_key(b"Date:\r\nMessage-ID: \r\n" + FORM, SENDER, NOON) != mail_key(
        b"Date:\r\nMessage-ID: \r\n" + FORM, SENDER, NOON + timedelta(days=2)
    )


# Keys as they stand in stores.
@pytest.mark.parametrize(
    ("fields", "key"),
    [
        (
            b"Date: Mon, 23 Nov 2026 09:00:00 +0800\r\nMessage-ID: <1@site.example>\r\n",
            "mail:dfc5ad2859a7f31dd0df1aa3ef8df8ac4822b0e25b1536eaecdbe709b7a8cb29",
        ),
        (b"Date: Mon, 23 Nov 2026 09:00:00 +0800\r\n", "sha256:aeeea53af1a9f6c14e88299bd1c9bd2690c0798422cc228b0718c4b8f4c83979"),
        (b"message-id : <1@site.example>\r\n", "sha256:feb7db756cc8864f0c89004565ef7cb095f0902e40f01bd801dadf4b4e262ccc"),
        (b"Date:\r\n Mon, 23 Nov 2026 09:00:00 +0800\r\n", "sha256:5705c9c1201215925ddf56729dbf9d643fa3acc7b401b92af9ef85c6101d31d1"),
    ],
)
def test_what_says_when_it_was_written_or_which_it_is_has_the_key_that_it_always_had(fields: bytes, key: str) -> None:
    for days in (0, 1, 30):
        assert mail_key(fields + FORM, SENDER, NOON + timedelta(days=days)) == key
