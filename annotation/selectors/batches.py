"""How far batches are, how fast they go, when they will be done."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from django.db.models import Count, Min, QuerySet
from django.db.models.functions import TruncDate
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from accounts.models import Actor, Project
from annotation.models import Annotation, Batch, Slot, Task
from ground import clock, formats
from ground.charts import Band, Chart, Line, line_chart
from ground.errors import NotFound
from measures.forecast import MOST_DAYS, Forecast, finish

DAY = timedelta(days=1)
FURTHEST = 365
"""Days ahead that a picture shows at most."""


@dataclass(frozen=True)
class Progress:
    """Judgements of a batch: wanted in all (no more than its budget), given, in hand, open, held back by the budget."""

    wanted: int = 0
    done: int = 0
    in_hand: int = 0
    open: int = 0
    held: int = 0

    @property
    def remaining(self) -> int:
        return self.wanted - self.done


def batches_of(project: Project) -> QuerySet[Batch]:
    return Batch.objects.filter(project=project)


def get_batch_for(actor: Actor, public_id: str) -> Batch:
    """Errors: NotFound."""
    batch = (
        Batch.objects.filter(project_id=actor.project_id, public_id=public_id.replace("\x00", ""))
        .select_related("project")
        .first()
    )
    if batch is None:
        raise NotFound(_("There is no batch %(id)s here.") % {"id": public_id[:60]})
    return batch


def progress_of(batches: Iterable[Batch]) -> dict[int, Progress]:
    """By batch, in one statement. Gold is not counted: it checks people, nobody asked for its answers."""
    rows = {batch.pk: batch for batch in batches}
    counts: dict[int, Counter[int]] = {pk: Counter() for pk in rows}
    slots = Slot.objects.filter(task__batch__in=rows, task__purpose=Task.Purpose.PRODUCTION)
    for pk, state, count in slots.order_by().values_list("task__batch", "state").annotate(n=Count("pk")):
        counts[pk][state] = count
    return {pk: _progress(batch, counts[pk]) for pk, batch in rows.items()}


def _progress(batch: Batch, counts: Counter[int]) -> Progress:
    done, hand = counts[Slot.State.DONE], counts[Slot.State.LEASED] + counts[Slot.State.PARKED]
    asked = done + hand + counts[Slot.State.OPEN] + counts[Slot.State.HELD]
    wanted = asked if batch.budget is None else min(asked, max(batch.budget, done + hand))
    return Progress(wanted, done, hand, counts[Slot.State.OPEN], counts[Slot.State.HELD])


def _given(batch: Batch) -> QuerySet[Annotation]:
    said = Annotation.objects.filter(task__batch=batch, counted=True, settlement=False)
    return said.filter(task__purpose=Task.Purpose.PRODUCTION)


def given_by_day(batch: Batch) -> dict[date, int]:
    """Judgements that count, by the (UTC) day they were given."""
    days = _given(batch).annotate(day=TruncDate("created_at")).values_list("day").annotate(n=Count("pk"))
    return dict(days.order_by("day"))


def latest_days(batch: Batch, now: datetime) -> list[int]:
    """Judgements in each of the last (at most seven) whole spans of 24 hours since the first one, the latest first."""
    first = _given(batch).aggregate(first=Min("created_at"))["first"]
    if first is None:
        return []
    spans = min((now - first) // DAY, MOST_DAYS)
    recent = _given(batch).filter(created_at__gte=now - spans * DAY).values_list("created_at", flat=True)
    counts = Counter(max(-((at - now) // DAY) - 1, 0) for at in recent)
    return [counts[ago] for ago in range(spans)]


def forecast_of(batch: Batch, progress: Progress) -> Forecast | None:
    """None when there is too little work to tell, or the batch does not run."""
    if batch.state != Batch.State.RUNNING:
        return None
    return finish(progress.remaining, latest_days(batch, clock.now()))


def forecast_words(batch: Batch, progress: Progress, forecast: Forecast | None) -> str:
    """The forecast as a sentence, with its doubt and what it rests on."""
    if not progress.wanted:
        return _("There is nothing to judge in it yet.")
    if not progress.remaining:
        return _("All its judgements are in.")
    if batch.state != Batch.State.RUNNING:
        return _("It is not running, so nothing is forecast.")
    if forecast is None:
        return _("Too little work to tell: a forecast needs work on three of the last days.")
    words = {"soonest": _day(forecast.soonest), "rate": formats.number(forecast.per_day), "n": forecast.over}
    if forecast.latest is None or forecast.latest > FURTHEST:
        return (
            _(
                "Done on %(soonest)s at the earliest; the last %(n)d days (%(rate)s a day) differ too much to say the latest."
            )
            % words
        )
    return _(
        "Done between %(soonest)s and %(latest)s if the days ahead are like the last %(n)d, %(rate)s a day on average "
        "(95 %% interval from day to day)."
    ) % {**words, "latest": _day(forecast.latest)}


def forecast_short(progress: Progress, forecast: Forecast | None) -> str:
    """The same for a table: from the earliest to the latest day."""
    if not progress.remaining:
        return formats.NOTHING
    if forecast is None:
        return _("too little to tell")
    if forecast.latest is None or forecast.latest > FURTHEST:
        return _("not before %s") % _day(forecast.soonest)
    return _("%(soonest)s to %(latest)s") % {"soonest": _day(forecast.soonest), "latest": _day(forecast.latest)}


def _day(days: float) -> str:
    return day_text((clock.now() + timedelta(days=min(days, 50 * FURTHEST))).date().toordinal())


def day_text(ordinal: float) -> str:
    """A day of the picture: 7 Dec 2026."""
    return date_format(date.fromordinal(round(ordinal)), "j M Y")


def is_late(batch: Batch, progress: Progress) -> bool:
    return bool(batch.due_on and batch.due_on < clock.now().date() and progress.remaining)


def burndown(batch: Batch, progress: Progress, forecast: Forecast | None) -> Chart:
    """What remained each evening, the straight line to the due date, and the forecast with its band.

    Drawn with the number wanted today, whenever the tasks came in.
    """
    today = clock.now().date().toordinal()
    given = given_by_day(batch)
    first = min([batch.created_at.date(), *given]).toordinal()
    actual = _actual(given, progress.wanted, first, today)
    lines = [Line(_("remaining"), actual)]
    if batch.due_on and batch.due_on.toordinal() > first - 1:
        lines.append(Line(_("straight to the due date"), _ideal(progress.wanted, first - 1, batch.due_on.toordinal())))
    if forecast is not None and progress.remaining:
        points, band = _ahead(progress.remaining, forecast, today)
        lines.append(Line(_("forecast"), points, band))
    title = _("Judgements that remain, day by day")
    return line_chart(lines, title=title, x_title=_("evening of"), floor=0, x_text=day_text, height=220)


def _actual(given: dict[date, int], wanted: int, first: int, today: int) -> list[tuple[float, float | None]]:
    """From the evening before the first day. A judgement of today counts already."""
    points: list[tuple[float, float | None]] = [(first - 1, wanted)]
    left = wanted
    for day in range(first, today + 1):
        left -= given.get(date.fromordinal(day), 0)
        points.append((day, max(left, 0)))
    return points


def _ideal(wanted: int, start: int, due: int) -> Sequence[tuple[float, float | None]]:
    stride = max((due - start) // FURTHEST, 1)
    days = sorted({*range(start, due, stride), due})
    return [(day, wanted * (due - day) / (due - start)) for day in days]


def _ahead(remaining: int, forecast: Forecast, today: int) -> tuple[list[tuple[float, float | None]], list[Band]]:
    """Until the latest day, or three times as long as expected where no latest can be told."""
    far = forecast.latest if forecast.latest is not None else 3 * forecast.days
    days = range(min(int(far) + 2, FURTHEST))
    left = lambda rate, day: max(remaining - rate * day, 0.0)  # noqa: E731
    points: list[tuple[float, float | None]] = [(today + day, left(forecast.per_day, day)) for day in days]
    band: list[Band] = [(today + day, left(forecast.high, day), left(forecast.low, day)) for day in days]
    return points, band
