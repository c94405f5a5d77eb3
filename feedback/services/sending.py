"""What applications send: stored before the answer, whether its target is known yet or not."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils.translation import gettext as _

from accounts.models import Actor, Project
from accounts.services import end_user
from feedback.data import NewFeedback
from feedback.models import FeedbackEvent
from feedback.services.projecting import CONSUMER
from ground import clock
from ground.errors import Forbidden, Invalid
from jobs.models import Outbox
from models_registry.models import Completion
from models_registry.services import write_completion

MOST_ITEMS = 1000
_CHUNK = 500
Known = dict[str, Completion]


def send_feedback(*, actor: Actor, project: Project, item: NewFeedback) -> FeedbackEvent:
    """Store one item. `completion` of the event stays empty until its target is known here."""
    return send_feedback_batch(actor=actor, project=project, items=[item])[0]


@transaction.atomic
def send_feedback_batch(*, actor: Actor, project: Project, items: Sequence[NewFeedback]) -> list[FeedbackEvent]:
    """Store up to 1000 items at once, in order. A completion of another project is as unknown as one that never was."""
    _require_own(actor, project)
    if len(items) > MOST_ITEMS:
        raise Invalid(_("More than %d items at once.") % MOST_ITEMS, hint=_("Send them in several requests."))
    known = _known(project, {item.target for item in items})
    speakers = _speakers(project, actor, {item.user for item in items})
    events = [_event(speakers[item.user], item, known.get(item.target)) for item in items]
    FeedbackEvent.objects.bulk_create(events, batch_size=_CHUNK)
    _announce(event for event in events if event.other is not None)
    return events


def _require_own(actor: Actor, project: Project) -> None:
    if actor.project_id != project.pk:
        raise Forbidden(_("This actor belongs to another project."))


def _known(project: Project, targets: set[str]) -> Known:
    names, found = sorted(targets), {}
    for start in range(0, len(names), _CHUNK):
        rows = Completion.objects.filter(project=project, public_id__in=names[start : start + _CHUNK])
        found.update({row.public_id: row for row in rows.select_related("prompt").defer("text")})
    return found


def _speakers(project: Project, actor: Actor, users: set[str]) -> dict[str, Actor]:
    """Who speaks, by the name the application gave. Made in sorted order: two requests never wait for each other in a ring."""
    return {"": actor} | {user: end_user(project, user) for user in sorted(users - {""})}


def _event(speaker: Actor, item: NewFeedback, completion: Completion | None) -> FeedbackEvent:
    event = FeedbackEvent(
        project_id=speaker.project_id,
        actor=speaker,
        kind=item.kind,
        target=item.target,
        completion=completion,
        value={"schema_version": 1, **item.value},
        comment=item.comment,
        tags=item.tags,
    )
    if completion is not None:
        event.other = _corrected(event, completion)
    return event


def _corrected(event: FeedbackEvent, original: Completion) -> Completion | None:
    """The corrected response, as a completion that a human wrote; None for every other kind of feedback."""
    if event.kind != FeedbackEvent.Kind.CORRECTION:
        return None
    text = str(event.value["text"])
    return write_completion(actor=event.actor, prompt=original.prompt, text=text, external_id=event.public_id)


def _announce(events: Iterable[FeedbackEvent]) -> None:
    """Outbox rows for what may become a preference, in the transaction that stores it."""
    Outbox.objects.bulk_create(
        [Outbox(consumer=CONSUMER, topic="feedback.received", object_id=event.pk) for event in events]
    )


@transaction.atomic
def send_comparison(
    *,
    actor: Actor,
    project: Project,
    first: str,
    second: str,
    outcome: str,
    strength: int | None = None,
    comment: str = "",
    user: str = "",
    tags: Mapping[str, str] | None = None,
) -> FeedbackEvent:
    """Store which of two completions somebody preferred. Errors: Invalid when both are known and answer different prompts."""
    _require_own(actor, project)
    if first == second:
        raise Invalid(_("A completion cannot be compared with itself."), hint=_("Name two different completions."))
    known = _known(project, {first, second})
    target, other = known.get(first), known.get(second)
    if target and other and target.prompt_id != other.prompt_id:
        raise Invalid(_("These completions answer different prompts."), hint=_("Compare two answers to one prompt."))
    both = target is not None and other is not None
    event = FeedbackEvent.objects.create(
        project=project,
        actor=_speakers(project, actor, {user})[user],
        kind=FeedbackEvent.Kind.COMPARISON,
        target=first,
        other_target=second,
        # Until both are known neither is set: `completion IS NULL` is what the reconciliation looks for.
        completion=target if both else None,
        other=other if both else None,
        value={"schema_version": 1, "outcome": outcome, "strength": strength},
        comment=comment,
        tags=dict(tags or {}),
    )
    _announce([event] if both else [])
    return event


def reconcile_pending(*, limit: int = _CHUNK) -> int:
    """Give feedback that came before its completion the completion it spoke of; how many found theirs."""
    return _reconcile(limit) if _answerable().exists() else 0


def _answerable() -> QuerySet[FeedbackEvent]:
    def known(name: str) -> Any:
        return Exists(Completion.objects.filter(project=OuterRef("project"), public_id=OuterRef(name)))

    pending = FeedbackEvent.objects.filter(completion=None, withdrawn_at=None)
    return pending.filter(known("target")).filter(Q(other_target="") | known("other_target"))


def _locked_answerable() -> QuerySet[FeedbackEvent]:
    return _answerable().select_related("project", "actor").select_for_update(of=("self",), skip_locked=True)


@transaction.atomic
def _reconcile(limit: int) -> int:
    events = list(_locked_answerable().order_by("pk")[:limit])
    for event in events:
        names = {event.target, event.other_target} - {""}
        known = _known(event.project, names)
        event.completion = known[event.target]
        event.other = known[event.other_target] if event.other_target else _corrected(event, event.completion)
        event.save(update_fields=["completion", "other"])
    _announce(event for event in events if event.other is not None)
    return len(events)


@transaction.atomic
def withdraw_feedback(*, actor: Actor, event: FeedbackEvent) -> bool:
    """Take feedback back: the row stays and counts no more. False when it was withdrawn before."""
    _require_own(actor, event.project)
    won = FeedbackEvent.objects.filter(pk=event.pk, withdrawn_at=None).update(withdrawn_at=clock.now())
    if won:
        Outbox.objects.create(consumer=CONSUMER, topic="feedback.withdrawn", object_id=event.pk)
    return bool(won)
