"""From which share on a fault is worth a warning, and from which a run is not started. Standard library only."""

from __future__ import annotations

import math
from dataclasses import dataclass

Z = 1.96


@dataclass(frozen=True)
class Limit:
    """Shares from 0 to 1, reached or passed: 0 means any at all, None never.

    `by_chance`: the fault is a tendency of a sample, so what counts is the lower end of its 95 % interval, not the share seen:
    4 of 4 longer answers prove nothing.
    """

    warn: float | None
    block: float | None
    by_chance: bool = False


LIMITS: dict[str, Limit] = {
    "dropped": Limit(warn=0.0, block=0.1),
    "truncated": Limit(warn=0.0, block=0.1),
    "text_cut": Limit(warn=0.0, block=None),
    "no_eos": Limit(warn=0.0, block=0.1),
    "double_bos": Limit(warn=0.0, block=0.0),
    "empty": Limit(warn=0.0, block=0.01),
    "no_text": Limit(warn=0.0, block=None),
    "control_tokens": Limit(warn=0.0, block=0.05),
    "duplicates": Limit(warn=0.02, block=0.5),
    "identical": Limit(warn=0.0, block=0.05),
    "contradictory": Limit(warn=0.02, block=0.2),
    "leaked": Limit(warn=0.0, block=0.01),
    "chosen_longer": Limit(warn=0.6, block=None, by_chance=True),
    "chosen_shorter": Limit(warn=0.6, block=None, by_chance=True),
    "largest_label": Limit(warn=0.9, block=1.0),
    "template_differs": Limit(warn=0.0, block=None),
    "memory": Limit(warn=0.8, block=1.0),
}
"""Length is only warned of: people may well prefer the longer answer; but then length alone wins, and one should know."""


def level(code: str, count: float, of: float) -> str:
    """`ok`, `warn` or `block` for `count` faults in `of`."""
    limit, share = LIMITS[code], count / of if of else 0.0
    if limit.by_chance:
        share = wilson_low(count, of)
    if not count or not of:
        return "ok"
    if limit.block is not None and share >= limit.block:
        return "block"
    return "warn" if limit.warn is not None and share >= limit.warn else "ok"


def wilson_low(count: float, of: float) -> float:
    """Lower end of the 95 % interval of a share (Wilson 1927)."""
    if not of:
        return 0.0
    share, adds = count / of, Z * Z / of
    middle = share + adds / 2
    spread = Z * math.sqrt(share * (1 - share) / of + adds / (4 * of))
    return max(0.0, (middle - spread) / (1 + adds))
