"""One's own work in numbers: how much, how fast, how like the others'. No ranks, no streaks; every share with its doubt."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import date, timedelta
from statistics import median

from django.db.models import Count, Sum
from django.db.models.functions import TruncDate
from django.utils import timezone

from accounts.models import Actor
from annotation.models import Annotation, GoldScore, Schema
from annotation.scoring import likeness
from ground import clock

DAYS = 28
LATEST = 500
"""Answers that pace and agreement look at: the latest, as people change."""
LEAST = 8
"""Tasks below which a share says nothing; `measures` has the same for its clusters."""


@dataclass(frozen=True)
class Share:
    """A mean over `n` tasks with its 95 % interval; without bounds there are too few to tell."""

    n: int
    estimate: float | None = None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Day:
    day: date
    answers: int
    seconds: float | None


@dataclass(frozen=True)
class OwnWork:
    answers: int
    today: int
    seconds: float
    pace: float | None
    paced: int
    agreement: Share
    gold: Share | None
    days: list[Day]


def own_work(actor: Actor) -> OwnWork:
    """Counts what counts, gold too: a number without it would tell which tasks are gold. Days are the reader's."""
    said = Annotation.objects.filter(actor=actor, counted=True, settlement=False)
    whole = said.aggregate(answers=Count("pk"), seconds=Sum("seconds"))
    days = _days(actor)
    pace = _pace(actor)
    return OwnWork(
        answers=whole["answers"],
        today=days[0].answers if days else 0,
        seconds=whole["seconds"] or 0.0,
        pace=median(pace) if pace else None,
        paced=len(pace),
        agreement=_agreement(actor),
        gold=_gold(actor),
        days=days,
    )


def _days(actor: Actor) -> list[Day]:
    """The last four weeks, today first; a day without work is there too, and fine."""
    today = timezone.localdate(clock.now())
    since = clock.now() - timedelta(days=DAYS)
    said = Annotation.objects.filter(actor=actor, counted=True, settlement=False, created_at__gte=since)
    rows = said.annotate(day=TruncDate("created_at")).values("day").annotate(n=Count("pk"), s=Sum("seconds"))
    found = {row["day"]: Day(row["day"], row["n"], row["s"]) for row in rows.order_by()}
    return [found.get(day, Day(day, 0, None)) for day in (today - timedelta(days=back) for back in range(DAYS))]


def _pace(actor: Actor) -> list[float]:
    said = Annotation.objects.filter(actor=actor, counted=True, settlement=False, seconds__isnull=False)
    latest = said.order_by("-pk").values_list("seconds", flat=True)[:LATEST]
    return [seconds for seconds in latest if seconds is not None]


def _agreement(actor: Actor) -> Share:
    """How like others' answers one's own are, task by task: the mean likeness to the others of the task, each task once.

    Others are never shown. A task only this person answered says nothing and is left out; so is gold, which compares with a key.
    """
    mine = Annotation.objects.filter(actor=actor, counted=True, settlement=False, task__purpose=0)
    latest = list(mine.order_by("-pk").values_list("task_id", "task__schema_id", "answers")[:LATEST])
    others: dict[int, list[dict[str, object]]] = defaultdict(list)
    said = Annotation.objects.filter(task__in=[row[0] for row in latest], counted=True, settlement=False)
    for task_id, answers in said.exclude(actor=actor).values_list("task_id", "answers"):
        others[task_id].append(answers)
    values = []
    for task_id, schema_id, answers in latest:
        questions = Schema.body_of(schema_id)["questions"]
        known = [one for one in (likeness(questions, answers, other) for other in others[task_id]) if one is not None]
        if known:
            values.append(sum(known) / len(known))
    return share_of(values)


def _gold(actor: Actor) -> Share | None:
    """Only where the project says at once how a gold answer did: elsewhere a live number would give gold away."""
    told = GoldScore.objects.filter(actor=actor, queue__gold_feedback=True, annotation__counted=True)
    scores = list(told.order_by("-pk").values_list("score", flat=True)[:LATEST])
    return share_of(scores) if scores else None


def share_of(values: list[float]) -> Share:
    """Errors: none; below LEAST values there is an n and nothing else."""
    if len(values) < LEAST:
        return Share(len(values))
    from measures.clusters import mean_interval  # numpy: not at the start of a web process

    found = mean_interval(values)
    return Share(len(values), found.estimate, found.low, found.high)
