"""A verdict: the classifier's answer, with its probabilities and its reasons."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from models.complaint import Customer


class ComplaintClass(StrEnum):
    """What a complaint is about (预案 二), or none of the four."""

    PRODUCT_QUALITY = "product_quality"
    SERVICE_ATTITUDE = "service_attitude"
    CONTRACT = "contract"
    PRICE = "price"
    OTHER = "other"

    @property
    def zh(self) -> str:
        """The Chinese name that people read."""
        return _CHINESE[self]


_CHINESE: Mapping[ComplaintClass, str] = {
    ComplaintClass.PRODUCT_QUALITY: "产品质量",
    ComplaintClass.SERVICE_ATTITUDE: "服务态度",
    ComplaintClass.CONTRACT: "合同问题",
    ComplaintClass.PRICE: "价格问题",
    ComplaintClass.OTHER: "其他",
}


class Risk(StrEnum):
    """What may come of a complaint (预案 二)."""

    SAFETY = "safety"
    LEGAL = "legal"
    REPUTATION = "reputation"
    CHURN = "churn"


class Decision(StrEnum):
    """Whether the verdict is sure enough to route by itself, or goes to a person first (预案 4.2)."""

    AUTO = "auto"
    REVIEW = "review"
    # Staff has said what the class is.
    PERSON = "person"


@dataclass(frozen=True, slots=True)
class Reason:
    """A word that decided. `weight` is its part of the class's score (positive: for, negative: against);
    `spans` are the half-open character ranges of the text where it stands, where it can be pointed at."""

    term: str
    weight: float
    spans: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Verdict:
    """The classifier's answer for one text.

    probabilities: of all five classes, adding up to 1.
    secondary:     further classes that the text complains of, most likely first.
    candidates:    the likeliest two classes, shown to the person who reviews.
    decision_code: why it was routed alone or not; one of `sure`, `unsure`, `nothing_to_go_by`, `decided_by_person`.
    trained_model: version of the trained model that said so.
    """

    primary: ComplaintClass
    probabilities: Mapping[ComplaintClass, float]
    secondary: tuple[ComplaintClass, ...]
    decision: Decision
    decision_code: str
    candidates: tuple[ComplaintClass, ComplaintClass]
    risk: tuple[Risk, ...]
    reasons: tuple[Reason, ...]
    customer: Customer
    trained_model: str
