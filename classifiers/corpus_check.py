"""`python -m classifiers.corpus_check [FILE…]`: whether a corpus repeats itself: near-duplicates, over-used phrases, labels out of balance.

A text that is told twice counts twice and makes held-out figures flatter; a turn of phrase that runs through many stories teaches the hand
that wrote them instead of the matter. Without files the shipped corpus is looked at. Exit code 1 when something is over its limit, 2 when a
file cannot be read.
"""

from __future__ import annotations

import argparse
import math
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from classifiers import corpus
from classifiers.corpus import REGISTERS, Example
from models.verdict import ComplaintClass

_GRAM = 5
_PHRASE = 8

# What is compared: letters and digits alone, so that other punctuation makes no other text.
_UNHEARD = re.compile(r"[\W_]+")
# Phrases are made of words; dates and phone numbers look alike without being copied.
_NO_WORDS = re.compile(r"[\W_0-9a-z]+")


@dataclass(frozen=True, slots=True)
class Limits:
    """What a corpus may hold. The limits are a little above what the shipped corpus holds, so that each new text keeps to its ways.

    alike:       Jaccard likeness of the sets of character 5-grams from which on two texts are near-duplicates. Two texts a quarter of which
                 is the same have 0.14, half of which 0.33; of the three million pairs shipped the likeliest have 0.06.
    duplicates:  so many pairs of near-duplicates are put up with.
    stories:     a run of eight characters or more may stand in texts of so many different stories; shipped: 6, and these are names and
                 set phrases of the trade (车位使用权转让协议, 消费者权益保护委员会).
    least_share: every class has at least this share of the texts of each register, and none more than `most_share`; shipped: 16 to 27 %.
    least_texts: a register with fewer texts is too small to be judged by shares.
    """

    alike: float = 0.15
    duplicates: int = 0
    stories: int = 8
    least_share: float = 0.15
    most_share: float = 0.3
    least_texts: int = 50


@dataclass(frozen=True, slots=True)
class Pair:
    """Two texts that are much alike."""

    first: str
    second: str
    alike: float


@dataclass(frozen=True, slots=True)
class Phrase:
    """A run of characters without punctuation, in how many stories it stands, and one text that holds it."""

    text: str
    stories: int
    example: str


@dataclass(frozen=True, slots=True)
class Findings:
    """What was found, worst first; `phrases` and `pairs` hold what is over the limits, `most_told` the most told phrase of all."""

    texts: int
    pairs: tuple[Pair, ...]
    phrases: tuple[Phrase, ...]
    most_told: Phrase | None
    balance: Mapping[str, Mapping[ComplaintClass, int]]
    unbalanced: tuple[tuple[str, ComplaintClass, float], ...]

    def over(self, limits: Limits) -> bool:
        """Whether the corpus is to be mended."""
        return len(self.pairs) > limits.duplicates or bool(self.phrases) or bool(self.unbalanced)


def check(examples: Sequence[Example], limits: Limits | None = None) -> Findings:
    """Everything that `Findings` tells of these examples."""
    limits = limits or Limits()
    told = phrases(examples, limits.stories + 1)
    # Where nothing is over the limit, how near it the corpus is.
    worst = told[0] if told else next(iter(phrases(examples, max(2, limits.stories // 2))), None)
    counted = balance(examples)
    return Findings(
        texts=len(examples),
        pairs=tuple(pairs(examples, limits.alike)),
        phrases=tuple(told),
        most_told=worst,
        balance=counted,
        unbalanced=tuple(_unbalanced(counted, limits)),
    )


def pairs(examples: Sequence[Example], alike: float) -> list[Pair]:
    """Pairs of texts whose sets of 5-grams have at least this Jaccard likeness, most alike first.

    Of each text only its rarest grams are looked up: two texts that are alike enough share one of them, so common phrases cost nothing.
    """
    sets = [_grams(f"{example.query.title}{example.query.said}") for example in examples]
    texts_with = Counter(gram for grams in sets for gram in grams)
    index: dict[str, list[int]] = defaultdict(list)
    found = []
    # By size, so that the shorter of two is always in the index first.
    for place in sorted(range(len(sets)), key=lambda place: (len(sets[place]), examples[place].id)):
        grams = sets[place]
        rarest = sorted(grams, key=lambda gram: (texts_with[gram], gram))
        prefix = rarest[: len(rarest) - math.ceil(alike * len(rarest)) + 1]
        candidates = {other for gram in prefix for other in index[gram]}
        for other in candidates:
            shared = len(grams & sets[other])
            likeness = shared / (len(grams) + len(sets[other]) - shared)
            if likeness >= alike:
                first, second = sorted((examples[place].id, examples[other].id))
                found.append(Pair(first, second, likeness))
        for gram in prefix:
            index[gram].append(place)
    return sorted(found, key=lambda pair: (-pair.alike, pair.first, pair.second))


def phrases(examples: Sequence[Example], least: int) -> list[Phrase]:
    """Runs of at least eight characters that stand in texts of `least` stories or more, most told first; of one in another the longer."""
    runs = [
        (example.scenario, example.id, [run for run in _NO_WORDS.split(f"{example.query.title}。{example.query.said}".lower()) if run])
        for example in examples
    ]
    found: dict[str, Phrase] = {}
    known: set[str] | None = None
    for length in range(_PHRASE, 200):
        stories: dict[str, set[str]] = defaultdict(set)
        holder: dict[str, str] = {}
        for story, name, parts in runs:
            for run in parts:
                for start in range(len(run) - length + 1):
                    piece = run[start : start + length]
                    # A longer run is told no more often than its two halves.
                    if known is None or (piece[1:] in known and piece[:-1] in known):
                        stories[piece].add(story)
                        holder.setdefault(piece, name)
        known = {piece for piece, where in stories.items() if len(where) >= least}
        if not known:
            break
        for piece in known:
            for shorter in (piece[1:], piece[:-1]):
                found.pop(shorter, None)
            found[piece] = Phrase(piece, len(stories[piece]), holder[piece])
    return sorted(found.values(), key=lambda phrase: (-phrase.stories, -len(phrase.text), phrase.text))


def balance(examples: Sequence[Example]) -> dict[str, dict[ComplaintClass, int]]:
    """How many texts of each class each register holds; registers without texts are left out."""
    counted = {register: dict.fromkeys(ComplaintClass, 0) for register in REGISTERS}
    for example in examples:
        counted[example.register][example.primary] += 1
    return {register: classes for register, classes in counted.items() if sum(classes.values())}


def report(found: Findings, limits: Limits, most: int = 20) -> Iterator[str]:
    """The findings as lines for people, in Chinese and English; of long lists the worst `most`."""
    yield f"文本 texts: {found.texts}"
    yield f"近似重复 near-duplicates (≥ {limits.alike:g}): {len(found.pairs)}（上限 limit {limits.duplicates}）"
    for pair in found.pairs[:most]:
        yield f"  {pair.alike:.2f}  {pair.first}  {pair.second}"
    yield f"套话 over-used phrases (> {limits.stories} 个故事 stories): {len(found.phrases)}（上限 limit 0）"
    for phrase in found.phrases[:most]:
        yield f"  {phrase.stories}  {phrase.text}  ({phrase.example})"
    if found.most_told and not found.phrases:
        yield f"  用得最多 most told: {found.most_told.stories}  {found.most_told.text}  ({found.most_told.example})"
    yield f"类别比例 shares of classes ({limits.least_share:.0%}–{limits.most_share:.0%}):"
    for register, classes in found.balance.items():
        total = sum(classes.values())
        cells = "  ".join(f"{name.zh} {name} {count} ({count / total:.0%})" for name, count in classes.items())
        yield f"  {register} {total}: {cells}"
    for register, name, share in found.unbalanced:
        yield f"  {register}：{name.zh}占 {share:.1%}，超出范围 / {register}: {name} has {share:.1%}, which is outside"


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; the return value is the exit code."""
    limits = Limits()
    parser = argparse.ArgumentParser(
        prog="python -m classifiers.corpus_check",
        description="检查语料是否自我重复、各类是否均衡。 Whether a corpus repeats itself, and whether its labels are balanced.",
    )
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE.jsonl", help="不给则查自带语料 default: the shipped corpus")
    options = parser.parse_args(arguments)
    try:
        for path in options.files:
            path.read_text(encoding="utf-8")
        examples = corpus.load(options.files) if options.files else corpus.shipped_corpus()
    except OSError as error:
        return _unreadable(f"{error.filename}：读不了（{error.strerror}）", f"{error.filename}: cannot be read ({error.strerror})")
    except UnicodeDecodeError:
        return _unreadable(f"{path}：不是 UTF-8 文本，请另存为 UTF-8", f"{path}: is not UTF-8; save it as UTF-8")
    except corpus.BadCorpus as error:
        return _unreadable(f"语料有误，请改正这一行：{error}", f"the corpus is wrong; mend this line: {error}")
    if not examples:
        return _unreadable("没有文本，请给出语料文件", "there are no texts; name a corpus file")
    found = check(examples, limits)
    for line in report(found, limits):
        sys.stdout.write(line + "\n")
    if found.over(limits):
        sys.stderr.write("超出上限：请改写、删去或补写上面列出的文本。\nover the limits: rewrite, drop or add texts as listed above.\n")
        return 1
    return 0


def _unreadable(zh: str, en: str) -> int:
    sys.stderr.write(f"错误：{zh}\nerror: {en}\n")
    return 2


def _grams(text: str) -> frozenset[str]:
    heard = _UNHEARD.sub("", text.lower())
    # A text shorter than a gram is one.
    return frozenset(heard[start : start + _GRAM] for start in range(max(1, len(heard) - _GRAM + 1)))


def _unbalanced(counted: Mapping[str, Mapping[ComplaintClass, int]], limits: Limits) -> Iterator[tuple[str, ComplaintClass, float]]:
    for register, classes in counted.items():
        total = sum(classes.values())
        for name, count in classes.items() if total >= limits.least_texts else ():
            if not limits.least_share <= count / total <= limits.most_share:
                yield register, name, count / total


if __name__ == "__main__":
    raise SystemExit(main())
