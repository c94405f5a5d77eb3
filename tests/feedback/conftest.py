"""People who vote, applications that send, and snapshots frozen here and now."""

import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from annotation.display import order_for
from annotation.models import Annotation, Slot, Task
from annotation.services.slots import submit_answer, take_next
from annotation.services.tasks import create_pairwise_tasks
from feedback.models import Snapshot
from feedback.services import freeze
from jobs.inprocess import run_in_process
from jobs.models import Job
from jobs.services import claim
from tests.conftest import Cast
from tests.factories import make_completion, make_prompt

TURNED = {"first": "second", "second": "first"}


@pytest.fixture(autouse=True)
def _snapshots_in_a_folder_of_their_own(settings: Any, tmp_path: Path) -> None:
    settings.SNAPSHOTS = tmp_path / "snapshots"


@pytest.fixture
def make_task(cast: Cast) -> Callable[..., Task]:
    """`make_task("good", "bad", overlap=3)`: a task whose candidate of ordinal 0 says "good"."""

    def make(first: str = "", second: str = "", *, overlap: int = 1, prompt: Any = None, **options: Any) -> Task:
        prompt = prompt or make_prompt(cast.project)
        pair = (make_completion(prompt, first), make_completion(prompt, second))
        return create_pairwise_tasks(actor=cast.mona, pairs=[pair], overlap=overlap, **options)[0]

    return make


@pytest.fixture
def vote() -> Callable[..., Annotation]:
    """`vote(task, actor, "first")`: the actor claims the task and prefers the candidate of ordinal 0, wherever it was shown."""

    def cast_vote(task: Task, actor: Any, choice: str, strength: int | None = None) -> Annotation:
        slot, token = _claim(task, actor)
        shown = TURNED.get(choice, choice) if order_for(actor, task)[0] == 1 else choice
        answers = {"preference": {"choice": shown, "strength": strength}}
        return submit_answer(actor=actor, slot=slot, token=token, key=uuid.uuid4().hex, answers=answers)[0]

    return cast_vote


def _claim(task: Task, actor: Any) -> tuple[Slot, uuid.UUID]:
    holding: set[int] = set()
    while (claimed := take_next(actor=actor, holding=holding)) is not None:
        if claimed.task_id == task.pk:
            return Slot.objects.select_related("task__schema").get(pk=claimed.slot_id), claimed.token
        holding.add(claimed.slot_id)
    raise AssertionError("the queue did not offer this task")


@pytest.fixture
def run_job() -> Callable[[Job], Job]:
    def run(job: Job) -> Job:
        claimed = claim(job=job)
        assert claimed is not None
        run_in_process(claimed)
        return Job.objects.get(pk=job.pk)

    return run


@pytest.fixture
def frozen(cast: Cast, run_job: Callable[[Job], Job]) -> Callable[..., Snapshot]:
    """`frozen(seed=3)`: freeze, and the snapshot that came of it."""

    def make(**options: Any) -> Snapshot:
        job = run_job(freeze(actor=cast.mona, project=cast.project, **options))
        assert job.state == Job.State.SUCCEEDED, job.error
        return Snapshot.objects.get(public_id=job.result["snapshot"])

    return make
