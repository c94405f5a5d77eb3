"""Rounds: after the champion moves, the new one and the one before answer the same held-out prompts, and people judge blind.

A round is made of idempotent steps (ask both versions, record the evaluation, make the tasks). Signals start them at once; the
sweep repeats them for the latest moves, so a lost signal or a killed process only delays.
"""

import logging
from typing import Any

from django.db import transaction

from accounts.models import Actor
from accounts.services import MANAGERS
from annotation.models import Task
from annotation.services.tasks import create_pairwise_tasks
from jobs.models import Job
from models_registry.models import Alias, AliasMove, Completion, Evaluation, Prompt
from models_registry.services.completions import request_completions
from models_registry.services.verdicts import record_evaluation

log = logging.getLogger(__name__)

MOST_PROMPTS = 200
SWEPT_MOVES = 20
DEFAULT_OVERLAP = 3
DEFAULT_SAMPLING: dict[str, Any] = {"temperature": 1.0, "top_p": 0.95, "max_new_tokens": 64, "seed": 7}


def start_round(move: AliasMove) -> list[Job]:
    """Ask both versions for one answer to each held-out prompt. Nothing to do for a first champion or without prompts."""
    project = move.alias.model.project
    if move.alias.name != Alias.CHAMPION or move.from_version is None or project is None:
        return []
    if move.from_version_id == move.to_version_id:
        return []
    prompts = list(Prompt.objects.filter(project=project, held_out=True).order_by("pk")[:MOST_PROMPTS])
    if not prompts:
        return []
    return request_completions(
        actor=move.actor,
        project=project,
        versions=[move.to_version, move.from_version],
        prompts=prompts,
        samples=1,
        sampling=_sampling(move),
        purpose=f"round:{move.pk}",
        key=f"round:{move.pk}",
    )


def _sampling(move: AliasMove) -> dict[str, Any]:
    """As the project generated last, so that a round compares models and not settings."""
    earlier = Job.objects.filter(project=move.alias.model.project, kind="generate").exclude(
        spec__purpose__startswith="round:"
    )
    last = earlier.order_by("-pk").first()
    return dict(last.spec.get("sampling") or DEFAULT_SAMPLING) if last else DEFAULT_SAMPLING


def open_round(move: AliasMove) -> list[Task]:
    """When both versions have answered: the evaluation by people, and a blind pair per prompt. Made once, however often called."""
    jobs = _jobs(move)
    if len(jobs) != 2 or any(job.state != Job.State.SUCCEEDED for job in jobs):
        return []
    challenger = next(job for job in jobs if job.spec["version"] == move.to_version.public_id)
    pairs = _pairs(move, jobs)
    with transaction.atomic():
        evaluation = _evaluation(move, challenger, len(pairs))
        return create_pairwise_tasks(
            actor=_responsible(move),
            pairs=pairs,
            overlap=_overlap(move),
            evaluation=evaluation,
            external_ids=[f"{evaluation.public_id}:{first.prompt.public_id}" for first, _second in pairs],
        )


def _jobs(move: AliasMove) -> list[Job]:
    jobs = Job.objects.filter(project=move.alias.model.project, kind="generate", spec__purpose=f"round:{move.pk}")
    return list(jobs.order_by("pk"))


def _pairs(move: AliasMove, jobs: list[Job]) -> list[tuple[Completion, Completion]]:
    """New against old for every prompt. Where both say the same words there is nothing to judge."""
    said: dict[int, dict[int, Completion]] = {}
    for completion in Completion.objects.filter(job__in=jobs).select_related("prompt").order_by("pk"):
        if completion.version_id is not None:
            said.setdefault(completion.prompt_id, {})[completion.version_id] = completion
    new_id, old_id = move.to_version_id, move.from_version_id or 0
    both = [(by.get(new_id), by.get(old_id)) for by in said.values()]
    return [(new, old) for new, old in both if new and old and new.digest != old.digest]


def _evaluation(move: AliasMove, job: Job, pairs: int) -> Evaluation:
    found = Evaluation.objects.filter(job=job).first()
    if found is not None:
        return found
    project = move.alias.model.project
    assert project is not None
    return record_evaluation(
        project=project,
        version=move.to_version,
        baseline=move.from_version,
        judge="people",
        job=job,
        spec={
            "schema_version": 1,
            "alias": str(move.alias),
            "generation": move.generation,
            "pairs": pairs,
            "population": "these annotators",
        },
        metrics={},
    )


def _responsible(move: AliasMove) -> Actor:
    """Whoever moved the alias; for a move by the system, the project's first manager."""
    if move.actor is not None:
        return move.actor
    managers = Actor.objects.filter(project=move.alias.model.project, membership__role__in=MANAGERS)
    return managers.order_by("pk")[0]


def _overlap(move: AliasMove) -> int:
    last = Task.objects.production().filter(project=move.alias.model.project).order_by("-pk").first()
    return last.overlap if last else DEFAULT_OVERLAP


def sweep_rounds() -> int:
    """Repeat what a lost signal left undone, for the latest moves. Returns the tasks made."""
    moves = AliasMove.objects.filter(alias__name=Alias.CHAMPION, from_version__isnull=False)
    moves = moves.select_related("alias__model__project", "from_version__model", "to_version__model", "actor")
    return sum(_advance(move) for move in moves.order_by("-pk")[:SWEPT_MOVES])


def _advance(move: AliasMove) -> int:
    if Evaluation.objects.filter(judge="people", job__in=_jobs(move)).exists() and _has_tasks(move):
        return 0
    start_round(move)
    return len(open_round(move))


def _has_tasks(move: AliasMove) -> bool:
    return Task.objects.filter(evaluation__job__in=_jobs(move)).exists()


def when_alias_moved(sender: Any, alias: Alias, move: AliasMove, **more: Any) -> None:
    start_round(move)


def when_completions_ready(sender: Any, job: Job, **more: Any) -> None:
    """A generation is done; if it was one side of a round, see whether the round can open."""
    kind, _colon, move_id = str(job.spec.get("purpose", "")).partition(":")
    if kind == "round" and move_id.isdigit():
        move = AliasMove.objects.select_related("alias__model__project", "actor").get(pk=int(move_id))
        # The job that announces itself is marked succeeded in the same transaction, so by now it is.
        open_round(move)
