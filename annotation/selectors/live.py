"""The queue this minute, for managers: who holds what, how fast it goes, what waits, what needs a look."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, Q
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from accounts.models import Project
from annotation.models import Annotation, Batch, Case, Lane, PastLease, Queue, Slot, Standing
from ground import clock
from ground.costly import counted

WINDOW = timedelta(hours=1)
STEP = timedelta(minutes=5)
LATEST = 20_000
"""Answers looked at for throughput: those of the last hour, as far as they are among the latest this many."""
ENDING_SOON = timedelta(minutes=2)
MOST_HELD = 100
LEAST_TO_JUDGE = 10


@dataclass(frozen=True)
class Held:
    """A slot in somebody's hands."""

    actor: str
    task: str
    since: datetime | None
    until: datetime | None
    parked: bool
    ending: bool


@dataclass(frozen=True)
class Pace:
    """Answers of the last hour: per step of five minutes, oldest first, named by the minutes since it began; and per person."""

    steps: list[tuple[str, int]]
    people: list[tuple[str, int, float | None]]
    total: int
    surplus: int


@dataclass(frozen=True)
class Waiting:
    """Open places of a queue and batch. `held` wait for a budget."""

    queue: str
    batch: str
    open: int
    held: int
    served: bool


@dataclass(frozen=True)
class Live:
    at: datetime
    held: list[Held]
    more_held: int
    pace: Pace
    backlog: list[Waiting]
    backlog_at: datetime
    alerts: list[str] = field(default_factory=list)

    @property
    def waiting(self) -> int:
        return sum(row.open for row in self.backlog if row.served)

    @property
    def ending(self) -> int:
        return sum(row.ending for row in self.held)

    @property
    def seconds_left(self) -> float | None:
        """How long the open places last at the last hour's pace; None when nobody worked."""
        return WINDOW.total_seconds() * self.waiting / self.pace.total if self.pace.total else None


def live(project: Project) -> Live:
    now = clock.now()
    held = Slot.objects.filter(actor__project=project, state__in=(Slot.State.LEASED, Slot.State.PARKED))
    rows = held.select_related("actor", "task").order_by("lease_expires_at")[:MOST_HELD]
    pace = pace_of(project, now)
    counted_at, backlog = backlog_of(project)
    return Live(
        at=now,
        held=[_held(slot, now) for slot in rows],
        more_held=max(held.count() - MOST_HELD, 0),
        pace=pace,
        backlog=backlog,
        backlog_at=counted_at,
        alerts=alerts_of(project, pace, now),
    )


def _held(slot: Slot, now: datetime) -> Held:
    parked = slot.state == Slot.State.PARKED
    ends = slot.lease_expires_at
    return Held(
        actor=str(slot.actor),
        task=slot.task.public_id,
        since=slot.leased_at,
        until=ends,
        parked=parked,
        ending=not parked and ends is not None and ends - now < ENDING_SOON,
    )


def pace_of(project: Project, now: datetime) -> Pace:
    """Read from the end of the append-only answers, so its cost does not grow with them."""
    latest = Annotation.objects.filter(project=project).order_by("-pk")[:LATEST]
    rows = list(latest.values_list("created_at", "actor__pseudonym", "seconds", "surplus"))
    recent = [row for row in rows if now - row[0] < WINDOW]
    count = int(WINDOW / STEP)
    steps = Counter(int((now - at) / STEP) for at, *_more in recent)
    minutes = int(STEP.total_seconds() // 60)
    return Pace(
        steps=[(str((step + 1) * minutes), steps[step]) for step in reversed(range(count))],
        people=_people(recent),
        total=len(recent),
        surplus=sum(surplus for *_more, surplus in recent),
    )


def _people(recent: list[Any]) -> list[tuple[str, int, float | None]]:
    """Name, answers, and the median seconds of those that were timed."""
    taken: dict[str, list[float]] = {}
    counts: Counter[str] = Counter()
    for _at, name, seconds, _surplus in recent:
        counts[name] += 1
        if seconds is not None:
            taken.setdefault(name, []).append(seconds)
    return [(name, count, _middle(taken.get(name, []))) for name, count in counts.most_common()]


def _middle(values: list[float]) -> float | None:
    return sorted(values)[len(values) // 2] if values else None


def backlog_of(project: Project) -> tuple[datetime, list[Waiting]]:
    """When it was counted, and what waits."""
    return counted(f"backlog:{project.pk}", lambda: _count_backlog(project))


def _count_backlog(project: Project) -> list[Waiting]:
    lanes = Lane.objects.filter(project=project).select_related("queue", "batch")
    by_lane = {lane.pk: lane for lane in lanes}
    waiting = Slot.objects.filter(lane_id__in=by_lane, state__in=(Slot.State.OPEN, Slot.State.HELD))
    counts: dict[tuple[Queue, Batch | None], Counter[int]] = {}
    for lane_id, state, count in waiting.values_list("lane_id", "state").annotate(count=Count("pk")):
        lane = by_lane[lane_id]
        counts.setdefault((lane.queue, lane.batch), Counter())[state] += count
    return sorted(
        (
            Waiting(
                queue=queue.name,
                batch=batch.name if batch else "",
                open=states[Slot.State.OPEN],
                held=states[Slot.State.HELD],
                served=queue.state == Queue.State.RUNNING and (batch is None or batch.state == Batch.State.RUNNING),
            )
            for (queue, batch), states in counts.items()
        ),
        key=lambda row: (row.queue, row.batch),
    )


def alerts_of(project: Project, pace: Pace, now: datetime) -> list[str]:
    """Sentences about what somebody should look at."""
    found = []
    states = (Standing.State.WARNED, Standing.State.PAUSED, Standing.State.BLOCKED)
    for standing in Standing.objects.filter(actor__project=project, state__in=states).select_related("actor", "queue"):
        found.append(
            _("%(who)s is %(state)s in %(queue)s. %(why)s")
            % {
                "who": standing.actor,
                "state": standing.get_state_display(),
                "queue": standing.queue.name,
                "why": standing.reason,
            }
        )
    cases = Case.objects.filter(project=project, state=Case.State.OPEN).count()
    if cases:
        found.append(ngettext("%d task waits for review.", "%d tasks wait for review.", cases) % cases)
    ended = PastLease.objects.filter(lane__project=project, ended_at__gt=now - WINDOW).aggregate(
        expired=Count("pk", filter=Q(ending=PastLease.Ending.EXPIRED)),
        skipped=Count("pk", filter=Q(ending=PastLease.Ending.SKIPPED)),
    )
    for count, share, words in (
        (ended["expired"], 0.1, _("%d leases ran out in the last hour: are tasks too long for their lease?")),
        (ended["skipped"], 0.2, _("%d tasks were skipped in the last hour: read the reasons.")),
    ):
        if count >= LEAST_TO_JUDGE and count > share * max(pace.total, 1):
            found.append(words % count)
    if pace.surplus:
        found.append(
            ngettext(
                "%d answer of the last hour came too late and is kept as surplus.",
                "%d answers of the last hour came too late and are kept as surplus.",
                pace.surplus,
            )
            % pace.surplus
        )
    return found
