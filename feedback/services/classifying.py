"""Reading what `feedback.classified` makes rows of: tasks with all that counts about them, some hundred at a time."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from typing import Any

from django.db.models import QuerySet

from accounts.models import Actor, Project
from annotation.models import Annotation, Candidate, Schema, Task
from feedback.classified import Judged, Said, asks_here, rows_of
from feedback.curation import split_of
from feedback.services.chunks import chunks
from ground.digests import digest_of
from models_registry.models import Prompt

JSON = dict[str, Any]


def answers_to_classify(project: Project) -> QuerySet[Annotation]:
    """Answers that count, to questions whose answers become such rows; settlements are among them."""
    schemas = Schema.objects.filter(project=project).values_list("pk", "body")
    asking = [pk for pk, body in schemas if any(asks_here(question) for question in body["questions"])]
    said = Annotation.objects.counted().filter(project=project, task__purpose=Task.Purpose.PRODUCTION)
    return said.filter(task__schema__in=asking)


def tasks_to_classify(project: Project, resolutions: Collection[int]) -> tuple[list[tuple[int, int | None]], int]:
    """Tasks that came so far in review, each with its prompt, and how many answers others have."""
    said = answers_to_classify(project)
    kept = said.filter(task__resolution__in=resolutions).order_by("task_id")
    left = said.exclude(task__resolution__in=resolutions).count()
    return list(kept.values_list("task_id", "task__prompt_id").distinct()), left


class Classified:
    """Rows of labels, spans, marks and texts, read as they are written: with them the data may be larger than memory."""

    def __init__(self, tasks: Sequence[tuple[int, int | None]], splits: dict[int, str], spec: JSON) -> None:
        self.tasks, self.splits, self.spec = dict(tasks), splits, spec
        self.rows, self.sources = 0, set[str]()

    def __iter__(self) -> Iterator[tuple[str, JSON, JSON]]:
        prompts = dict(
            pair
            for chunk in chunks(sorted({key for key in self.tasks.values() if key is not None}))
            for pair in Prompt.objects.filter(pk__in=chunk).values_list("pk", "public_id")
        )
        for (task, digest), prompt in zip(judged(list(self.tasks)), self.tasks.values(), strict=True):
            side = self.splits[prompt] if prompt is not None else self._side(digest)
            for name, row, sources in rows_of(task):
                self.rows += 1
                self.sources.update(sources)
                lineage: JSON = {"judgements": sources, "responses": []}
                if prompt is not None:
                    lineage["prompt"] = prompts[prompt]
                yield f"{name}_{side}.jsonl", row, lineage

    def _side(self, digest: str) -> str:
        return split_of(
            prompt_digest=digest, held_out=False, seed=self.spec["seed"], test_share=self.spec["test_share"]
        )

    def actors(self) -> dict[str, int]:
        """Who said what went by."""
        found: dict[str, int] = {}
        for chunk in chunks(sorted(self.sources)):
            found.update(Annotation.objects.filter(public_id__in=chunk).values_list("public_id", "actor_id"))
        return found


def judged(tasks: Sequence[int]) -> Iterator[tuple[Judged, str]]:
    """Each task with what was said, in the order given, and the digest of what it shows, which draws its side of the split."""
    for chunk in chunks(tasks):
        yield from _some(chunk)


def _some(keys: Sequence[int]) -> Iterator[tuple[Judged, str]]:
    rows = Task.objects.select_related("schema", "prompt").in_bulk(keys)
    said: dict[int, list[Said]] = defaultdict(list)
    settled: dict[int, Said] = {}
    answers = Annotation.objects.counted().filter(task__in=keys).order_by("pk")
    for task, source, by, kind, answer, settles in answers.values_list(
        "task_id", "public_id", "actor__public_id", "actor__kind", "answers", "settlement"
    ):
        one = Said(source=source, by=by, simulated=kind == Actor.Kind.SIMULATED, answers=answer)
        if settles:
            settled[task] = one
        else:
            said[task].append(one)
    responses: dict[int, list[dict[str, str]]] = defaultdict(list)
    shown = Candidate.objects.filter(task__in=keys).order_by("task_id", "ordinal")
    for task, name, text in shown.values_list("task_id", "completion__public_id", "completion__text"):
        responses[task].append({"id": name, "text": text})
    for key in keys:
        yield _judged(rows[key], said[key], settled.get(key), responses[key])


def _judged(
    task: Task, said: Sequence[Said], settled: Said | None, responses: Sequence[dict[str, str]]
) -> tuple[Judged, str]:
    body: dict[str, Any] = task.schema.body
    fields = {row["name"]: task.data[row["name"]] for row in body.get("fields", []) if row["name"] in task.data}
    found = Judged(
        task=task.public_id,
        body=body,
        data=task.data,
        prompt=task.prompt.messages if task.prompt else (),
        responses=responses,
        said=said,
        settled=settled,
    )
    return found, digest_of(fields)
