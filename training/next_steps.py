"""The one thing that moves the loop on: looked for station by station, the first that is missing wins."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from accounts.models import Project
from feedback.models import Snapshot
from feedback.selectors import preferences_of
from jobs.models import Job
from models_registry.models import Alias, AliasMove, Deployment, Evaluation, ModelVersion
from models_registry.selectors import versions_of
from models_registry.services.aliases import SERVES
from training.models import Run

DEAD = (Job.State.FAILED, Job.State.CANCELLED)
POLICY_METHODS = ("sft", "dpo", "kto", "grpo", "rloo", "ppo")


@dataclass(frozen=True, kw_only=True)
class Step:
    """`sentence` says where things stand, `action` what to press. `busy`: the machine works, one can only watch."""

    station: str
    sentence: str
    text: str
    action: str
    url: str
    busy: bool = False


@dataclass(frozen=True)
class Look:
    """A project and the numbers of its loop, with the few rows that the steps ask about."""

    project: Project
    numbers: dict[str, Any]

    def room(self, name: str, *parts: str, end: str = "") -> str:
        return reverse(name, args=[self.project.slug, *parts]) + end

    def going(self, *methods: str) -> bool:
        states = [self.numbers["runs"].get(method, {}) for method in methods]
        return any(by.get("running", 0) + by.get("queued", 0) for by in states)

    @cached_property
    def snapshot(self) -> Snapshot | None:
        return Snapshot.objects.filter(project=self.project).order_by("-number").first()

    @cached_property
    def fresh(self) -> int:
        """Judgements that prefer one side and came after the last snapshot."""
        said = preferences_of(self.project).filter(outcome__in=("first", "second"))
        return said.filter(created_at__gt=self.snapshot.created_at).count() if self.snapshot else said.count()

    @cached_property
    def newest(self) -> ModelVersion | None:
        """What the last training of a policy made."""
        runs = Run.objects.filter(project=self.project, method__in=POLICY_METHODS, output__isnull=False)
        run = runs.select_related("output__model").order_by("-number").first()
        return run.output if run else None

    @cached_property
    def champion(self) -> Alias | None:
        aliases = Alias.objects.filter(model__project=self.project, name=Alias.CHAMPION)
        return aliases.select_related("version__model").order_by("-pk").first()


def next_step(look: Look) -> Step:
    found = (suggest(look) for suggest in CHAIN)
    return next((step for step in found if step is not None), None) or _closed(look)


def _import_prompts(look: Look) -> Step | None:
    if look.numbers["write"]["prompts"]:
        return None
    return Step(
        station="write",
        sentence=_("Nothing to judge yet."),
        text=_("Everything starts with prompts: what people will ask the model. Paste them, one a line."),
        action=_("Import prompts"),
        url=look.room("data", end="#prompts"),
    )


def _import_base(look: Look) -> Step | None:
    if versions_of(look.project).filter(kind=ModelVersion.Kind.CAUSAL).exists():
        return None
    prompts = look.numbers["write"]["prompts"]
    if look.going("import"):
        return _watch(look, "write", _("A base model is being brought in."))
    return Step(
        station="write",
        sentence=ngettext(
            "%d prompt waits for a model to answer it.", "%d prompts wait for a model to answer them.", prompts
        )
        % prompts,
        text=_("A base model writes the first responses, and training starts from it."),
        action=_("Bring in a base model"),
        url=look.room("new-run", end="?method=import"),
    )


def _first_champion(look: Look) -> Step | None:
    first = ModelVersion.objects.filter(model__project=look.project, kind=ModelVersion.Kind.CAUSAL)
    version = first.select_related("model").order_by("pk").first()
    if look.champion is not None or version is None:
        return None
    return Step(
        station="gate",
        sentence=_("%s is here, but nothing is the champion yet.") % version,
        text=_("The first version becomes the champion without a comparison; later ones must win against it."),
        action=_("Make it the champion"),
        url=look.room("version", version.public_id),
    )


def _generate(look: Look) -> Step | None:
    write = look.numbers["write"]
    if write["responses"]:
        return None
    if look.going("generate"):
        return _watch(look, "write", _("The model is writing responses."))
    return Step(
        station="write",
        sentence=ngettext(
            "Nobody has answered the %d prompt yet.", "Nobody has answered the %d prompts yet.", write["prompts"]
        )
        % write["prompts"],
        text=_("Have the model write two responses to each prompt, so that people can compare them."),
        action=_("Write responses"),
        url=look.room("new-run", end="?method=generate"),
    )


def _make_tasks(look: Look) -> Step | None:
    responses = look.numbers["write"]["responses"]
    if look.numbers["judge"]["tasks"]:
        return None
    if look.going("generate"):
        return _watch(look, "write", _("The model is writing responses."))
    return Step(
        station="judge",
        sentence=ngettext(
            "%d response lies ready, and nobody has been asked about it.",
            "%d responses lie ready, and nobody has been asked about them.",
            responses,
        )
        % responses,
        text=_("Put two responses to the same prompt side by side: each pair becomes a task."),
        action=_("Make tasks"),
        url=look.room("data", end="#tasks"),
    )


def _first_snapshot(look: Look) -> Step | None:
    if look.snapshot is not None:
        return None
    return _label(look) or _freeze_again(look)


def _label(look: Look) -> Step | None:
    judge = look.numbers["judge"]
    left = judge["slots_open"] + judge["slots_in_hand"]
    if not judge["slots_open"]:
        return None
    return Step(
        station="judge",
        sentence=_("%(done)d of %(all)d judgements are in.")
        % {"done": judge["answers"], "all": judge["answers"] + left},
        text=ngettext("%d is in somebody’s hands now.", "%d are in somebody’s hands now.", judge["slots_in_hand"])
        % judge["slots_in_hand"],
        action=_("Label"),
        url=look.room("label"),
    )


def _freeze_again(look: Look) -> Step | None:
    if look.numbers["freeze"]["freezing"]:
        return _watch(look, "freeze", _("A snapshot is being written."), place="data")
    if not look.fresh:
        return None
    return Step(
        station="freeze",
        sentence=ngettext("%d judgement is in no snapshot yet.", "%d judgements are in no snapshot yet.", look.fresh)
        % look.fresh,
        text=_("A snapshot never changes: what a model learned from can always be looked up."),
        action=_("Freeze a snapshot"),
        url=look.room("data", end="#freeze"),
    )


def _train(look: Look) -> Step | None:
    if look.snapshot is None:
        return None
    rows = int((look.snapshot.files.get("preference_train.jsonl") or {}).get("rows") or 0)
    method = "dpo" if rows else "sft"
    runs = Run.objects.filter(project=look.project).exclude(job__state__in=DEAD)
    if look.going(*POLICY_METHODS, "reward"):
        return _watch(look, "train", _("Training on snapshot %d is going on.") % look.snapshot.number)
    if not runs.filter(snapshot=look.snapshot, method=method).exists():
        return _training(look, method, _("No model has learned from snapshot %d yet.") % look.snapshot.number)
    if rows and not runs.filter(method="reward").exists():
        return _training(look, "reward", _("There is no reward model to judge what was trained."))
    return None


def _training(look: Look, method: str, sentence: str) -> Step:
    assert look.snapshot is not None
    names = {"dpo": _("Train with DPO"), "sft": _("Fine-tune"), "reward": _("Train a reward model")}
    return Step(
        station="train",
        sentence=sentence,
        text=_("A run starts from a version, learns from one snapshot, and makes a new version."),
        action=names[method],
        url=look.room("new-run", end=f"?method={method}&snapshot={look.snapshot.public_id}"),
    )


def _evaluate(look: Look) -> Step | None:
    version = look.newest
    if version is None or Evaluation.objects.filter(version=version, baseline__isnull=False).exists():
        return None
    if version.verdicts.exists():
        return None
    if look.going("evaluate"):
        return _watch(look, "evaluate", _("%s is being evaluated.") % version)
    return Step(
        station="evaluate",
        sentence=_("%s is trained; whether it is better, nobody knows yet.") % version,
        text=_("Let it and the champion answer the held-out prompts, and count how often it wins."),
        action=_("Evaluate it"),
        url=look.room("new-run", end=f"?method=evaluate&base={version.public_id}"),
    )


def _judge_version(look: Look) -> Step | None:
    version = look.newest
    if version is None or version.verdicts.exists() or version.aliases.exists():
        return None
    return Step(
        station="gate",
        sentence=_("%s is measured and waits for a verdict.") % version,
        text=_("Better, worse, or too few to tell: the interval decides, or you override it with a reason."),
        action=_("Decide"),
        url=look.room("version", version.public_id),
    )


def _move(look: Look) -> Step | None:
    version = look.newest
    if version is None or AliasMove.objects.filter(to_version=version, alias__name=Alias.CHAMPION).exists():
        return None
    verdict = version.verdicts.order_by("-pk").first()
    if verdict is None or verdict.outcome not in SERVES:
        return None
    return Step(
        station="gate",
        sentence=_("%s may serve, but is not the champion yet.") % version,
        text=_("Move the name: applications that ask for the champion get the new version from then on."),
        action=_("Make it the champion"),
        url=look.room("version", version.public_id),
    )


def _deploy(look: Look) -> Step | None:
    if look.champion is None or look.newest is None:
        return None
    version = look.champion.version
    served = Deployment.objects.filter(project=look.project, version=version, wanted=True)
    if served.filter(state=Deployment.State.STARTING).exists():
        return _watch(look, "serve", _("A server for %s is starting.") % version, place="models")
    if served.exists():
        return None
    return Step(
        station="serve",
        sentence=_("%s is the champion, but no server runs it.") % version,
        text=_("Once it is served, applications can ask it, and what they say about its answers comes back here."),
        action=_("Serve it"),
        url=look.room("version", version.public_id),
    )


def _round(look: Look) -> Step | None:
    return _watch(look, "write", _("New responses are being written.")) if look.going("generate") else None


def _watch(look: Look, station: str, sentence: str, place: str = "runs") -> Step:
    return Step(
        station=station,
        sentence=sentence,
        text=_("Nothing to do: the next step shows here when it is done."),
        action=_("Watch"),
        url=look.room(place),
        busy=True,
    )


def _closed(look: Look) -> Step:
    name = look.champion.version if look.champion else None
    return Step(
        station="serve" if name else "judge",
        sentence=_("%s serves, and every judgement is used.") % name if name else _("Every judgement so far is used."),
        text=_("New prompts, or new responses to those that are here, start the next round."),
        action=_("Import prompts"),
        url=look.room("data", end="#prompts"),
    )


CHAIN: tuple[Callable[[Look], Step | None], ...] = (
    _import_prompts,
    _import_base,
    _first_champion,
    _generate,
    _make_tasks,
    _first_snapshot,
    _train,
    _evaluate,
    _judge_version,
    _move,
    _deploy,
    _label,
    _freeze_again,
    _round,
)
