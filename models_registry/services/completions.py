"""Responses: generated in bulk, asked for at the gateway, or written by people."""

from collections.abc import Iterable, Sequence
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from accounts.models import Actor, Project
from ground.digests import digest_of
from ground.errors import Forbidden, Invalid, NotFound
from jobs import services as job_services
from jobs.models import Job
from models_registry.data import Answer
from models_registry.models import Completion, ModelVersion, Prompt
from models_registry.services.prompts import keep_prompt
from models_registry.signals import completions_ready
from models_registry.texts import check_text

MOST_SAMPLES = 64
_BATCH = 400


@transaction.atomic
def add_completions(*, job: Job, version: ModelVersion, rows: Iterable[dict[str, Any]]) -> int:
    """Store a job's samples; how many were new. Idempotent on (job, external_id); `completions_ready` on commit.

    A row is {prompt: "prm_…", text, external_id, sampling?, finish_reason?, usage?}. Errors: NotFound for a prompt of
    another project.
    """
    if job.project is None:
        raise Invalid(_("Only a project's job can hold completions."))
    rows = list(rows)
    prompts = _prompts(job.project, {row["prompt"] for row in rows})
    before = Completion.objects.filter(job=job).count()
    Completion.objects.bulk_create(
        [_sample(job, version, prompts[row["prompt"]], row) for row in rows], ignore_conflicts=True, batch_size=_BATCH
    )
    transaction.on_commit(lambda: _announce(job))
    return Completion.objects.filter(job=job).count() - before


def _announce(job: Job) -> None:
    completions_ready.send_robust(sender=Completion, job=job)


def _prompts(project: Project, wanted: set[str]) -> dict[str, Prompt]:
    names = sorted(wanted)
    found: dict[str, Prompt] = {}
    for start in range(0, len(names), _BATCH):
        some = Prompt.objects.filter(project=project, public_id__in=names[start : start + _BATCH])
        found.update({prompt.public_id: prompt for prompt in some})
    missing = [name for name in names if name not in found]
    if missing:
        raise NotFound(_("There is no prompt %s in this project.") % missing[0])
    return found


def _sample(job: Job, version: ModelVersion, prompt: Prompt, row: dict[str, Any]) -> Completion:
    # A model may emit U+0000, which PostgreSQL cannot hold.
    text = row["text"].replace("\x00", "\N{REPLACEMENT CHARACTER}")
    return Completion(
        project=prompt.project,
        prompt=prompt,
        source=Completion.Source.VERSION,
        version=version,
        text=text,
        digest=digest_of(text),
        sampling=row.get("sampling") or {},
        finish_reason=row.get("finish_reason") or "",
        usage=row.get("usage") or {},
        job=job,
        external_id=row["external_id"],
    )


def write_completion(
    *, actor: Actor, prompt: Prompt, text: str, source: str = Completion.Source.HUMAN, external_id: str = ""
) -> Completion:
    """A response that no model of ours gave: written by a person, or imported. Errors: Invalid, Forbidden."""
    if actor.project_id != prompt.project_id:
        raise Forbidden(_("That prompt belongs to another project."))
    if source not in (Completion.Source.HUMAN, Completion.Source.IMPORTED):
        raise Invalid(_("A written completion is human or imported."))
    try:
        check_text(text, "text")
    except ValueError as error:
        raise Invalid(str(error)) from error
    return Completion.objects.create(
        project=prompt.project,
        prompt=prompt,
        source=source,
        actor=actor,
        text=text,
        digest=digest_of(text),
        external_id=external_id,
    )


def import_completions(*, actor: Actor, rows: Sequence[tuple[Prompt, str]]) -> list[Completion]:
    """Responses from outside, in order, their texts checked before. Call inside a transaction. Errors: Forbidden."""
    if any(prompt.project_id != actor.project_id for prompt, _text in rows):
        raise Forbidden(_("That prompt belongs to another project."))
    made = [
        Completion(
            project_id=prompt.project_id,
            prompt=prompt,
            source=Completion.Source.IMPORTED,
            actor=actor,
            text=text,
            digest=digest_of(text),
        )
        for prompt, text in rows
    ]
    return Completion.objects.bulk_create(made, batch_size=_BATCH)


@transaction.atomic
def request_completions(
    *,
    actor: Actor | None,
    project: Project,
    versions: Sequence[ModelVersion],
    prompts: Sequence[Prompt],
    samples: int,
    sampling: dict[str, Any],
    purpose: str,
    key: str = "",
) -> list[Job]:
    """One `generate` job per version, for `samples` responses to each prompt. The same key again gives the same jobs."""
    if not prompts or not versions:
        raise Invalid(_("Name at least one prompt and one version."))
    if not 1 <= samples <= MOST_SAMPLES:
        raise Invalid(_("From 1 to %d samples.") % MOST_SAMPLES)
    if any(prompt.project_id != project.pk for prompt in prompts):
        raise NotFound(_("A prompt belongs to another project."))
    if any(version.model.project_id not in (None, project.pk) for version in versions):
        raise NotFound(_("A version belongs to another project."))
    return [
        job_services.submit(
            actor=actor,
            project=project,
            kind="generate",
            spec={
                "schema_version": 1,
                "version": version.public_id,
                "prompts": [prompt.public_id for prompt in prompts],
                "samples": samples,
                "sampling": sampling,
                "purpose": purpose,
            },
            key=_key(key, version),
        )
        for version in versions
    ]


def _key(key: str, version: ModelVersion) -> str:
    whole = f"{key}:{version.public_id}" if key else ""
    return whole if len(whole) <= 120 else digest_of(whole)


@transaction.atomic
def record_exchange(
    *,
    project: Project,
    messages: list[dict[str, str]],
    version: ModelVersion | None,
    alias: str,
    sampling: dict[str, Any],
    answers: Sequence[Answer],
    asker: Actor | None = None,
) -> list[Completion]:
    """What was asked at the gateway and what is about to be answered: committed before the client sees the end of it.

    `asker` is the application's end user, when it named one; erasing that actor's person keeps the row.
    """
    prompt = keep_prompt(project=project, messages=messages, metadata={"source": "gateway"})
    source = Completion.Source.VERSION if version else Completion.Source.ENDPOINT
    return [
        Completion.objects.create(
            public_id=answer.public_id,
            project=project,
            prompt=prompt,
            source=source,
            version=version,
            actor=asker,
            text=answer.text,
            digest=digest_of(answer.text),
            sampling=sampling,
            finish_reason=answer.finish_reason[:20],
            usage=answer.usage,
            alias=alias[:120],
        )
        for answer in answers
    ]
