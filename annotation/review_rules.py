"""Why a task is reviewed: draws that always fall the same, and the reasons that apply to a task's answers. Pure."""

import hashlib
import hmac
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from annotation.schemas import flags_in

DISAGREEMENT, FLAG, SAMPLE, ANNOTATOR, ASKED = "disagreement", "flag", "sample", "annotator", "asked"


@dataclass(frozen=True)
class Said:
    """An answer that counts, as the rules look at it. `ruled`: a settled case has spoken of it."""

    key: int
    answers: Mapping[str, Any]
    watched_rate: float = 0
    ruled: bool = False


@dataclass(frozen=True)
class Look:
    """A task's answers and what its queue asks of them. `reviewed`: it was settled before, so it is no sample any more."""

    task: int
    complete: bool
    agreement: float | None
    said: Sequence[Said]
    review_below: float | None = None
    review_flags: bool = True
    review_rate: float = 0
    reviewed: bool = False
    asked: bool = False
    secret: str = field(default="", repr=False)


def is_drawn(secret: str, name: str, rate: float) -> bool:
    """Whether `name` falls into a share of `rate`: keyed, so nobody can guess it, and the same however often it is asked.

    Whatever is drawn at a rate is drawn at every higher one.
    """
    if rate <= 0 or rate >= 1:
        return rate >= 1
    digest = hmac.new(secret.encode(), name.encode(), hashlib.sha256).digest()
    return int.from_bytes(digest[:8], "big") < rate * 2**64


def reasons_for(look: Look) -> list[str]:
    """Every reason that applies, in a fixed order. An answer that a ruling spoke of is no reason again; disagreement is."""
    fresh = [said for said in look.said if not said.ruled]
    applies = {
        DISAGREEMENT: look.complete and _is_below(look.agreement, look.review_below),
        FLAG: look.review_flags and any(flags_in(said.answers) for said in fresh),
        SAMPLE: look.complete
        and not look.reviewed
        and is_drawn(look.secret, f"review sample:{look.task}", look.review_rate),
        ANNOTATOR: any(is_drawn(look.secret, f"watched:{said.key}", said.watched_rate) for said in fresh),
        ASKED: look.asked,
    }
    return [reason for reason, holds in applies.items() if holds]


def _is_below(agreement: float | None, threshold: float | None) -> bool:
    return agreement is not None and threshold is not None and agreement < threshold


def shuffled_key(secret: str, case: str, annotation: str) -> str:
    """A name for an answer inside its case: it says nothing of who answered or when, and sorts the answers at random."""
    digest = hmac.new(secret.encode(), f"{case}:{annotation}".encode(), hashlib.sha256).hexdigest()
    return f"ans_{digest[:16]}"


def merged(before: Collection[str], now: Sequence[str]) -> list[str]:
    """`now`, and whether somebody asked, which no recomputation takes back."""
    return [*now, ASKED] if ASKED in before and ASKED not in now else list(now)
