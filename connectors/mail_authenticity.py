"""Whether a mail comes from the domain that it names: SPF (RFC 7208), DKIM (RFC 6376) and DMARC (RFC 7489), recorded and never enforced.

A complaint is taken in whatever comes out here; staff see it beside the message. The only home of dkimpy.
"""

from __future__ import annotations

import ipaddress
import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import dkim

from connectors import spf
from connectors.dns_lookup import DnsAway, Lookup, NoDns
from connectors.mail_defects import DEFAULT_LIMITS, Budget
from connectors.mail_headers import read_block
from models.submission import Submission

# The library tells of each signature that does not fit.
_QUIET = logging.Logger("dkim", logging.CRITICAL + 1)
# So many signatures of one mail are looked at.
_MOST_SIGNATURES = 5
# How many labels of a domain the walk to its organisation looks at (a longer name is cut first).
_MOST_LABELS = 8
_TAG = re.compile(r"\s*([A-Za-z0-9_]+)\s*=\s*([^;]*)")
_STAMPED = re.compile(r"(?:^|;)\s*(spf|dkim|dmarc)\s*=\s*([a-z]+)")
_RESULTS = frozenset({"pass", "fail", "softfail", "neutral", "none", "temperror", "permerror", "policy", "bestguesspass"})


@dataclass(frozen=True, slots=True)
class AuthenticityOptions:
    """How mail is checked; the meaning of each is in docs/configuration.md, `[smtp]`, from `senders` on."""

    senders: str = "auto"
    authserv_id: str = ""
    trusted_relays: Sequence[str] = ()
    dns_servers: Sequence[str] = ()
    dns_seconds: float = 10.0


class Authenticity:
    """Checks mails of the door for mail."""

    def __init__(self, options: AuthenticityOptions) -> None:
        self._options = options

    def wanted(self, submission: Submission) -> bool:
        """Whether this one is to be checked."""
        envelope = submission.envelope
        if envelope.get("door") != "smtp" or self._options.senders == "off":
            return False
        return self._options.senders == "always" or self._of_our_relay(submission) or _is_public(str(envelope.get("peer", "")))

    def check(self, submission: Submission, from_email: str) -> dict[str, Any]:
        """What is recorded: `by` (who found it out), `spf`, `dkim`, `dmarc`, each with its domain, or `reason` where nobody could.

        Raises nothing: what is wrong with the mail or with the DNS is a result.
        """
        if self._of_our_relay(submission):
            stamped = self._stamped(submission.raw)
            if stamped is not None:
                return stamped
        try:
            lookup = Lookup(self._options.dns_servers, self._options.dns_seconds)
        except NoDns:
            return {"by": "jiesu", "reason": "no_dns"}
        envelope = submission.envelope
        sender = str(envelope.get("mail_from", ""))
        relayed = self._by_relay(submission)
        if relayed:
            # From which address it came to the relay is not known any more.
            said, spf_domain = "none", sender.rpartition("@")[2]
        else:
            said, spf_domain = spf.check(lookup, str(envelope.get("peer", "")), sender, str(envelope.get("helo", "")))
        signatures = _signatures(submission.raw, lookup)
        policy = _dmarc(lookup, from_email.rpartition("@")[2].lower(), said, spf_domain.lower(), signatures)
        if relayed and policy["result"] == "fail":
            policy["result"] = "none"
        return {"by": "jiesu", "spf": {"result": said, "domain": spf_domain}, "dkim": signatures, "dmarc": policy}

    def _of_our_relay(self, submission: Submission) -> bool:
        """Whether the one who handed it in may say what he found out."""
        return bool(self._options.authserv_id) and self._by_relay(submission)

    def _by_relay(self, submission: Submission) -> bool:
        """Whether a relay of ours handed it in."""
        if submission.envelope.get("logged_in"):
            return True
        try:
            ip = ipaddress.ip_address(str(submission.envelope.get("peer", "")))
        except ValueError:
            return False
        return any(ip in ipaddress.ip_network(relay, strict=False) for relay in self._options.trusted_relays)

    def _stamped(self, raw: bytes) -> dict[str, Any] | None:
        """What our relay wrote into the topmost Authentication-Results of its own (RFC 8601); those below may be anybody's."""
        headers, _ = read_block(raw, 0, len(raw), True, Budget(DEFAULT_LIMITS), set())
        for value in headers.every("authentication-results"):
            text = _plain(value.decode("utf-8", "replace")).lower()
            name, _, results = text.partition(";")
            if name.split()[:1] == [self._options.authserv_id.lower()]:
                found = {kind: said for kind, said in _STAMPED.findall(results) if said in _RESULTS}
                about = {
                    "spf": re.search(r"smtp\.mailfrom\s*=\s*([^\s;]+)", results),
                    "dkim": re.search(r"header\.d\s*=\s*([^\s;]+)", results),
                    "dmarc": re.search(r"header\.from\s*=\s*([^\s;]+)", results),
                }
                domains = {kind: match[1].rpartition("@")[2] if match else "" for kind, match in about.items()}
                dkims = [{"result": found["dkim"], "domain": domains["dkim"]}] if "dkim" in found else []
                return {
                    "by": self._options.authserv_id,
                    "spf": {"result": found.get("spf", "none"), "domain": domains["spf"]},
                    "dkim": dkims,
                    "dmarc": {"result": found.get("dmarc", "none"), "domain": domains["dmarc"]},
                }
        return None


def _is_public(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_global
    except ValueError:
        return False


def _plain(value: str) -> str:
    """Without comments and quoted texts, which may hold anything."""
    value = re.sub(r'"(?:[^"\\]|\\.)*"', " ", value[:8192])
    while (shorter := re.sub(r"\([^()]*\)", " ", value)) != value:
        value = shorter
    return " ".join(value.split())


def _signatures(raw: bytes, lookup: Lookup) -> list[dict[str, str]]:
    """What each DKIM signature of the mail is worth."""

    def key_of(name: bytes, timeout: int = 5) -> bytes | None:
        records = lookup.txt(name.decode("ascii", "replace"))
        return records[0].encode("utf-8", "replace") if records else None

    found: list[dict[str, str]] = []
    try:
        mail = dkim.DKIM(raw, logger=_QUIET, minkey=1024, timeout=5, tlsrpt=False)
        count = min(_MOST_SIGNATURES, sum(1 for name, _ in mail.headers if name.lower() == b"dkim-signature"))
    except Exception:
        # The library raises several things on what is no mail.
        return found
    for place in range(count):
        try:
            result = "pass" if mail.verify(idx=place, dnsfunc=key_of) else "fail"
        except DnsAway:
            result = "temperror"
        except dkim.ValidationError as error:
            # A body that was changed is a signature that fails; the library's error for it is that of malformed ones (RFC 8601 2.7.1).
            result = "fail" if str(error).startswith("body hash mismatch") else "permerror"
        except Exception:
            result = "permerror"
        domain = mail.domain or b""
        found.append({"result": result, "domain": domain.decode("ascii", "replace").lower()})
    return found


def _dmarc(lookup: Lookup, from_domain: str, spf_result: str, spf_domain: str, signatures: list[dict[str, str]]) -> dict[str, str]:
    """Whether what passed belongs to the domain that the reader sees, and what that domain asks for otherwise."""
    if not from_domain:
        return {"result": "permerror", "domain": ""}
    try:
        where, tags = _policy(lookup, from_domain)
        if not tags:
            return {"result": "none", "domain": from_domain}
        policy = tags.get("p", "none") if where == from_domain else tags.get("sp", tags.get("p", "none"))
        told = {"domain": from_domain, "policy": policy.lower()}

        def aligned(domain: str, strict: bool) -> bool:
            return domain == from_domain or (
                not strict and bool(domain) and _organisation(lookup, domain) == _organisation(lookup, from_domain)
            )

        if spf_result == "pass" and aligned(spf_domain, tags.get("aspf", "r").lower() == "s"):
            return {"result": "pass", **told}
        if any(one["result"] == "pass" and aligned(one["domain"], tags.get("adkim", "r").lower() == "s") for one in signatures):
            return {"result": "pass", **told}
    except DnsAway:
        return {"result": "temperror", "domain": from_domain}
    unsure = spf_result == "temperror" or any(one["result"] == "temperror" for one in signatures)
    return {"result": "temperror" if unsure else "fail", **told}


def _record(lookup: Lookup, domain: str) -> dict[str, str]:
    """The DMARC record of exactly this domain; empty where there is none, or more than one."""
    records = [text for text in lookup.txt(f"_dmarc.{domain}") if re.match(r"v\s*=\s*DMARC1\s*(?:;|$)", text)]
    return {key.lower(): value.strip() for key, value in _TAG.findall(records[0])} if len(records) == 1 else {}


def _walk(domain: str) -> list[str]:
    """The domain and those above it, down to two labels; in place of a list of public suffixes, which would have to be kept up."""
    labels = domain.strip(".").split(".")
    names = [domain.strip(".")]
    labels = labels[-_MOST_LABELS + 1 :] if len(labels) > _MOST_LABELS else labels[1:]
    while len(labels) >= 2:
        names.append(".".join(labels))
        labels = labels[1:]
    return names


def _policy(lookup: Lookup, domain: str) -> tuple[str, dict[str, str]]:
    """Where the policy for a domain stands, and its tags: its own, else of the nearest domain above it."""
    for name in _walk(domain):
        tags = _record(lookup, name)
        if tags:
            return name, tags
    return domain, {}


def _organisation(lookup: Lookup, domain: str) -> str:
    """The topmost domain above with a policy, unless one says that it ends there (`psd=n`); the domain itself where there is none."""
    top = domain
    for name in _walk(domain):
        tags = _record(lookup, name)
        if tags.get("psd", "").lower() == "y":
            break
        if tags:
            top = name
            if tags.get("psd", "").lower() == "n":
                break
    return top
