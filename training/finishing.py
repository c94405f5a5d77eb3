"""What becomes of a finished run: a model version, completions, or an evaluation.

`collect_…` does the work on files, before any transaction; the other half runs inside the transaction that marks the job
succeeded. Both may be called twice.
"""

from __future__ import annotations

import importlib.metadata
import json
from pathlib import Path
from typing import Any

from django.utils.text import slugify
from django.utils.translation import gettext as _

from accounts.models import Project
from ground.digests import digest_of
from jobs.errors import JobError
from jobs.models import Job
from models_registry import services as registry
from models_registry.models import ModelVersion
from models_registry.selectors import versions_of
from training import specs, storage
from training.engine.files import sha256_file
from training.methods import OFFERS
from training.models import Run

JSON = dict[str, Any]
SUFFIXES = {"reward": "reward", "classify": "classifier", "tag": "tagger"}
"""What a line of models is called behind its base's name, where the method makes something else of it."""
ENGINE_PACKAGES = ("torch", "transformers", "trl", "deepspeed", "peft")


def collect_artifact(job: Job, result: JSON) -> JSON:
    """Keep the weights under their digest."""
    run, artifact = Run.objects.get(job=job), result.get("artifact") or {}
    if not artifact.get("sha256"):
        raise JobError("no_artifact", _("The run ended without a model."), hint=_("Its log says more."))
    kept = storage.keep_artifact(Path(run.folder) / artifact["path"], artifact["sha256"])
    return {**result, "kept": str(kept)}


def register_model(job: Job, result: JSON) -> JSON:
    """The kept artifact as a version, with its whole history."""
    run = Run.objects.select_related("project", "base__model", "snapshot", "job__actor").get(job=job)
    request = specs.request_of(job.kind, job.spec)
    slug, project = model_name(run, request, result)
    version = registry.register_version(
        actor=job.actor if project else None,
        project=project,
        model_slug=slug,
        kind=kind_of(run, result),
        artifact=Path(result["kept"]),
        digest=result["artifact"]["sha256"],
        files=result["artifact"]["files"],
        lineage=lineage(run, request, result),
        metrics=result.get("metrics") or {},
        parent=run.base,
        card=card(run, request, result),
    )
    Run.objects.filter(pk=run.pk).update(output=version)
    return {**result, "version": version.public_id}


def kind_of(run: Run, result: JSON) -> str:
    """What its method makes, else the kind of its base; an import says what it brought in."""
    if run.method == Run.Method.IMPORT:
        return str((result.get("metrics") or {}).get("kind") or ModelVersion.Kind.CAUSAL)
    return OFFERS[run.method].makes or (run.base.kind if run.base else ModelVersion.Kind.CAUSAL)


def model_name(run: Run, request: JSON, result: JSON) -> tuple[str, Project | None]:
    """The model's slug, and the project it belongs to (None: the library).

    A trained model carries its base's line on when that is the project's own; else the project gives the name.
    A path on this machine is one project's business; what comes from a hub or a package is everybody's.
    """
    asked = request.get("model")
    if run.method == Run.Method.IMPORT:
        source = request["hyperparameters"]["source"]
        origin = str((result.get("metrics") or {}).get("id") or source.get("id") or source["kind"])
        private = run.project if asked or source["kind"] == "path" else None
        return asked or slugify(origin.rstrip("/").rsplit("/", 1)[-1].replace(".", "-"))[:80] or "base", private
    own = run.base is not None and run.base.model.project_id == run.project_id
    line = run.base.model.slug if own and run.base else run.project.slug
    if run.method in SUFFIXES and (run.base is None or run.base.kind != OFFERS[run.method].makes):
        line = f"{line[: 79 - len(SUFFIXES[run.method])]}-{SUFFIXES[run.method]}"
    return asked or line[:80], run.project


def lineage(run: Run, request: JSON, result: JSON) -> JSON:
    """What this version came from, with digests: enough to make it again, and to say who judged what it learned."""
    hyperparameters = request.get("hyperparameters") or {}
    return {
        "schema_version": 1,
        "run": run.public_id,
        "job": run.job.public_id,
        "method": run.method,
        "base": _named(run.base),
        "snapshot": _named(run.snapshot),
        "reward_model": _named(reward_of(run, request)),
        "texts": _texts(run, request),
        "seed": request.get("seed", 0),
        "hyperparameters": {"digest": digest_of(hyperparameters), "values": hyperparameters},
        "launch": {name: result.get(name) for name in ("launcher", "world_size", "zero_stage", "steps", "seconds")},
        "engine": engine_versions(),
    }


def reward_of(run: Run, request: JSON) -> ModelVersion | None:
    """The reward model that paid for what was learned."""
    name = request["models"].get("reward_model", "")
    return versions_of(run.project).filter(public_id=name).select_related("model").first()


def _texts(run: Run, request: JSON) -> JSON | None:
    """Raw text that it read, with the digest it was staged under."""
    if not (request.get("texts") or request.get("corpus")):
        return None
    staged = json.loads((Path(run.folder) / "spec.json").read_text(encoding="utf-8"))["data"]["texts"]
    return {"corpus": request.get("corpus", ""), "digest": staged["sha256"], "rows": staged["rows"]}


def _named(row: Any) -> JSON | None:
    return {"id": row.public_id, "digest": row.digest} if row is not None else None


def engine_versions() -> dict[str, str]:
    """Versions from the packages' own records: importing them would bring torch into this process."""
    found = {}
    for name in ENGINE_PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def card(run: Run, request: JSON, result: JSON) -> str:
    """A short model card in markdown."""
    lines = [_("Made by run %(number)d: %(method)s.") % {"number": run.number, "method": run.get_method_display()}]
    if run.base is not None:
        lines.append(_("Starts from %s.") % run.base)
    if run.snapshot is not None:
        lines.append(
            _("Learned from %(snapshot)s (%(digest)s).") % {"snapshot": run.snapshot, "digest": run.snapshot.digest}
        )
    reward = reward_of(run, request)
    if reward is not None:
        lines.append(
            _("Paid by %(reward)s for its answers to %(prompts)d prompts.")
            % {"reward": reward, "prompts": len(request.get("prompts") or [])}
        )
    if run.method == Run.Method.IMPORT:
        metrics = result.get("metrics") or {}
        lines.append(
            _("Imported from %(source)s: %(id)s.") % {"source": metrics.get("source"), "id": metrics.get("id")}
        )
    return "\n\n".join(lines)


def collect_completions(job: Job, result: JSON) -> JSON:
    """The engine's rows in the registry's form."""
    run = Run.objects.get(job=job)
    rows = storage.read_rows(Path(run.folder) / "output" / "completions.jsonl")
    if not rows:
        raise JobError(
            "no_completions", _("The run wrote no completions."), hint=_("Every prompt was too long, or see its log.")
        )
    return {**result, "completions": [as_completion(row) for row in rows]}


def as_completion(row: JSON) -> JSON:
    """Every setting that decided the text is kept with it, its own seed too."""
    return {
        "prompt": row["prompt_id"],
        "external_id": f"{row['prompt_id']}:{row['sample']}",
        "text": row["text"],
        "finish_reason": row["finish_reason"],
        "sampling": {**row["sampling"], "seed": row["seed"], "attempt": row["attempt"]},
        "usage": {name: row[name] for name in ("prompt_tokens", "completion_tokens")},
    }


def store_completions(job: Job, result: JSON) -> JSON:
    """`completions_ready` goes out on commit."""
    run = Run.objects.select_related("base").get(job=job)
    assert run.base is not None
    rows = result.pop("completions")
    registry.add_completions(job=job, version=run.base, rows=rows)
    return {**result, "stored": len(rows)}


def collect_predictions(job: Job, result: JSON) -> JSON:
    """They stay in the run's folder, a row a task: whoever wants to label beforehand reads them there."""
    folder = Path(Run.objects.get(job=job).folder)
    if not (folder / storage.PREDICTIONS).is_file():
        raise JobError("no_predictions", _("The run wrote no predictions."), hint=_("Its log says more."))
    return {**result, "predictions": sha256_file(folder / storage.PREDICTIONS)}


def store_predictions(job: Job, result: JSON) -> JSON:
    return result


def collect_measures(job: Job, result: JSON) -> JSON:
    """Numbers with their intervals, from what the engine wrote."""
    from training.evaluations import measured  # numpy: only here, never when a web process starts

    run = Run.objects.get(job=job)
    return {**result, "measures": measured(Path(run.folder), result.get("metrics") or {})}


def store_evaluation(job: Job, result: JSON) -> JSON:
    run = Run.objects.select_related("project", "base").get(job=job)
    request = specs.request_of(job.kind, job.spec)
    assert run.base is not None
    names = request["models"]
    versions = {version.public_id: version for version in versions_of(run.project).filter(public_id__in=names.values())}
    reward = names.get("reward_model", "")
    evaluation = registry.record_evaluation(
        project=run.project,
        version=run.base,
        baseline=versions.get(names.get("baseline", "")),
        judge=reward or "likelihood",
        spec=evaluation_spec(run, request),
        metrics=result["measures"],
        job=job,
    )
    return {**result, "evaluation": evaluation.public_id}


def evaluation_spec(run: Run, request: JSON) -> JSON:
    return {
        "schema_version": 1,
        "run": run.public_id,
        "models": request["models"],
        "snapshot": _named(run.snapshot),
        "prompts": {"count": len(request.get("prompts") or []), "digest": digest_of(request.get("prompts") or [])},
        "hyperparameters": request.get("hyperparameters") or {},
        "seed": request.get("seed", 0),
    }
