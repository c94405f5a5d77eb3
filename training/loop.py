"""The loop as one picture: eight stations, each with honest counts of what is there now."""

from __future__ import annotations

from collections import Counter
from typing import Any

from django.db.models import Count, Q
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from accounts.models import Project
from annotation.selectors.queue import queue_counts
from feedback.models import Snapshot
from feedback.selectors import counts_of, human_win_rate
from jobs.models import Job
from models_registry.models import (
    Alias,
    AliasMove,
    Completion,
    Deployment,
    Evaluation,
    ModelVersion,
    Prompt,
    Verdict,
)
from models_registry.services.aliases import SERVES
from training.data import LoopPicture, Station
from training.engine.methods import TRAINED
from training.models import Run


def loop_picture(project: Project) -> LoopPicture:
    """One moment of a project; a few dozen small statements, for a page that asks every few seconds."""
    numbers = {
        "write": _write(project),
        "judge": _judge(project),
        "settle": _settle(project),
        "freeze": _freeze(project),
        "runs": _runs(project),
        "evaluate": _evaluations(project),
        "gate": _gate(project),
        "serve": _serve(project),
    }
    stations = (
        _write_station(numbers["write"], numbers["runs"]),
        _judge_station(numbers["judge"]),
        _settle_station(numbers["settle"]),
        _freeze_station(numbers["freeze"]),
        _train_station(numbers["runs"]),
        _evaluate_station(numbers["evaluate"], numbers["runs"]),
        _gate_station(numbers["gate"]),
        _serve_station(numbers["serve"], numbers["settle"]),
    )
    return LoopPicture(stations=stations, win_rate=latest_win_rate(project), numbers=numbers)


def _write(project: Project) -> dict[str, int]:
    held_out = Count("pk", filter=Q(held_out=True))
    prompts = Prompt.objects.filter(project=project).aggregate(prompts=Count("pk"), held_out=held_out)
    responses = Completion.objects.filter(project=project).aggregate(
        responses=Count("pk"), by_models=Count("pk", filter=Q(source=Completion.Source.VERSION))
    )
    return {**prompts, **responses}


def _judge(project: Project) -> dict[str, int]:
    """Tasks by how far they are: nobody has answered, some have, or somebody holds one now."""
    counts = queue_counts(project)
    return {
        "tasks": counts["tasks"],
        "waiting": counts["untouched"],
        "begun": counts["begun"],
        "judged": counts["complete"],
        "slots_open": counts["open"],
        "slots_in_hand": counts["leased"],
        "answers": counts["done"],
    }


def _settle(project: Project) -> dict[str, int]:
    found = counts_of(project)
    return {
        "preferences": found.preferences,
        "decisive": found.decisive,
        "ties": found.ties,
        "both_bad": found.both_bad,
        "waiting": found.waiting,
        "feedback": found.feedback,
        "pending": found.pending,
    }


def _freeze(project: Project) -> dict[str, Any]:
    latest = Snapshot.objects.filter(project=project).order_by("-number").first()
    rows = sum(int(entry.get("rows") or 0) for name, entry in _data_files(latest) if name.startswith("preference"))
    running = Job.objects.filter(project=project, kind="freeze", state__in=[Job.State.QUEUED, Job.State.RUNNING])
    return {
        "snapshots": latest.number if latest else 0,
        "latest": latest.public_id if latest else None,
        "pairs": rows,
        "freezing": running.count(),
    }


def _data_files(snapshot: Snapshot | None) -> list[tuple[str, dict[str, Any]]]:
    return list(snapshot.files.items()) if snapshot else []


def _runs(project: Project) -> dict[str, dict[str, int]]:
    """Counts by method, then by state."""
    counts: dict[str, dict[str, int]] = {}
    rows = Run.objects.filter(project=project).values_list("method", "job__state").annotate(n=Count("pk")).order_by()
    for method, state, n in rows:
        counts.setdefault(method, {})[state] = n
    # A generation that still waits for its first attempt has no run yet.
    queued = Job.objects.filter(project=project, kind="generate", run=None, state__in=[Job.State.QUEUED]).count()
    if queued:
        states = counts.setdefault("generate", {})
        states["queued"] = states.get("queued", 0) + queued
    return counts


def _evaluations(project: Project) -> dict[str, int]:
    found = Evaluation.objects.filter(project=project)
    return {"evaluations": found.count(), "by_people": found.filter(judge="people").count()}


def _gate(project: Project) -> dict[str, Any]:
    """Versions this project trained, those that were judged, and where the champions stand."""
    trained = ModelVersion.objects.filter(model__project=project, kind=ModelVersion.Kind.CAUSAL)
    verdicts = Counter(Verdict.objects.filter(project=project).values_list("outcome", flat=True))
    champions = Alias.objects.filter(model__project=project, name=Alias.CHAMPION).select_related("version__model")
    return {
        "versions": trained.count(),
        "unjudged": trained.filter(verdicts=None, aliases=None).count(),
        "verdicts": dict(sorted(verdicts.items())),
        "champions": [str(alias.version) for alias in champions],
        "moves": AliasMove.objects.filter(alias__model__project=project).count(),
    }


def _serve(project: Project) -> dict[str, int]:
    wanted = Deployment.objects.filter(project=project, wanted=True)
    states = Counter(wanted.values_list("state", flat=True))
    return {state: states.get(state, 0) for state in ("ready", "starting", "failed")}


def latest_win_rate(project: Project) -> dict[str, Any] | None:
    """People's word before a reward model's; None before anything was compared."""
    compared = Evaluation.objects.filter(project=project, baseline__isnull=False).order_by("-pk")
    compared = compared.select_related("version__model", "baseline__model", "project")
    for evaluation in compared.filter(judge="people")[:3]:
        found = human_win_rate(evaluation)
        if found is not None:
            rate = {name: getattr(found, name) for name in ("estimate", "low", "high", "n", "enough")}
            return _named(evaluation, rate)
    for evaluation in compared.exclude(judge="people")[:3]:
        if isinstance(evaluation.metrics.get("win_rate"), dict):
            return _named(evaluation, evaluation.metrics["win_rate"])
    return None


def _named(evaluation: Evaluation, rate: dict[str, Any]) -> dict[str, Any]:
    return {
        **rate,
        "evaluation": evaluation.public_id,
        "judge": evaluation.judge,
        "version": str(evaluation.version),
        "baseline": str(evaluation.baseline),
    }


def _going(runs: dict[str, dict[str, int]], *methods: str) -> tuple[int, int, int]:
    """Running, queued and failed runs of these methods."""
    states = [runs.get(method, {}) for method in methods]
    running, queued, failed = (sum(by.get(name, 0) for by in states) for name in ("running", "queued", "failed"))
    return running, queued, failed


def _write_station(write: dict[str, int], runs: dict[str, dict[str, int]]) -> Station:
    running, queued, _failed = _going(runs, "generate")
    note = _("to %(prompts)d prompts, %(held)d of them held out") % {
        "prompts": write["prompts"],
        "held": write["held_out"],
    }
    if running + queued:
        note = ngettext("%d run is writing more", "%d runs are writing more", running + queued) % (running + queued)
    return Station(
        key="write",
        title=_("Write"),
        count=write["responses"],
        unit=_("responses"),
        note=note,
        parts=(("moving", running + queued), ("rest", write["responses"])),
    )


def _judge_station(judge: dict[str, int]) -> Station:
    return Station(
        key="judge",
        title=_("Judge"),
        count=judge["waiting"] + judge["begun"],
        unit=_("pairs"),
        note=_("%(hand)d in hand now, %(begun)d judged in part, %(judged)d done")
        % {"hand": judge["slots_in_hand"], "begun": judge["begun"], "judged": judge["judged"]},
        parts=(("moving", judge["slots_in_hand"]), ("waiting", judge["slots_open"])),
    )


def _settle_station(settle: dict[str, int]) -> Station:
    return Station(
        key="settle",
        title=_("Settle"),
        count=settle["preferences"],
        unit=_("judgements"),
        note=_("%(decisive)d prefer one side, %(ties)d ties, %(bad)d both bad")
        % {"decisive": settle["decisive"], "ties": settle["ties"], "bad": settle["both_bad"]},
        parts=(("moving", settle["waiting"]), ("stuck", settle["pending"]), ("rest", settle["decisive"])),
    )


def _freeze_station(freeze: dict[str, Any]) -> Station:
    note = _("in snapshot %d, which never changes") % freeze["snapshots"] if freeze["snapshots"] else _("nothing yet")
    return Station(
        key="freeze",
        title=_("Freeze"),
        count=freeze["pairs"],
        unit=_("pairs"),
        note=_("a snapshot is being written") if freeze["freezing"] else note,
        parts=(("moving", freeze["freezing"]), ("rest", freeze["pairs"])),
    )


def _train_station(runs: dict[str, dict[str, int]]) -> Station:
    running, queued, failed = _going(runs, *TRAINED)
    done = sum(runs.get(method, {}).get("succeeded", 0) for method in TRAINED)
    return Station(
        key="train",
        title=_("Train"),
        count=running + queued,
        unit=ngettext("run", "runs", running + queued),
        note=_("%(running)d running, %(queued)d waiting, %(done)d done, %(failed)d failed")
        % {"running": running, "queued": queued, "done": done, "failed": failed},
        parts=(("moving", running + queued), ("stuck", failed), ("rest", done)),
    )


def _evaluate_station(evaluate: dict[str, int], runs: dict[str, dict[str, int]]) -> Station:
    running, queued, failed = _going(runs, "evaluate")
    return Station(
        key="evaluate",
        title=_("Evaluate"),
        count=evaluate["evaluations"],
        unit=ngettext("evaluation", "evaluations", evaluate["evaluations"]),
        note=_("%(going)d going on, %(people)d by people")
        % {"going": running + queued, "people": evaluate["by_people"]},
        parts=(("moving", running + queued), ("stuck", failed), ("rest", evaluate["evaluations"])),
    )


def _gate_station(gate: dict[str, Any]) -> Station:
    outcomes = gate["verdicts"]
    passed = sum(outcomes.get(name, 0) for name in SERVES)
    return Station(
        key="gate",
        title=_("Gate"),
        count=gate["unjudged"],
        unit=_("open"),
        note=_("%(passed)d may serve, %(stopped)d may not; champion: %(champion)s")
        % {
            "passed": passed,
            "stopped": sum(outcomes.values()) - passed,
            "champion": ", ".join(gate["champions"]) or _("none yet"),
        },
        parts=(("waiting", gate["unjudged"]), ("rest", sum(outcomes.values()))),
    )


def _serve_station(serve: dict[str, int], settle: dict[str, int]) -> Station:
    return Station(
        key="serve",
        title=_("Serve"),
        count=serve["ready"],
        unit=ngettext("model", "models", serve["ready"]),
        note=_("%(starting)d starting, %(failed)d failed; %(feedback)d pieces of feedback")
        % {"starting": serve["starting"], "failed": serve["failed"], "feedback": settle["feedback"]},
        parts=(("moving", serve["starting"]), ("stuck", serve["failed"]), ("rest", serve["ready"])),
    )
