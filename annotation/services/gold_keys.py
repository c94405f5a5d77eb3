"""Gold tasks written, taken from what people agreed on, corrected and retired."""

import random
from collections.abc import Sequence
from typing import Any

from django.db import transaction
from django.db.models import Max, Min
from django.utils.translation import gettext as _

from accounts.models import Actor
from accounts.services import MANAGERS, record_event, require_role
from annotation.models import Annotation, Candidate, GoldKey, GoldScore, Queue, Schema, Slot, Task
from annotation.questions import Shown, needs
from annotation.schemas import check_answers, check_data, pairwise_schema
from annotation.scoring import consensus, is_comparable, observed_agreement, score_against
from annotation.selectors.gold import AGREE_AT_LEAST, LEAST_ANSWERS, LEFT, said_of
from annotation.selectors.uploads import check_uploads
from annotation.services.standings import judge
from annotation.services.tasks import DEFAULT_QUESTION, current_schema
from ground.errors import Conflict, Invalid, NotFound
from ground.ids import new_public_id
from models_registry.models import Completion
from models_registry.services import keep_prompt
from models_registry.services.completions import import_completions
from models_registry.texts import check_json, check_messages, check_text

LONGEST_EXPLANATION = 5000
MOMENT = slice(4, 16)
"""Where a task's public id says when it was made: 48 bits behind `tsk_`."""

_chance = random.SystemRandom()


def make_gold(
    *,
    actor: Actor,
    queue: Queue,
    schema: Schema,
    data: dict[str, Any],
    answers: Any,
    explanation: str = "",
    prompt: Any = None,
    responses: Sequence[str] = (),
) -> Task:
    """A gold task with content of its own: fields, and where the schema asks for them a prompt and responses, in the key's order.

    Errors: Invalid naming what does not fit the schema.
    """
    _require_here(actor, queue, schema)
    check_content(actor=actor, schema=schema, data=data, prompt=prompt, responses=responses)
    with transaction.atomic():
        task = Task(project=actor.project, queue=queue, schema=schema, data={"schema_version": 1, **data})
        shown: list[Completion] = []
        if prompt:
            task.prompt = keep_prompt(
                project=actor.project, messages=check_messages(prompt), metadata={"source": "gold"}
            )
            shown = import_completions(actor=actor, rows=[(task.prompt, text) for text in responses])
        return _save(actor, task, shown, answers, explanation)


def check_content(
    *, actor: Actor, schema: Schema, data: dict[str, Any], prompt: Any = None, responses: Sequence[str] = ()
) -> None:
    """Refuse content that the schema cannot ask about. Errors: Invalid naming the path."""
    needed = needs(schema.body)
    if needed.least and not responses:
        raise Invalid(
            _("This schema asks about responses: name a pair of completions, or give a prompt and responses.")
        )
    known = [field["name"] for field in schema.body.get("fields", [])]
    try:
        check_data(schema.body, check_json(data, "data"))
        if set(data) - set(known):
            raise ValueError(_("data: has more than the fields the schema shows (%s).") % ", ".join(known))
        check_uploads(actor.project, schema.body, data)
        if not needed.least <= len(responses) <= needed.most:
            told = {"least": needed.least, "most": needed.most}
            raise ValueError("responses: " + _("needs %(least)d to %(most)d of them") % told)
        if prompt or needed.prompt or responses:
            check_messages(prompt)
        for place, text in enumerate(responses):
            check_text(text, f"responses[{place}]")
    except ValueError as error:
        raise Invalid(str(error)) from error


def make_pair_gold(
    *,
    actor: Actor,
    queue: Queue,
    pair: tuple[Completion, Completion],
    answers: Any,
    explanation: str = "",
    schema: Schema | None = None,
) -> Task:
    """A gold task that compares two completions; the key speaks of them as first and second.

    Errors: Conflict while the same pair is an open task, since whoever met both would know.
    """
    _require_here(actor, queue, schema)
    first, second = pair
    if first.prompt_id != second.prompt_id or first.pk == second.pk:
        raise Invalid(_("A pair is two different completions of one prompt."))
    if schema is not None and not _compares(schema):
        raise Invalid(_("This schema compares no responses: give the fields it shows."))
    twins = Task.objects.production().filter(project=actor.project, prompt=first.prompt_id)
    twin = twins.filter(candidates__completion=first).filter(candidates__completion=second).order_by("state").first()
    if twin is not None and twin.state == Task.State.OPEN:
        raise Conflict(
            _("People are judging this pair as task %(id)s now.") % {"id": twin.public_id},
            hint=_("Promote it when it is complete, or take it out of the queue first."),
        )
    task = Task(
        project=actor.project,
        queue=queue,
        schema=schema or _pairwise(actor),
        prompt_id=first.prompt_id,
        data={"schema_version": 1},
    )
    return _save(actor, task, pair, answers, explanation, like=twin)


def _compares(schema: Schema) -> bool:
    return any(question["kind"] == "pairwise" for question in schema.body["questions"])


def _pairwise(actor: Actor) -> Schema:
    last = Schema.objects.filter(project=actor.project, name="pairwise").order_by("-version").first()
    return last or current_schema(actor.project, "pairwise", pairwise_schema(text=DEFAULT_QUESTION))


def promote(*, actor: Actor, task: Task, queue: Queue | None = None, explanation: str = "") -> Task:
    """A gold task with the content of a complete one, its key what people agreed on, or what a reviewer settled.

    Whoever met the original never gets the copy. Errors: Conflict when it is not complete, agreed on too little, or gold already.
    """
    queue = queue or task.queue
    _require_here(actor, queue, task.schema)
    if task.is_gold or task.state != Task.State.COMPLETE or task.resolution in LEFT:
        raise Conflict(_("Only a complete task that waits for no review can become gold."))
    answers = _agreed(task)
    with transaction.atomic():
        Task.objects.select_for_update().get(pk=task.pk)
        if GoldKey.objects.filter(promoted_from=task).exclude(task__state=Task.State.ARCHIVED).exists():
            raise Conflict(_("This task is gold already."))
        copy = Task(
            project=task.project,
            queue=queue,
            schema=task.schema,
            prompt_id=task.prompt_id,
            data=task.data,
            priority=task.priority,
        )
        pair = [row.completion for row in task.candidates.select_related("completion").order_by("ordinal")]
        return _save(actor, copy, pair, answers, explanation, like=task, source=GoldKey.Source.CONSENSUS)


def _agreed(task: Task) -> dict[str, Any]:
    settled = Annotation.objects.counted().filter(task=task, settlement=True).first()
    if settled is not None:
        return dict(settled.answers)
    questions, said = task.schema.body["questions"], said_of([task])[task.pk]
    agreement = observed_agreement(questions, said)
    if len(said) < LEAST_ANSWERS or agreement is None or agreement < AGREE_AT_LEAST:
        raise Conflict(
            _("It takes %(n)d answers of which %(share)d %% of the pairs agree; this task has %(has)d.")
            % {"n": LEAST_ANSWERS, "share": round(AGREE_AT_LEAST * 100), "has": len(said)}
        )
    found = consensus(questions, said)
    if found is None:
        raise Conflict(_("No answer has a majority."))
    return found


def _save(
    actor: Actor,
    task: Task,
    pair: Any,
    answers: Any,
    explanation: str,
    *,
    like: Task | None = None,
    source: str = GoldKey.Source.WRITTEN,
) -> Task:
    task.purpose, task.overlap = Task.Purpose.GOLD, 0
    task.public_id = _inconspicuous_id(task.queue, like)
    key = GoldKey(task=task, source=source, promoted_from=like, actor=actor)
    key.answers, key.explanation = _key(task, answers, [shown.text for shown in pair]), _explained(explanation)
    with transaction.atomic():
        task.save()
        key.task = task
        key.save()
        rows = [Candidate(task=task, completion=shown, ordinal=place) for place, shown in enumerate(pair)]
        Candidate.objects.bulk_create(rows)
        verb = "gold.promoted" if source == GoldKey.Source.CONSENSUS else "gold.written"
        _record(verb, actor, task, {"queue": task.queue.public_id, "from": like.public_id if like else None})
    return task


def _inconspicuous_id(queue: Queue, like: Task | None) -> str:
    """Ids say when a task was made. Gold made on another day than the rest would stand out, so it takes one's moment."""
    fresh = new_public_id("tsk")
    like = like or _any_of(queue)
    return f"{fresh[: MOMENT.start]}{like.public_id[MOMENT]}{fresh[MOMENT.stop :]}" if like else fresh


def _any_of(queue: Queue) -> Task | None:
    """A production task of the queue's project near a place drawn by chance, found by the primary key."""
    rows = Task.objects.production().filter(project=queue.project_id)
    ends = rows.aggregate(first=Min("pk"), last=Max("pk"))
    if ends["first"] is None:
        return None
    return rows.filter(pk__gte=_chance.randint(ends["first"], ends["last"])).order_by("pk").first()


def edit_key(*, actor: Actor, task: Task, answers: Any, explanation: str = "") -> GoldKey:
    """Correct the key. Answers given under the old one are scored again, and their authors' standings follow."""
    _require_gold(actor, task)
    texts = task.candidates.order_by("ordinal").values_list("completion__text", flat=True)
    answers, explanation = _key(task, answers, list(texts)), _explained(explanation)
    with transaction.atomic():
        key = GoldKey.objects.select_for_update().get(task=task)
        key.answers, key.explanation = answers, explanation
        key.save(update_fields=["answers", "explanation"])
        _score_again(task, key)
        _record("gold.corrected", actor, task, {"answers": answers})
    return key


def _score_again(task: Task, key: GoldKey) -> None:
    questions = task.schema.body["questions"]
    rows = list(GoldScore.objects.filter(annotation__task=task).select_related("annotation"))
    for row in rows:
        row.score = score_against(questions, key.answers, row.annotation.answers)
    GoldScore.objects.bulk_update(rows, ["score"], batch_size=500)
    _judge_all(task)


def _judge_all(task: Task) -> None:
    """In the order of their keys, so that two such corrections never wait for each other."""
    people = Actor.objects.filter(gold_scores__annotation__task=task).select_related("project")
    for person in people.distinct().order_by("pk"):
        judge(person, task.queue)


def retire(*, actor: Actor, task: Task) -> None:
    """Hand the task out no more. What people answered to it stays, but counts for nobody."""
    _set_state(actor, task, Task.State.ARCHIVED, "gold.retired")


def put_back(*, actor: Actor, task: Task) -> None:
    """Undo a retirement: the task is handed out and its answers count again."""
    _set_state(actor, task, Task.State.OPEN, "gold.put_back")


def _set_state(actor: Actor, task: Task, state: Task.State, verb: str) -> None:
    _require_gold(actor, task)
    with transaction.atomic():
        if Task.objects.filter(pk=task.pk).exclude(state=state).update(state=state) != 1:
            raise Conflict(_("This gold task is %(state)s already.") % {"state": state.label})
        task.state = state
        if state == Task.State.ARCHIVED:
            Slot.objects.filter(task=task, state=Slot.State.PARKED).update(
                state=Slot.State.CLOSED, lease_expires_at=None
            )
        _judge_all(task)
        _record(verb, actor, task, {})


def _key(task: Task, answers: Any, texts: Sequence[str]) -> dict[str, Any]:
    """The key, about candidates in their own order."""
    shown = Shown(task.data, task.prompt.messages if task.prompt else (), texts)
    try:
        return check_answers(task.schema.body, check_json(answers, "answers"), shown)
    except ValueError as error:
        raise Invalid(str(error), hint=_("The key is an answer under the task's schema.")) from error


def _explained(explanation: str) -> str:
    try:
        text = check_text(explanation, "explanation").strip()
    except ValueError as error:
        raise Invalid(str(error)) from error
    if len(text) > LONGEST_EXPLANATION:
        raise Invalid(_("An explanation has at most %d characters.") % LONGEST_EXPLANATION)
    return text


def _require_here(actor: Actor, queue: Queue, schema: Schema | None) -> None:
    require_role(actor, *MANAGERS)
    if queue.project_id != actor.project_id or (schema is not None and schema.project_id != actor.project_id):
        raise NotFound(_("There is no such queue or schema in this project."))
    if schema is not None and not is_comparable(schema.body["questions"]):
        raise Invalid(
            _("Nothing this schema asks can be compared with a known answer: two texts may both be right."),
            hint=_("Check people's writing in review, or add a question that has one right answer."),
        )
    if queue.state == Queue.State.ARCHIVED:
        raise Conflict(_("The queue %(queue)s is archived.") % {"queue": queue})


def _require_gold(actor: Actor, task: Task) -> None:
    require_role(actor, *MANAGERS)
    if task.project_id != actor.project_id or not task.is_gold:
        raise NotFound(_("There is no such gold task in this project."))


def _record(verb: str, actor: Actor, task: Task, data: dict[str, Any]) -> None:
    record_event(project=task.project, actor=actor, verb=verb, object_id=task.public_id, data=data)
