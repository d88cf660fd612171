"""The operator log: one verb an event, the complaint's number on each line, no personal data.

Its home of structlog. Texts, names, addresses and phones never go in; the store has them, behind a login.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from typing import Any, Literal, TextIO

import structlog

from gateway.clock import SystemClock

# Every verb that may stand in the log, with what it says. `docs/operations.md` lists them, and a test compares.
VERBS: Mapping[str, str] = {
    "Started": "the gateway is up; its addresses",
    "Stopping": "no new complaints are taken in; what is in hand is finished",
    "Stopped": "the gateway is down",
    "Received": "a submission is committed",
    "Duplicate": "a submission that is known already was offered again",
    "NotAccepted": "a submission could not be committed; the sender was told to try again",
    "Parsed": "a submission's bytes were understood",
    "Joined": "a mail belongs to an older complaint, `joined`; its own number leads there from now on",
    "Bounced": "a mail server sent an answer back; `call` says whether the customer is on the call list now",
    "SenderChecked": "whether a mail comes from the domain that it names: the results of SPF, DKIM and DMARC",
    "Classified": "a verdict was given",
    "Routed": "a department was assigned",
    "Erased": "whose complaint it was is gone; `by` whom and for which `reason`",
    "CautiousStart": "nothing is reviewed yet: only what the shipped thresholds are very sure of is routed alone",
    "OwnEvidence": "from here on reviewed complaints decide what is routed alone",
    "TalkTaken": "a person of our side took a chat over",
    "TalkHandedBack": "a chat was handed back to the machine",
    "ClassDisputed": "a customer said that the class of his complaint is another; a person is to look",
    "AnsweredByMail": "a customer was away from the chat, so his answer goes by mail",
    "Corrected": "staff said what the class is",
    "RetrainingAsked": "somebody asked for a retraining, or it was due",
    "RetrainingStarted": "a retraining began, in a process of its own",
    "RetrainingDone": "a retraining ended, with its candidate and what the gate said of it",
    "RetrainingFailed": "a retraining did not come to an end; the champion stays",
    "Promoted": "a trained model became the champion",
    "RolledBack": "the trained model before the champion answers again",
    "ChampionLoaded": "this node answers with another trained model from here on",
    "ExamplesImported": "labelled texts were taken into the training store; how many were new, changed and bad",
    "ExampleSettled": "a person decided about a doubtful label",
    "ExamplesForgotten": "what was copied of a complaint into the training store is gone",
    "Drift": "incoming complaints or corrections have moved away from what the trained model knows, with the figure",
    "DeliveryAttempt": "an event was sent to an endpoint, with what came of it",
    "Delivered": "an endpoint has accepted an event",
    "EndpointDisabled": "an endpoint said 410, or a person switched it off; what is for it waits until it is switched on",
    "EndpointEnabled": "a person switched an endpoint on",
    "EndpointFailing": "an endpoint failed again and again and is only tried now and then; everything for it is kept",
    "EndpointOff": "an endpoint is not sent to, because a key, secret or password of its own cannot be used; everything for it is kept",
    "EndpointBack": "an endpoint that was away can be reached again; what waited is sent",
    "AnswersWait": "nothing can be mailed, because the password or certificate of outgoing mail cannot be used; tried again by itself",
    "AnswerSent": "an answer to a customer was taken by the mail server",
    "AnswerRetried": "an answer could not be mailed now and will be tried again",
    "AnswerFailed": "an answer is given up; `call` says whether the customer is on the call list now",
    "AnswerSuppressed": "an answer is not sent, and why: a machine wrote, a limit was reached, nobody can be reached",
    "Called": "somebody rang a customer of the call list",
    "StatusTaken": "a tracking system said how the handling stands, and what followed from it",
    "StatusRefused": "what was said to be a tracking system's word was not truly signed, too old, or about no complaint of ours",
    "PollFailing": "a tracker could not be asked how its tickets stand three times in a row; everything is asked later",
    "PollBack": "a tracker that could not be asked answers again",
    "Reconciled": "every submission of the last weeks is accounted for",
    "Unexplained": "submissions of the last weeks are neither delivered nor waiting; how many",
    "Redelivered": "a person asked for deliveries to be made once more; how many",
    "EndpointTested": "a person sent an endpoint a test; what came of it",
    "SecretRotated": "an endpoint has a new signing secret; until when the former one signs too",
    "NoticesTold": "a robot told people what they are to know; how many notices stood in the message",
    "NoticesNotTold": "a robot could not tell people: why, in both languages, and for how long it is left alone; tried again by itself",
    "RobotOff": "a robot tells nobody, because its address, secret or settings will not do; what it is to tell waits",
    "RobotTested": "a person had a robot send a test; what came of it",
    "Retry": "a job failed and will be tried again",
    "Parked": "a job was put aside with its reason",
    "Replayed": "a parked job was put back",
    "LeaseLost": "another worker had taken the job over; nothing of ours was written",
    "BucketAway": "the bucket cannot be reached or does not let us in; it is tried again at each look",
    "BucketBack": "the bucket answers again",
    "Quarantined": "a dropped file cannot be taken in and was set aside",
    "MailboxUp": "a mailbox can be looked into, for the first time or again",
    "MailboxFailing": "a mailbox could not be looked into three times in a row or for ten minutes; said once, then each hour",
    "MailboxRenumbered": "a mail server has given all mails of a folder new numbers; what is known is known again by its content",
    "MailSetAside": "a mail cannot be fetched from its mailbox and was put aside with its reason",
    "MailNotMoved": "a mail is safe but could not be moved or flagged in its mailbox",
    "TokenExpiring": "the refresh token of a mailbox ends within a week",
    "LookAsked": "a person asked for a look into a mailbox, or had mails of it tried again",
    "TermsRead": "the staff's `terms.txt` is in use; how many terms it adds and how much of it was left out",
    "TermsLeftOut": "something in `terms.txt` that does not count, and why",
    "TermsNotRead": "`terms.txt` cannot be used, with the line that is wrong; the sorting goes on without it",
    "SignedIn": "a person signed in to the console",
    "SignInRefused": "a wrong name or password, or another try too soon",
    "PasswordSet": "a person used a one-time link and set a password",
    "PeopleChanged": "a person was added, invited, disabled, or given a role",
    "TokensChanged": "a program's token was made or disabled",
    "AcceptorEnded": "a process that takes mail in ended by itself and is started again",
    "RelayRefused": "a mail relay's wrong name or password, or another try too soon",
    "Fault": "something of ours failed; the work goes on",
}

_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
_WARN = frozenset(
    {
        "NotAccepted",
        "Retry",
        "Parked",
        "EndpointDisabled",
        "AnswersWait",
        "AnswerRetried",
        "AnswerFailed",
        "AnswerSuppressed",
        "Bounced",
        "BucketAway",
        "Quarantined",
        "LeaseLost",
        "MailboxFailing",
        "MailSetAside",
        "MailNotMoved",
        "TokenExpiring",
        "EndpointFailing",
        "EndpointOff",
        "RobotOff",
        "NoticesNotTold",
        "StatusRefused",
        "PollFailing",
        "Unexplained",
        "TermsLeftOut",
        "TermsNotRead",
        "RetrainingFailed",
        "AcceptorEnded",
        "Drift",
        "Fault",
    }
)


# Made once: `json.dumps` makes a new one for every line.
_SPELL = json.JSONEncoder(ensure_ascii=False, default=repr).encode


def _in_order(_logger: object, _method: str, line: MutableMapping[str, Any]) -> dict[str, Any]:
    """When, how bad, what, about which complaint; then the rest."""
    first = {"time": line.pop("timestamp"), "level": line.pop("level"), "verb": line.pop("event")}
    if "number" in line:
        first["number"] = line.pop("number")
    return {**first, **line}


class OperatorLog:
    """Writes the operator log. `stream` defaults to standard error."""

    def __init__(
        self,
        format: Literal["json", "console"] = "json",
        level: str = "info",
        stream: TextIO | None = None,
    ) -> None:
        self._stream = stream or sys.stderr
        self._json, self._level, self._now = format == "json", _LEVELS[level], SystemClock().now
        # Lines that could not be written.
        self.lost = 0
        renderer: Any = (
            structlog.processors.JSONRenderer(ensure_ascii=False)
            if format == "json"
            else structlog.dev.ConsoleRenderer(colors=self._stream.isatty())
        )
        self._log: Any = structlog.wrap_logger(
            structlog.WriteLogger(self._stream),
            processors=[
                structlog.processors.add_log_level,
                structlog.processors.TimeStamper(fmt="iso", utc=True),
                # A renderer for people knows the verb by the library's own name.
                *([_in_order] if format == "json" else []),
                renderer,
            ],
            wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
            cache_logger_on_first_use=True,
        )

    def write(self, verb: str, number: str | None = None, **fields: object) -> None:
        """One line. `verb` must be in `VERBS`; `event`, `level` and `timestamp` are taken."""
        if verb not in VERBS:
            raise KeyError(verb)
        told = {"number": number, **fields} if number else fields
        if self._json and self._level <= logging.INFO and verb not in _WARN:
            self._emit(self._quickly, verb, told)
            return
        self._emit(self._log.warning if verb in _WARN else self._log.info, verb, told)

    def write_all(self, lines: Sequence[tuple[str, str, Mapping[str, object]]]) -> None:
        """Several lines at once (verb, number, the rest), which is cheaper than one by one."""
        if not self._json or self._level > logging.INFO or any(verb in _WARN for verb, _, _ in lines):
            for verb, number, fields in lines:
                self.write(verb, number, **fields)
            return
        for verb, _, _ in lines:
            if verb not in VERBS:
                raise KeyError(verb)
        self._emit(self._quickly, "", {"lines": [(verb, {"number": number, **told} if number else told) for verb, number, told in lines]})

    def _quickly(self, verb: str, *, lines: Sequence[tuple[str, Mapping[str, object]]] = (), **told: object) -> None:
        """The same lines as the library makes, for the many that say that all is well: two of them go with every delivery."""
        at = self._now().isoformat(timespec="microseconds").replace("+00:00", "Z")
        spelt = [_SPELL({"time": at, "level": "info", "verb": name, **rest}) + "\n" for name, rest in lines or [(verb, told)]]
        self._stream.write("".join(spelt))
        self._stream.flush()

    def fault(self, where: str, error: BaseException, number: str | None = None) -> None:
        """A fault of ours, with the place in the code but without the error's own text, which may quote a customer."""
        last = error.__traceback__
        while last is not None and last.tb_next is not None:
            last = last.tb_next
        place = f"{last.tb_frame.f_code.co_filename.rsplit('/', 1)[-1]}:{last.tb_lineno}" if last else ""
        told = {"number": number} if number else {}
        self._emit(self._log.error, "Fault", {"where": where, "error": type(error).__name__, "place": place, **told})

    def _emit(self, write: Callable[..., None], verb: str, told: Mapping[str, object]) -> None:
        """A log that cannot be written (a full disk, a reader that went away) must stop neither acceptance nor work."""
        try:
            write(verb, **told)
        except (OSError, ValueError):
            self.lost += 1
