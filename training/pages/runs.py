"""What the run's page says: its sentence, its line of phases, its curves, its facts. Pure reading; views render it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as lazy
from django.utils.translation import ngettext

from ground import clock, formats
from jobs.devices import WAITING
from jobs.models import Job
from training.costs import Cost, cost_of
from training.data import Phase, Sample
from training.engine.methods import TRAINED
from training.logs import Look
from training.models import Run
from training.selectors import phases_of

PHASES = {
    "queued": lazy("Queue"),
    "starting": lazy("Start"),
    "loading": lazy("Load"),
    "resumed": lazy("Resume"),
    "training": lazy("Train"),
    "generating": lazy("Write"),
    "scoring": lazy("Score"),
    "evaluating": lazy("Measure"),
    "measuring": lazy("Measure"),
    "predicting": lazy("Read"),
    "tokenizing": lazy("Tokenizer"),
    "packed": lazy("Pack"),
    "stopped_early": lazy("Early end"),
    "exporting": lazy("Save"),
    "cancelled": lazy("Stop"),
    "failed": lazy("Failure"),
    "done": lazy("Register"),
}
EXPECTED = {
    "import": ("starting", "loading", "exporting"),
    "generate": ("starting", "generating"),
    **dict.fromkeys(TRAINED, ("starting", "training", "exporting")),
    "classify": ("starting", "training", "exporting", "measuring"),
    "tag": ("starting", "training", "exporting", "measuring"),
    "pretrain": ("starting", "packed", "training", "exporting", "measuring"),
    "predict": ("starting", "predicting"),
    "evaluate": ("starting", "evaluating"),
}


MOST_TEXTS = 8
"""Of each prompt on the page."""


def heading(run: Run) -> str:
    words = {"number": run.number, "method": run.get_method_display(), "snapshot": run.snapshot, "base": run.base}
    if run.snapshot is not None:
        return _("Run %(number)d: %(method)s on %(snapshot)s") % words
    if run.base is not None:
        return _("Run %(number)d: %(method)s with %(base)s") % words
    return _("Run %(number)d: %(method)s") % words


def sentence(run: Run) -> str:
    """What is happening, in one sentence with numbers."""
    says: dict[str, Callable[[Run], str]] = {
        Job.State.QUEUED: _waits,
        Job.State.RUNNING: _works,
        Job.State.SUCCEEDED: _done,
        Job.State.FAILED: _failed,
        Job.State.CANCELLED: _stopped,
    }
    return says[run.job.state](run)


def _waits(run: Run) -> str:
    if run.job.error:
        return _("Run %(number)d failed at its attempt %(attempt)d and waits to be tried again.") % {
            "number": run.number,
            "attempt": run.job.attempt,
        }
    if run.job.progress.get("phase") == WAITING:
        return _("Run %d waits until the processors it needs are free.") % run.number
    return _("Run %d waits for its turn.") % run.number


def _works(run: Run) -> str:
    step, steps = steps_of(run)
    words = {"number": run.number, "step": step, "steps": steps}
    if run.job.cancel_requested_at:
        return _("Run %(number)d was asked to stop; it ends after the step in hand.") % words
    if not steps or step is None:
        return _("Run %(number)d is at work: %(phase)s.") % {**words, "phase": phase_name(run).lower()}
    if step >= steps:
        return _("Run %(number)d did all %(steps)d steps and is saving.") % words
    left = seconds_left(run)
    if left is None:
        return _("Run %(number)d is at step %(step)d of %(steps)d.") % words
    return _("Run %(number)d is at step %(step)d of %(steps)d; about %(left)s left.") % {**words, "left": roughly(left)}


def _done(run: Run) -> str:
    result, words = run.job.result or {}, {"number": run.number, "seconds": formats.duration(seconds_of(run))}
    if run.output is not None:
        return _("Run %(number)d made %(version)s in %(seconds)s.") % {**words, "version": run.output}
    if "stored" in result:
        stored = int(result["stored"])
        text = ngettext(
            "Run %(number)d wrote %(stored)d response in %(seconds)s.",
            "Run %(number)d wrote %(stored)d responses in %(seconds)s.",
            stored,
        )
        return text % {**words, "stored": stored}
    if run.method == Run.Method.PREDICT:
        read = int((result.get("metrics") or {}).get("texts") or 0)
        text = ngettext(
            "Run %(number)d read %(read)d task in %(seconds)s.",
            "Run %(number)d read %(read)d tasks in %(seconds)s.",
            read,
        )
        return text % {**words, "read": read}
    if run.method == Run.Method.EVALUATE:
        return _("Run %(number)d measured %(base)s in %(seconds)s.") % {**words, "base": run.base}
    return _("Run %(number)d is done after %(seconds)s.") % words


def _failed(run: Run) -> str:
    step, _steps = steps_of(run)
    if step:
        return _("Run %(number)d failed at step %(step)d.") % {"number": run.number, "step": step}
    return _("Run %d failed before its first step.") % run.number


def _stopped(run: Run) -> str:
    step, steps = steps_of(run)
    if step and steps:
        words = {"number": run.number, "step": step, "steps": steps}
        return _("Run %(number)d was stopped at step %(step)d of %(steps)d.") % words
    return _("Run %d was stopped before it began to work.") % run.number


def steps_of(run: Run) -> tuple[int | None, int | None]:
    progress = run.job.progress
    return progress.get("step"), progress.get("steps")


def seconds_of(run: Run) -> float | None:
    """From its start to its end, or to now; None before it started."""
    if run.job.started_at is None:
        return None
    return ((run.job.finished_at or clock.now()) - run.job.started_at).total_seconds()


def seconds_left(run: Run) -> float | None:
    """From the pace of the phase that counts steps; None before two steps were seen."""
    step, steps = steps_of(run)
    counting = [phase for phase in phases_of(run) if "steps" in phase.data or "batches" in phase.data]
    if not counting or not step or not steps:
        return None
    began = counting[-1].data.get("step", counting[-1].data.get("batch", 0))
    if step - began < 2:
        return None
    elapsed = (clock.now() - counting[-1].at).total_seconds()
    return elapsed / (step - began) * (steps - step)


def share_of(run: Run) -> str:
    """Of its steps, while it is at work; empty where none are counted."""
    step, steps = steps_of(run)
    at_work = run.job.state == Job.State.RUNNING and steps
    return formats.percent(min(1.0, (step or 0) / steps)) if at_work and steps else ""


def left_of(run: Run) -> str:
    """About how long a run at work still takes; empty where nothing tells."""
    left = seconds_left(run) if run.job.state == Job.State.RUNNING else None
    return roughly(left) if left else ""


def roughly(seconds: float) -> str:
    """Whole minutes, or seconds in tens: an estimate claims no more."""
    if seconds >= 90:
        minutes = round(seconds / 60)
        return ngettext("%d minute", "%d minutes", minutes) % minutes
    if seconds >= 50:
        return _("1 minute")
    return _("%d seconds") % max(10, round(seconds / 10) * 10)


def phase_name(run: Run) -> str:
    name = str(run.job.progress.get("phase") or "starting")
    return str(PHASES.get(name, name.replace("_", " ")))


def phase_line(run: Run) -> list[dict[str, str]]:
    """The line of phases: those of the last start, then what is still to come."""
    went = _last_start(phases_of(run))
    shown = [_queue_phase(run)] + [_went_phase(run, phase, phase is went[-1]) for phase in went]
    if run.job.state in (Job.State.FAILED, Job.State.CANCELLED):
        return shown
    seen = {phase.name for phase in went}
    ahead = [name for name in EXPECTED[run.method] if name not in seen]
    done = run.job.state == Job.State.SUCCEEDED
    shown += [] if done else [_phase(name, "") for name in ahead]
    return [*shown, _phase("done", _made(run), "done" if done else "")]


def _last_start(phases: Sequence[Phase]) -> list[Phase]:
    starts = [at for at, phase in enumerate(phases) if phase.name == "starting"]
    return list(phases[starts[-1] :]) if starts else list(phases)


def _phase(name: str, note: str, state: str = "") -> dict[str, str]:
    return {"title": str(PHASES.get(name, name.replace("_", " ").capitalize())), "note": note, "state": state}


def _queue_phase(run: Run) -> dict[str, str]:
    if run.job.started_at is None:
        state = "here" if run.job.state == Job.State.QUEUED else "failed"
        return _phase("queued", "", state)
    return _phase("queued", formats.duration((run.job.started_at - run.job.queued_at).total_seconds()), "done")


def _went_phase(run: Run, phase: Phase, last: bool) -> dict[str, str]:
    if phase.name in ("failed", "cancelled"):
        return _phase(phase.name, str(phase.data.get("class") or ""), "failed")
    step, steps = steps_of(run)
    if last and run.job.state == Job.State.RUNNING:
        note = _("step %(step)d of %(steps)d") % {"step": step, "steps": steps} if step and steps else ""
        return _phase(phase.name, note, "here")
    return _phase(phase.name, str(phase.data.get("stage") or formats.duration(phase.seconds)), "done")


def _made(run: Run) -> str:
    return str(run.output) if run.output else ""


def facts(run: Run) -> list[tuple[str, str]]:
    """How it runs and what it took: what the launcher reported, then what was asked for."""
    result, asked = run.job.result or {}, run.settings.get("parallelism") or {}
    processes = result.get("world_size") or asked.get("world_size") or 1
    stage = result.get("zero_stage") if result.get("zero_stage") is not None else asked.get("zero_stage")
    memory = result.get("peak_rss_mb") or run.job.progress.get("peak_rss_mb")
    named = [
        (_("Launcher"), str(result.get("launcher") or "")),
        (_("Processes"), str(processes)),
        (_("ZeRO stage"), str(stage) if stage else ""),
        (_("Peak memory"), formats.size(memory * 1024 * 1024) if memory else ""),
        (_("Time"), formats.duration(seconds_of(run)) if run.job.started_at else ""),
        *_cost(run),
        (_("Attempts"), _("%(n)d of %(most)d") % {"n": run.job.attempt, "most": run.job.max_attempts}),
        (_("Seed"), str(run.settings.get("seed", 0))),
        (_("Prompts"), str(run.settings.get("prompts") or "")),
    ]
    return [(name, value) for name, value in named if value]


def _cost(run: Run) -> list[tuple[str, str]]:
    """Nothing before it began. The estimate stands beside what it assumes."""
    cost = cost_of(run)
    if not cost.seconds:
        return []
    words = {"energy": energy(cost), "watts": formats.number(cost.watts), "kind": cost.kind.upper()}
    return [
        (_("Device-seconds"), formats.number(cost.device_seconds)),
        (_("Energy"), _("about %(energy)s, at %(watts)s W a %(kind)s") % words),
    ]


def energy(cost: Cost) -> str:
    """Watt-hours below one kilowatt-hour; two figures, because an estimate claims no more."""
    value, unit = (cost.kilowatt_hours, "kWh") if cost.kilowatt_hours >= 1 else (cost.kilowatt_hours * 1000, "Wh")
    return f"{formats.number(value, 1 if value < 10 else 0)} {unit}"


def settings_of(run: Run) -> list[tuple[str, str]]:
    """What was asked for by name; what is not here had its default."""
    groups = (run.settings.get(name) or {} for name in ("hyperparameters", "checkpoint"))
    return [(name, plain(value)) for group in groups for name, value in sorted(group.items())]


def plain(value: Any) -> str:
    """A setting in a cell."""
    if isinstance(value, dict):
        return ", ".join(f"{name} {inner}" for name, inner in value.items())
    return str(value)


def spread(shown: dict[str, list[Sample]]) -> dict[str, list[Sample]]:
    """At most eight texts of each prompt: the first, the last, and those between at equal distances."""
    return {prompt: [texts[at] for at in _places(len(texts))] for prompt, texts in shown.items()}


def _places(count: int) -> list[int]:
    if count <= MOST_TEXTS:
        return list(range(count))
    return [round(at * (count - 1) / (MOST_TEXTS - 1)) for at in range(MOST_TEXTS)]


def files_of(run: Run) -> list[tuple[str, str]]:
    """The digests of what it made."""
    artifact = (run.job.result or {}).get("artifact") or {}
    return sorted((artifact.get("files") or {}).items())


def log_says(look: Look, wanted: str) -> str:
    """How much of the log is shown."""
    shown = {"found": formats.number(look.found), "shown": formats.number(len(look.kept))}
    if not look.size:
        return ""
    if not look.complete:
        share = formats.percent(look.share)
        return _("Looked through %(share)s of it so far, %(found)s lines found.") % {**shown, "share": share}
    if wanted:
        text = ngettext("%(found)s line holds it.", "%(found)s lines hold it.", look.found) % shown
        return text + (" " + _("The last %(shown)s are shown.") % shown if look.found > len(look.kept) else "")
    if look.found > len(look.kept):
        return _("The last %(shown)s of %(found)s lines.") % shown
    return ngettext("%(found)s line.", "%(found)s lines.", look.found) % shown


def kept_after_stop(run: Run) -> str:
    """What a stop would leave, said beside the button."""
    if run.job.state == Job.State.QUEUED:
        return _("It has not begun, so nothing is lost. To have it after all, start it again.")
    if run.method in TRAINED:
        return _(
            "It ends the step in hand and writes a checkpoint. Checkpoint, curves and log are kept in its folder. No model is "
            "registered; it can go on from there."
        )
    return _("It ends the batch in hand. What it wrote and its log are kept in its folder; nothing is registered.")


def run_url(run: Run) -> str:
    return reverse("run", args=[run.project.slug, run.public_id])
