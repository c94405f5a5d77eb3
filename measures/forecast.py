"""When work that goes on as it went lately will be done."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from measures.errors import NoData

LEAST_ACTIVE = 3
STUDENT = {2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 6: 2.447}
"""97.5 % points of the t distribution by degrees of freedom (Student 1908)."""
MOST_DAYS = 1 + max(STUDENT)


@dataclass(frozen=True)
class Forecast:
    """Rates in units a day with their 95 % interval; days until nothing remains, `latest` None when the rate may be 0."""

    per_day: float
    low: float
    high: float
    days: float
    soonest: float
    latest: float | None
    over: int


def finish(remaining: int, daily: Sequence[int]) -> Forecast | None:
    """The days `remaining` units take if the days ahead are drawn like those of `daily` (3 to 7 totals of 24 hours each).

    The mean daily total has a t interval with n − 1 degrees of freedom, and the days follow from its two ends. It says how much
    days differed, not what will change. None when fewer than three days saw work.
    """
    if remaining < 0 or len(daily) > MOST_DAYS:
        raise NoData("finish: needs a count of what remains, and at most seven days")
    if sum(count > 0 for count in daily) < LEAST_ACTIVE:
        return None
    n, mean = len(daily), sum(daily) / len(daily)
    variance = sum((count - mean) ** 2 for count in daily) / (n - 1)
    reach = STUDENT[n - 1] * math.sqrt(variance / n)
    low, high = max(mean - reach, 0.0), mean + reach
    latest = remaining / low if low > 0 else None
    return Forecast(mean, low, high, remaining / mean, remaining / high, latest if remaining else 0.0, n)
