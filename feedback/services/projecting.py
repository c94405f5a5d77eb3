"""The projection: what people said becomes preferences, pulled from the outbox.

What counts is the state of the source when it is looked at, under its row lock, never the order of the outbox rows: so late
commits, duplicates and two projectors at once all end in the same preferences. A source that counts is in force, unless a
reviewer's settlement counts for its task: then that alone is. An overruled answer keeps its row, withdrawn: win rates read it.
"""

import logging
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Max, Prefetch, Q, QuerySet

from accounts.models import Project
from annotation.models import Annotation, Candidate
from feedback import chats
from feedback.data import Candidacy, Projected, Written
from feedback.models import Demonstration, FeedbackEvent, Preference
from feedback.projection import PROJECTOR, from_comparison, from_correction, meaning_of
from ground import clock
from ground.errors import Invalid
from jobs.models import Outbox
from models_registry.models import Completion, Prompt
from models_registry.services import keep_prompt, write_completion

log = logging.getLogger(__name__)

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
    rows = locked.select_related("task__schema", "task__prompt__project", "actor", "withdrawal").prefetch_related(
        Prefetch("task__candidates", candidates)
    )
    overruled = _settled_at({annotation.task_id for annotation in rows})
    texts = _texts_of(keys=[annotation.pk for annotation in rows])
    talks = chats.replies_in(rows)
    preferred: list[Preference] = []
    shown: list[Demonstration] = []
    for annotation in rows:
        if annotation.counted:
            at = None if annotation.settlement else overruled.get(annotation.task_id)
            said = _of_annotation(annotation, texts.get(annotation.pk, {}), talks)
            for preference in said[0]:
                preference.withdrawn_at = at
            for written in said[1]:
                written.withdrawn_at = at
            preferred.extend(said[0])
            shown.extend(said[1])
        else:
            withdrawal = getattr(annotation, "withdrawal", None)
            at = withdrawal.created_at if withdrawal else clock.now()
            _withdraw(Preference.objects.filter(annotation=annotation), at)
            _withdraw(Demonstration.objects.filter(annotation=annotation), at)
    _write(preferred, source=("annotation", "projector", "part"))
    _write_demonstrations(shown)


def _settled_at(tasks: Collection[int]) -> dict[int, datetime]:
    """Task → since when a settlement stands in the place of its answers."""
    settlements = Annotation.objects.filter(task_id__in=tasks, settlement=True, counted=True)
    return dict(settlements.values_list("task_id", "created_at"))


Texts = Mapping[str, tuple[Prompt, Completion]]
"""Part of an annotation → what was written there, and the prompt it answers."""


def _texts_of(*, keys: Collection[int]) -> dict[int, dict[str, tuple[Prompt, Completion]]]:
    """What earlier projections made of these annotations' texts: a text becomes a completion once."""
    found: dict[int, dict[str, tuple[Prompt, Completion]]] = {}
    rows = Demonstration.objects.filter(annotation__in=keys).select_related("prompt", "completion")
    for row in rows.defer("completion__text"):
        found.setdefault(row.annotation_id, {})[row.part] = (row.prompt, row.completion)
    return found


def _of_annotation(
    annotation: Annotation, texts: Texts, talks: chats.Replies
) -> tuple[list[Preference], list[Demonstration]]:
    if annotation.task.is_gold:
        return [], []  # it tells of its author; what is right was known before
    meaning = meaning_of(
        questions=annotation.task.schema.body["questions"],
        answers=annotation.answers,
        candidates=[_candidacy(row.completion, row.ordinal) for row in annotation.task.candidates.all()],
        display_order=annotation.display_order,
    )
    preferred = [_row(projected, annotation, annotation=annotation) for projected in meaning.preferences]
    for projected, root in chats.preferred_in(annotation, talks):
        row = _row(projected, annotation, annotation=annotation)
        row.root_id = root if root != projected.prompt else None
        preferred.append(row)
    shown = []
    for written in meaning.written:
        kept = texts.get(written.part) or _kept(annotation, written)
        if kept is not None:
            shown.append(_demonstration(annotation, written, *kept))
            preferred.extend(_over(annotation, written, *kept))
    return preferred, shown


def _kept(annotation: Annotation, written: Written) -> tuple[Prompt, Completion] | None:
    """The prompt and the completion, made on first sight, in the name of whoever wrote it. None where there is no prompt."""
    prompt = annotation.task.prompt
    if prompt is None:
        return None
    if written.completion is not None:
        return prompt, Completion.objects.select_related("prompt").get(pk=written.completion)
    if written.before:
        prompt = keep_prompt(
            project=prompt.project,
            messages=[*prompt.messages, *(dict(turn) for turn in written.before)],
            metadata={"source": "demonstration", "root": prompt.public_id},
            held_out=prompt.held_out,
        )
    external_id = f"{annotation.public_id}:{written.part}"
    try:
        made = write_completion(actor=annotation.actor, prompt=prompt, text=written.text, external_id=external_id)
    except Invalid as refused:
        log.warning("%s is no completion: %s", external_id, refused.detail)
        return None
    return prompt, made


def _demonstration(annotation: Annotation, written: Written, prompt: Prompt, completion: Completion) -> Demonstration:
    return Demonstration(
        project_id=annotation.project_id,
        annotation=annotation,
        projector=PROJECTOR,
        part=written.part,
        origin=written.origin,
        prompt=prompt,
        root=annotation.task.prompt if prompt.pk != annotation.task.prompt_id else None,
        completion=completion,
        actor_id=annotation.actor_id,
        created_at=annotation.created_at,
    )


def _over(annotation: Annotation, written: Written, prompt: Prompt, completion: Completion) -> list[Preference]:
    """What was written is preferred to what it was written to better."""
    return [
        _row(
            Projected(
                prompt=prompt.pk,
                first=completion.pk,
                second=beaten,
                outcome="first",
                strength=None,
                first_shown_first=None,
                part=f"{written.part}>{place}",
                origin=written.origin,
            ),
            annotation,
            annotation=annotation,
        )
        for place, beaten in enumerate(written.over)
    ]


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
    _write(kept, source=("event", "projector"))


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
        part=projected.part,
        origin=projected.origin,
        all_bad=projected.all_bad,
        aspects=projected.aspects,
        first_shown_first=projected.first_shown_first,
        actor_id=source.actor_id,
        created_at=source.created_at,
        **key,
    )


def _write(rows: list[Preference], *, source: tuple[str, ...]) -> None:
    """Insert, or put right what is there: a row is never deleted, because snapshots point at it."""
    Preference.objects.bulk_create(
        rows,
        update_conflicts=True,
        unique_fields=source,
        update_fields=[
            "origin",
            "prompt",
            "root",
            "first",
            "second",
            "outcome",
            "strength",
            "all_bad",
            "aspects",
            "first_shown_first",
            "actor",
            "withdrawn_at",
        ],
        batch_size=BATCH,
    )


def _write_demonstrations(rows: list[Demonstration]) -> None:
    Demonstration.objects.bulk_create(
        rows,
        update_conflicts=True,
        unique_fields=("annotation", "projector", "part"),
        update_fields=["origin", "prompt", "root", "completion", "actor", "withdrawn_at"],
        batch_size=BATCH,
    )


def _withdraw(rows: QuerySet[Any], at: datetime) -> None:
    rows.filter(withdrawn_at=None).update(withdrawn_at=at)
