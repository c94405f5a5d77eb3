"""A queue changed: every task is filed anew, in pieces, while people work."""

from typing import Any

from django.db import transaction

from accounts.models import Actor, Project
from annotation.models import Queue, Slot, Task
from annotation.placing import WAITING, file_again, stand_wrong
from annotation.router import Router
from jobs.models import Job
from jobs.services import nudge_on_commit, renew, submit

KIND = "refile"
AT_ONCE = 500
JSON = dict[str, Any]


def start_refiling(*, actor: Actor) -> Job:
    """Queue the job that files the project's tasks anew. Call it in the transaction that changed what decides.

    One that still waits has read nothing yet, so it does; its row is locked, so that it does not start before we commit.
    """
    waiting = Job.objects.waiting().filter(project=actor.project, kind=KIND, cancel_requested_at=None)
    job = waiting.select_for_update(skip_locked=True, of=("self",)).first()
    if job is None:
        return submit(actor=actor, project=actor.project, kind=KIND, spec={"schema_version": 1})
    nudge_on_commit(job)
    return job


def run_refiling(job: Job) -> JSON:
    """The kind's `run`: on from the last task that was looked at. What stands right already is not touched."""
    assert job.project is not None
    reached, moved = int(job.progress.get("reached", 0)), int(job.progress.get("moved", 0))
    tasks = Task.objects.production().filter(project=job.project).exclude(state=Task.State.ARCHIVED)
    while chunk := list(tasks.filter(pk__gt=reached).select_related("batch", "schema").order_by("pk")[:AT_ONCE]):
        moved += _file_chunk(job.project, chunk)
        reached = chunk[-1].pk
        renew(job=job, progress={"reached": reached, "moved": moved})
    return {"moved": moved}


def _file_chunk(project: Project, tasks: list[Task]) -> int:
    """Only tasks that stand wrong are locked; who works on others notices nothing."""
    wrong = stand_wrong(Router(project), tasks)
    with transaction.atomic():
        return file_again(project, wrong)


def sweep_stranded() -> int:
    """Slots that came to wait in an archived queue (their lease ended while the job passed by) are filed anew."""
    lost = Slot.objects.filter(
        state__in=WAITING, lane__queue__state=Queue.State.ARCHIVED, task__purpose=Task.Purpose.PRODUCTION
    )
    moved = 0
    found = lost.values_list("task__project_id", "task_id").order_by("task_id").distinct()[:AT_ONCE]
    by_project: dict[int, list[int]] = {}
    for project_id, task_id in found:
        by_project.setdefault(project_id, []).append(task_id)
    for project in Project.objects.filter(pk__in=by_project):
        with transaction.atomic():
            moved += file_again(project, by_project[project.pk])
    return moved
