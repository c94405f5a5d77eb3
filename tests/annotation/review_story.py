"""Answers that disagree, and cases made of them."""

import uuid
from typing import Any

from annotation.data import NewRuling, Settlement
from annotation.display import order_for
from annotation.models import Annotation, Case, Queue, Slot, Task
from annotation.services import routing, slots
from annotation.services.reviews import answer_name

TURNED = {"first": "second", "second": "first"}


def asks(project: Any, **settings: Any) -> None:
    """What the project's queues ask of review."""
    Queue.objects.filter(project=project).update(**settings)


def say(task: Task, actor: Any, choice: str, flags: tuple[str, ...] = ()) -> Annotation:
    """The actor claims this task and prefers the candidate of ordinal 0 ("first") or 1, wherever it was shown."""
    claim, holding = slots.take_next(actor=actor), set()
    while claim is not None and claim.task_id != task.pk:
        holding.add(claim.slot_id)
        claim = slots.take_next(actor=actor, holding=holding)
    assert claim is not None
    slot = Slot.objects.select_related("task__schema", "task__project").get(pk=claim.slot_id)
    shown = TURNED.get(choice, choice) if order_for(actor, task)[0] == 1 else choice
    answers = {"preference": {"choice": shown, "reason": "because", "flags": list(flags)}}
    done = slots.submit_answer(actor=actor, slot=slot, token=claim.token, key=uuid.uuid4().hex, answers=answers)
    for other in Slot.objects.filter(pk__in=holding, actor=actor, state=Slot.State.LEASED).select_related(
        "task__project"
    ):
        slots.release(actor=actor, slot=other, token=other.lease_token)
    return done[0]


def routed(task: Task) -> Case | None:
    """The open case of the task once the router was there; the task is read again too."""
    routing.drain_answers()
    task.refresh_from_db()
    return Case.objects.filter(task=task, state__in=(Case.State.OPEN, Case.State.LEASED)).first()


def verdicts(case: Case, **by_public_id: Any) -> dict[str, NewRuling]:
    return {answer_name(case, name): NewRuling(*ruling) for name, ruling in by_public_id.items()}


def decision(case: Case, rulings: dict[Annotation, str], **more: Any) -> Settlement:
    """`decision(case, {annotation: "accept"}, cause="mistake")`."""
    named = {
        answer_name(case, said.public_id): NewRuling(verdict, f"you: {verdict}") for said, verdict in rulings.items()
    }
    adopt = more.pop("adopt", None)
    more = {"cause": "mistake", **more}
    return Settlement(rulings=named, adopt=answer_name(case, adopt.public_id) if adopt else "", **more)
