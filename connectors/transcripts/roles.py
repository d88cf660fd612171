"""Who of the speakers is the customer and who the agent: by what they are called, else by what they say.

A stated role (a vendor's AGENT, a turn headed 客服) is never overruled. The number of a speaker or of a channel says nothing by
itself, for every vendor counts as he likes; it only keeps the voices apart, and each voice is judged by its words. Where nothing
tells, a turn stays unknown, and unknown turns are read as the customer's, rather than lose what he said.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from connectors.transcripts.base import sentences
from connectors.transcripts.words import invites, leaning, mere_assent, opens, scores, short_question
from models.complaint import Speaker, Turn

# A lead of this much in the words makes the roles as good as sure (e^-1 doubt per step).
_STEP = 3.0
# Below this lead the words say nothing.
_LEAST = 1.0
# One turn alone must lean this far to be somebody's.
_LEAST_OF_A_TURN = 1.4
# What the file makes likely weighs as much as one good phrase.
_HINT = 3.0
# He who takes up the call usually speaks first.
_FIRST = 0.6
# He who says nothing but 您好 at the beginning has taken up the telephone.
_OPENS = 1.5
# Who complains says more: so much for twice as many words, where there are enough to count.
_LONGER, _ENOUGH_CHARS = 0.4, 30
# One voice with this much of both was two voices that the recogniser did not keep apart.
_BOTH = 4.0

# Turns without a voice, judged one by one, are never surer than this.
_BY_TURN = 0.8


@dataclass(frozen=True, slots=True)
class Settled:
    """The turns with their roles, how sure that is (0 to 1), and what settled it: `label`, `words`, `alone`, `nothing`."""

    turns: tuple[Turn, ...]
    certainty: float
    decided_by: str


def settle(turns: Sequence[Turn], hints: Mapping[str, Speaker] | None = None) -> Settled:
    """Gives every turn whose role is unknown a role where the names or the words tell one.

    turns: in the order of time; a role other than unknown is taken as stated.
    hints: for a speaker's name, the role that the file makes likely (the caller's place in a vCon); words can overrule it.
    """
    if not turns:
        return Settled((), 0.0, "nothing")
    if all(turn.role is not Speaker.UNKNOWN for turn in turns):
        return Settled(tuple(turns), 1.0, "label")
    one_voice = len({turn.speaker for turn in turns}) == 1
    if one_voice:
        if alone := _alone(turns):
            return alone
        turns = _by_sentence(turns[0]) if len(turns) == 1 else turns
    voices = _voices(turns)
    known, certainty = ({}, 0.0) if one_voice else _by_voice(turns, voices, hints or {})
    named = [replace(turn, role=known.get(turn.speaker or "", Speaker.UNKNOWN)) if turn.role is Speaker.UNKNOWN else turn for turn in turns]
    # A voice that was two is judged turn by turn, like what has no voice at all.
    settled = _by_turn(named, {speaker for speaker in voices if speaker not in known})
    undecided = [turn for turn in settled if turn.role is Speaker.UNKNOWN]
    if len(undecided) == len(settled):
        return Settled(tuple(settled), 0.0, "nothing")
    told = 1 - sum(len(turn.text) for turn in undecided) / sum(len(turn.text) for turn in settled)
    by_voice = all(turn.role is not Speaker.UNKNOWN or turn.speaker in known for turn in turns)
    sure = certainty if by_voice else min(certainty, _BY_TURN) if known else _BY_TURN
    return Settled(tuple(settled), round(sure * told, 2), "words")


def _alone(turns: Sequence[Turn]) -> Settled | None:
    """One voice only is the customer's, unless it clearly speaks as an agent; None if it is two voices under one name."""
    agent, customer = scores("\n".join(turn.text for turn in turns))
    if len(turns) > 1 and (turns[0].speaker is None or min(agent, customer) >= _BOTH):
        return None
    if min(agent, customer) >= _BOTH and len(sentences(turns[0].text)) > 1:
        return None
    role = Speaker.AGENT if agent - customer >= _BOTH and customer < _LEAST else Speaker.CUSTOMER
    return Settled(tuple(replace(turn, role=role) for turn in turns), _certainty(agent - customer), "alone")


def _by_sentence(turn: Turn) -> list[Turn]:
    """The sentences of a whole call that came as one text, for two spoke in it; its times stay with the first and the last."""
    texts = sentences(turn.text)
    last = len(texts) - 1
    return [
        replace(turn, text=text, start=turn.start if place == 0 else None, end=turn.end if place == last else None)
        for place, text in enumerate(texts)
    ]


def _voices(turns: Sequence[Turn]) -> dict[str, str]:
    """What each named speaker whose role is not stated says in all, in the order of their first words."""
    said: dict[str, list[str]] = {}
    for turn in turns:
        if turn.speaker and turn.role is Speaker.UNKNOWN:
            said.setdefault(turn.speaker, []).append(turn.text)
    return {speaker: "\n".join(texts) for speaker, texts in said.items()}


def _by_voice(turns: Sequence[Turn], voices: Mapping[str, str], hints: Mapping[str, Speaker]) -> tuple[dict[str, Speaker], float]:
    """The role of each voice that can be told, and how sure the least sure of them is."""
    leans = {speaker: leaning(text) for speaker, text in voices.items()}
    for speaker, role in hints.items():
        if speaker in leans:
            leans[speaker] += _HINT if role is Speaker.AGENT else -_HINT
    stated = {turn.role for turn in turns} - {Speaker.UNKNOWN}
    if len(voices) == 1 and stated:
        return _the_other(next(iter(leans)), leans, stated)
    if len(voices) == 2 and not stated:
        return _the_two({speaker: lean + _manner(speaker, turns, voices) for speaker, lean in leans.items()})
    if not stated:
        leans = {speaker: lean + (_OPENS if _opens_the_call(speaker, turns) else 0.0) for speaker, lean in leans.items()}
    known = {speaker: Speaker.AGENT if lean > 0 else Speaker.CUSTOMER for speaker, lean in leans.items() if abs(lean) >= _LEAST_OF_A_TURN}
    roles = stated | set(known.values())
    left = sorted((speaker for speaker in voices if speaker not in known), key=lambda speaker: -leans[speaker])
    # Somebody has taken the call: of those who are left, the one who sounds most like it, by a clear lead.
    if Speaker.AGENT not in roles and Speaker.CUSTOMER in roles and left and (len(left) == 1 or leans[left[0]] - leans[left[1]] >= _LEAST):
        known[left[0]] = Speaker.AGENT
        roles.add(Speaker.AGENT)
    # Somebody must be complaining: of those who are left, the one who says most.
    if Speaker.CUSTOMER not in roles and (left := [speaker for speaker in voices if speaker not in known]):
        known[max(left, key=lambda speaker: len(voices[speaker]))] = Speaker.CUSTOMER
    return known, min((_certainty(leans[speaker]) for speaker in known), default=0.0)


def _opens_the_call(speaker: str, turns: Sequence[Turn]) -> bool:
    """Whether he takes up the telephone: the first turn is his, and nothing but a greeting."""
    return turns[0].speaker == speaker and opens(turns[0].text)


def _manner(speaker: str, turns: Sequence[Turn], voices: Mapping[str, str]) -> float:
    """What tells without words, towards the agent's: that he opens the call, and that he says little."""
    opening = _OPENS if _opens_the_call(speaker, turns) else 0.0
    mine = len(voices[speaker])
    others = sum(map(len, voices.values())) - mine
    if mine + others < _ENOUGH_CHARS or not mine or not others:
        return opening
    return opening + max(-1.0, min(1.0, math.log2(others / mine))) * _LONGER


def _the_other(speaker: str, leans: Mapping[str, float], stated: set[Speaker]) -> tuple[dict[str, Speaker], float]:
    """The one voice without a stated role is the other party, unless its words say clearly that it is not."""
    lean = leans[speaker]
    if len(stated) == 2:
        likely = Speaker.AGENT if lean > 0 else Speaker.CUSTOMER
        return ({speaker: likely}, _certainty(lean)) if abs(lean) >= _LEAST_OF_A_TURN else ({}, 0.5)
    agent_is_missing = Speaker.AGENT not in stated
    against = -lean if agent_is_missing else lean
    if against >= _BOTH:
        return {speaker: next(iter(stated))}, _certainty(against)
    return {speaker: Speaker.AGENT if agent_is_missing else Speaker.CUSTOMER}, 0.9


def _the_two(leans: Mapping[str, float]) -> tuple[dict[str, Speaker], float]:
    """Of two voices, the one whose words lean further to the agent's is the agent; neither where they are alike."""
    first, second = leans
    lead = leans[first] - leans[second]
    if abs(lead) < _LEAST:
        return {}, 0.0
    lead += _FIRST
    agent, customer = (first, second) if lead > 0 else (second, first)
    return {agent: Speaker.AGENT, customer: Speaker.CUSTOMER}, _certainty(lead)


def _by_turn(turns: Sequence[Turn], mixed: set[str]) -> list[Turn]:
    """Decides the turns without a voice of their own one by one, and lets a question or a clear turn carry over to the next.

    mixed: speakers whose turns are judged like those without a speaker.
    """
    judged = [turn.role is Speaker.UNKNOWN and (turn.speaker is None or turn.speaker in mixed) for turn in turns]
    told = [_by_itself(turn.text) if judge else turn.role for turn, judge in zip(turns, judged, strict=True)]
    if all(turn.speaker is None and judge for turn, judge in zip(turns, judged, strict=True)) and (even := _in_turn(turns, told)):
        return even
    result: list[Turn] = []
    floor = Speaker.UNKNOWN
    for turn, role, judge in zip(turns, told, judged, strict=True):
        if judge and role is Speaker.UNKNOWN and not mere_assent(turn.text):
            after_himself = bool(result) and result[-1].role is Speaker.CUSTOMER
            role = Speaker.UNKNOWN if after_himself and short_question(turn.text) else floor
        # After an agent's question the customer has the word, and keeps it until somebody clearly takes it.
        if role is Speaker.AGENT:
            floor = Speaker.CUSTOMER if invites(turn.text) else Speaker.UNKNOWN
        elif role is Speaker.CUSTOMER:
            floor = Speaker.CUSTOMER
        result.append(replace(turn, role=role))
    return result


def _by_itself(text: str) -> Speaker:
    """Whose turn these words are by themselves; unknown where they do not tell."""
    agent, customer = scores(text)
    if customer - agent >= _LEAST_OF_A_TURN:
        return Speaker.CUSTOMER
    # What has clear words of the customer's in it is kept for him, though an agent's may outweigh them.
    return Speaker.AGENT if agent - customer >= _LEAST_OF_A_TURN and customer < _LEAST_OF_A_TURN + 0.5 else Speaker.UNKNOWN


def _in_turn(turns: Sequence[Turn], roles: Sequence[Speaker]) -> list[Turn] | None:
    """The turns given to the two parties in alternation, where every turn that tells its speaker bears that out; else None."""
    told = [(position, role) for position, role in enumerate(roles) if role is not Speaker.UNKNOWN]
    if len(told) < 0.4 * len(turns) or sum(role is Speaker.AGENT for _, role in told) < 2:
        return None
    order = {position % 2: role for position, role in told}
    if len(set(order.values())) < 2 or any(order[position % 2] is not role for position, role in told):
        return None
    return [replace(turn, role=order[position % 2]) for position, turn in enumerate(turns)]


def _certainty(lead: float) -> float:
    """A lead in words as a certainty from 0.5 to 0.99."""
    return round(min(0.99, 1 - 0.5 * math.exp(-abs(lead) / _STEP)), 2)
