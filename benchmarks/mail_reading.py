"""How well mail is understood: `python -m benchmarks.mail_reading replies [FOLDER]` and `… mails FOLDER [--empty WORDS]`.

`replies`: a folder of NN-form.eml with NN-form.expected.txt; how many reply texts are exactly what was expected (default: tests/replies).
`mails`:   a folder of name.eml with name.json (from_email, from_display_name, subject, body_text, attachments); right and wrong by field.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from connectors.mime import Mail, read_mail

FORMS = Path(__file__).parents[1] / "tests" / "replies"


def wrong_replies(folder: Path) -> tuple[list[str], int]:
    """The forms whose reply text is another than expected, and how many forms there are."""
    paths = sorted(folder.glob("*.eml"))
    return [path.stem for path in paths if read_mail(path.read_bytes()).reply_text != _expected(path)], len(paths)


def _expected(path: Path) -> str:
    return path.with_name(f"{path.stem}.expected.txt").read_text("utf-8").rstrip("\n")


def compared(folder: Path, empty: str) -> Iterator[tuple[str, str, str]]:
    """Name, field and what came of it: `right`, `wrong`, or `unsaid` where the expectation is null.

    Texts are compared without regard to white space. empty: the words by which an expectation says that there is no text.
    """
    for path in sorted(folder.glob("*.eml")):
        wanted = json.loads(path.with_suffix(".json").read_text("utf-8"))
        got = _fields(read_mail(path.read_bytes()))
        for name, value in got.items():
            want = wanted.get(name)
            if want is None:
                yield path.stem, name, "unsaid"
                continue
            if name == "body_text":
                want, value = ("" if want == empty else "".join(want.split())), "".join(str(value).split())
            yield path.stem, name, "right" if want == value else "wrong"


def _fields(mail: Mail) -> dict[str, object]:
    return {
        "from_email": mail.from_email,
        "from_display_name": mail.from_display_name,
        "subject": mail.subject,
        "body_text": mail.text,
        "attachments": [{"filename": one.filename, "size": one.size, "mime_type": one.mime_type} for one in mail.attachments],
    }


def main() -> int:
    """Prints the figures. 0 always: whether they are good enough is for tests to say."""
    asking = argparse.ArgumentParser(prog="python -m benchmarks.mail_reading", description=__doc__)
    asking.add_argument("what", choices=("replies", "mails"))
    asking.add_argument("folder", nargs="?", type=Path, default=FORMS)
    asking.add_argument("--empty", default="no visible content", help="the words by which an expectation says that there is no text")
    asked = asking.parse_args()
    if asked.what == "replies":
        wrong, count = wrong_replies(asked.folder)
        print(f"{count - len(wrong)} of {count} forms exact ({(count - len(wrong)) / max(count, 1):.1%})", *wrong, sep="\n  wrong: ")
        return 0
    found = list(compared(asked.folder, asked.empty))
    tally = Counter((name, outcome) for _, name, outcome in found)
    for name in dict.fromkeys(name for _, name, _ in found):
        wrong = [stem for stem, field, outcome in found if (field, outcome) == (name, "wrong")]
        print(f"{name:18} right {tally[name, 'right']:3}  wrong {len(wrong):3}  unsaid {tally[name, 'unsaid']:3}  {' '.join(wrong)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
