"""The projection: what people said becomes preferences, pulled from the outbox.

What counts is the state of the source when it is looked at, under its row lock, never the order of the outbox rows: so late
commits, duplicates and two projectors at once all end in the same preferences. A source that counts is in force, unless a
reviewer's settlement counts for its task: then that alone is. An overruled answer keeps its row, withdrawn: win rates read it.
"""

from collections.abc import Collection, Iterable
from datetime import datetime

from django.db import transaction
from django.db.models import Max, Prefetch, Q, QuerySet

from accounts.models import Project
from annotation.models import Annotation, Candidate
from feedback.data import Candidacy, Projected
from feedback.models import FeedbackEvent, Preference
from feedback.projection import PROJECTOR, from_annotation, from_comparison, from_correction
from ground import clock
from jobs.models import Outbox
from models_registry.models import Completion

CONSUMER = "preferences"
OF_ANNOTATIONS = ("annotation.submitted", "annotation.withdrawn", "annotation.settled")
OF_FEEDBACK = ("feedback.received", "feedback.withdrawn")
BATCH = 500


def waiting() -> QuerySet[Outbox]:
    """Outbox rows this floor consumes. A topic it does not know stays where it is and blocks nobody."""
    return Outbox.objects.filter(consumer=CONSUMER, topic__in=(*OF_ANNOTATIONS, *OF_FEEDBACK))


def project_outbox(*, limit: int = BATCH) -> int:
    """Project up to `limit` waiting rows; how many were consumed. Rows another projector holds are left to it."""
    return _consume(waiting(), limit=limit, skip_locked=True) if waiting().exists() else 0


def drain_outbox() -> None:
    """Project everything that waits now, waiting for other projectors too. What arrives meanwhile is left for later."""
    last = waiting().aggregate(last=Max("id"))["last"] or 0
    while _consume(waiting().filter(id__lte=last), limit=BATCH, skip_locked=False):
        pass


@transaction.atomic
def _consume(rows: QuerySet[Outbox], *, limit: int, skip_locked: bool) -> int:
    """The rows go in the transaction that writes their preferences: a crash between the two cannot be."""
    held = list(rows.select_for_update(skip_locked=skip_locked).order_by("id")[:limit])
    _project_annotations({row.object_id for row in held if row.topic in OF_ANNOTATIONS})
    _project_events({row.object_id for row in held if row.topic in OF_FEEDBACK})
    Outbox.objects.filter(pk__in=[row.pk for row in held]).delete()
    return len(held)


def rebuild_preferences(*, project: Project) -> int:
    """Make the project's preferences again from their sources, in place; how many are in force then."""
    for chunk in _chunks(Annotation.objects.filter(project=project).order_by("pk").values_list("pk", flat=True)):
        with transaction.atomic():
            _project_annotations(chunk)
    for chunk in _chunks(FeedbackEvent.objects.filter(project=project).order_by("pk").values_list("pk", flat=True)):
        with transaction.atomic():
            _project_events(chunk)
    return Preference.objects.filter(project=project, projector=PROJECTOR, withdrawn_at=None).count()


def _chunks(keys: Iterable[int]) -> Iterable[list[int]]:
    known = list(keys)
    return (known[start : start + BATCH] for start in range(0, len(known), BATCH))


def _project_annotations(keys: Collection[int]) -> None:
    """Write the preferences of counted annotations, withdraw those of the others. A settlement brings its task's answers along.

    The lock on the annotation keeps an undo from committing between our look at it and our commit. Settlements are read after it
    was taken: whoever settles announces every answer afterwards, and that projection waits for this one.
    """
    settled = Annotation.objects.filter(pk__in=keys, settlement=True).values_list("task_id", flat=True)
    wanted = Q(pk__in=keys) | Q(task_id__in=list(settled))
    locked = Annotation.objects.filter(wanted).select_for_update(of=("self",), no_key=True).order_by("pk")
    candidates = Candidate.objects.select_related("completion").defer("completion__text")
    rows = locked.select_related("task__schema", "withdrawal").prefetch_related(
        Prefetch("task__candidates", candidates)
    )
    overruled = _settled_at({annotation.task_id for annotation in rows})
    kept: list[Preference] = []
    for annotation in rows:
        if annotation.counted:
            at = None if annotation.settlement else overruled.get(annotation.task_id)
            kept.extend(_of_annotation(annotation, withdrawn_at=at))
        else:
            said = getattr(annotation, "withdrawal", None)
            _withdraw(Preference.objects.filter(annotation=annotation), said.created_at if said else clock.now())
    _write(kept, source="annotation")


def _settled_at(tasks: Collection[int]) -> dict[int, datetime]:
    """Task → since when a settlement stands in the place of its answers."""
    settlements = Annotation.objects.filter(task_id__in=tasks, settlement=True, counted=True)
    return dict(settlements.values_list("task_id", "created_at"))


def _of_annotation(annotation: Annotation, *, withdrawn_at: datetime | None) -> list[Preference]:
    if annotation.task.is_gold:
        return []  # it tells of its author; what is right was known before
    projected = from_annotation(
        questions=annotation.task.schema.body["questions"],
        answers=annotation.answers,
        candidates=[_candidacy(row.completion, row.ordinal) for row in annotation.task.candidates.all()],
        display_order=annotation.display_order,
    )
    if projected is None:
        return []
    row = _row(projected, annotation, annotation=annotation)
    row.withdrawn_at = withdrawn_at
    return [row]


def _project_events(keys: Collection[int]) -> None:
    events = FeedbackEvent.objects.filter(pk__in=keys, kind__in=("correction", "comparison"), other__isnull=False)
    locked = events.select_for_update(of=("self",), no_key=True).order_by("pk")
    kept: list[Preference] = []
    for event in locked.select_related("completion", "other").defer("completion__text", "other__text"):
        projected = _of_event(event)
        if event.withdrawn_at is not None:
            _withdraw(Preference.objects.filter(event=event), event.withdrawn_at)
        elif projected:
            kept.append(_row(projected, event, event=event))
    _write(kept, source="event")


def _of_event(event: FeedbackEvent) -> Projected | None:
    if event.completion is None or event.other is None:
        return None
    target, other = _candidacy(event.completion, 0), _candidacy(event.other, 1)
    if event.kind == FeedbackEvent.Kind.CORRECTION:
        return from_correction(corrected=other, original=target)
    return from_comparison(first=target, second=other, value=event.value)


def _candidacy(completion: Completion, ordinal: int) -> Candidacy:
    return Candidacy(ordinal=ordinal, completion=completion.pk, prompt=completion.prompt_id)


def _row(projected: Projected, source: Annotation | FeedbackEvent, **key: Annotation | FeedbackEvent) -> Preference:
    return Preference(
        project_id=source.project_id,
        projector=PROJECTOR,
        prompt_id=projected.prompt,
        first_id=projected.first,
        second_id=projected.second,
        outcome=projected.outcome,
        strength=projected.strength,
        first_shown_first=projected.first_shown_first,
        actor_id=source.actor_id,
        created_at=source.created_at,
        **key,
    )


def _write(rows: list[Preference], *, source: str) -> None:
    """Insert, or put right what is there: a row is never deleted, because snapshots point at it."""
    Preference.objects.bulk_create(
        rows,
        update_conflicts=True,
        unique_fields=[source, "projector"],
        update_fields=[
            "prompt",
            "first",
            "second",
            "outcome",
            "strength",
            "first_shown_first",
            "actor",
            "withdrawn_at",
        ],
        batch_size=BATCH,
    )


def _withdraw(rows: QuerySet[Preference], at: datetime) -> None:
    rows.filter(withdrawn_at=None).update(withdrawn_at=at)
