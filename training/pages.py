"""What the run's page says: its sentence, its line of phases, its curves, its facts. Pure reading; views render it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as lazy
from django.utils.translation import ngettext

from ground import clock, formats
from ground.charts import Chart, Line, Reference, line_chart
from jobs.devices import WAITING
from jobs.models import Job
from training.data import Phase
from training.models import Run
from training.selectors import curves, phases_of

Curve = list[tuple[int, float]]
PHASES = {
    "queued": lazy("Queue"),
    "starting": lazy("Start"),
    "loading": lazy("Load"),
    "resumed": lazy("Resume"),
    "training": lazy("Train"),
    "generating": lazy("Write"),
    "scoring": lazy("Score"),
    "evaluating": lazy("Measure"),
    "exporting": lazy("Save"),
    "cancelled": lazy("Stop"),
    "failed": lazy("Failure"),
    "done": lazy("Register"),
}
EXPECTED = {
    "import": ("starting", "loading", "exporting"),
    "generate": ("starting", "generating"),
    "sft": ("starting", "training", "exporting"),
    "reward": ("starting", "training", "exporting"),
    "dpo": ("starting", "training", "exporting"),
    "evaluate": ("starting", "evaluating"),
}
TINY = 1e-4
"""Learning rates below it are drawn in millionths: the labels have six decimals."""


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


@dataclass(frozen=True, kw_only=True)
class Panel:
    """A chart with the sentence above it."""

    title: str
    subtitle: str
    chart: Chart


def panels(run: Run) -> list[Panel]:
    """The curves that exist, the telling ones first."""
    found = curves(run)
    drawn = (_loss, _accuracy, _margin, _sides, _rate, _speed, _length)
    return [panel for draw in drawn if (panel := draw(found)) is not None]


def _first(found: dict[str, Curve], *names: str) -> Curve:
    return next((found[name] for name in names if found.get(name)), [])


def _ends(curve: Curve) -> tuple[float, float]:
    """The means of the first and of the last tenth: single steps are noise."""
    size = max(1, len(curve) // 10)
    values = [value for _step, value in curve]
    return sum(values[:size]) / size, sum(values[-size:]) / size


def _loss(found: dict[str, Curve]) -> Panel | None:
    curve = _first(found, "loss")
    if not curve:
        return None
    begin, end = _ends(curve)
    words = {"begin": formats.number(begin), "end": formats.number(end)}
    title = _("The loss is %(end)s after its first steps") % words
    if len(curve) > 4:
        falls = end < begin
        title = _("The loss fell from %(begin)s to %(end)s") if falls else _("The loss rose from %(begin)s to %(end)s")
        title %= words
    return Panel(title=title, subtitle=_("Training rows, mean a step. Lower is better."), chart=_chart(title, curve))


def _accuracy(found: dict[str, Curve]) -> Panel | None:
    curve = _first(found, "rewards/accuracies", "accuracy")
    if not curve:
        return None
    title = _("%s of the training pairs are ordered right") % formats.percent(_ends(curve)[1])
    lines, chance = [Line(_("accuracy"), curve)], Reference(0.5, _("chance"))
    chart = line_chart(lines, title=title, x_title=_("step"), references=[chance], percent=True, ceiling=1.0)
    return Panel(title=title, subtitle=_("Share a step: few pairs, so it jumps."), chart=chart)


def _margin(found: dict[str, Curve]) -> Panel | None:
    curve = _first(found, "rewards/margins", "margin")
    if not curve:
        return None
    begin, end = _ends(curve)
    title = _("Chosen and rejected move apart") if end > begin else _("Chosen and rejected do not move apart")
    chart = _chart(title, curve, references=[Reference(0.0, _("no difference"))])
    return Panel(title=title, subtitle=_("Reward margin, mean a step."), chart=chart)


def _sides(found: dict[str, Curve]) -> Panel | None:
    chosen, rejected = found.get("rewards/chosen"), found.get("rewards/rejected")
    if not chosen or not rejected:
        return None
    title = _("What became likelier than before")
    lines = [Line(_("chosen"), chosen), Line(_("rejected"), rejected)]
    chart = line_chart(lines, title=title, x_title=_("step"), references=[Reference(0.0, _("as the base"))])
    return Panel(title=title, subtitle=_("Implicit reward, mean a step."), chart=chart)


def _rate(found: dict[str, Curve]) -> Panel | None:
    curve = _first(found, "learning_rate")
    if not curve:
        return None
    tiny = max(value for _step, value in curve) < TINY
    scaled = [(step, value * 1e6) for step, value in curve] if tiny else curve
    title = _("Learning rate")
    return Panel(
        title=title, subtitle=_("In millionths, a step.") if tiny else _("A step."), chart=_chart(title, scaled)
    )


def _speed(found: dict[str, Curve]) -> Panel | None:
    curve = _first(found, "tokens_per_second")
    if not curve:
        return None
    title = _("%s tokens a second") % formats.number(_ends(curve)[1])
    return Panel(title=title, subtitle=_("All processes together."), chart=_chart(title, curve, floor=0.0))


def _length(found: dict[str, Curve]) -> Panel | None:
    curve = _first(found, "mean_completion_tokens")
    if not curve:
        return None
    title = _("Responses have %s tokens") % formats.number(_ends(curve)[1])
    return Panel(title=title, subtitle=_("Mean a batch."), chart=_chart(title, curve, floor=0.0))


def _chart(title: str, curve: Curve, references: Sequence[Reference] = (), floor: float | None = None) -> Chart:
    return line_chart([Line(_("value"), curve)], title=title, x_title=_("step"), references=references, floor=floor)


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
        (_("Attempts"), _("%(n)d of %(most)d") % {"n": run.job.attempt, "most": run.job.max_attempts}),
        (_("Seed"), str(run.settings.get("seed", 0))),
        (_("Prompts"), str(run.settings.get("prompts") or "")),
    ]
    return [(name, value) for name, value in named if value]


def settings_of(run: Run) -> list[tuple[str, str]]:
    """What was asked for by name; what is not here had its default."""
    groups = (run.settings.get(name) or {} for name in ("hyperparameters", "checkpoint"))
    return [(name, _plain(value)) for group in groups for name, value in sorted(group.items())]


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {inner}" for name, inner in value.items())
    return str(value)


def files_of(run: Run) -> list[tuple[str, str]]:
    """The digests of what it made."""
    artifact = (run.job.result or {}).get("artifact") or {}
    return sorted((artifact.get("files") or {}).items())


def found_lines(log: str, wanted: str) -> list[str]:
    """The lines with `wanted` in them, case aside; all of them without it."""
    lines = log.splitlines()
    return [line for line in lines if wanted.casefold() in line.casefold()] if wanted else lines


def kept_after_stop(run: Run) -> str:
    """What a stop would leave, said beside the button."""
    if run.job.state == Job.State.QUEUED:
        return _("It has not begun, so nothing is lost. To have it after all, start it again.")
    if run.method in ("sft", "reward", "dpo"):
        return _(
            "It ends the step in hand and writes a checkpoint. Checkpoint, curves and log are kept in its folder. No model is "
            "registered, and a new start begins at the first step."
        )
    return _("It ends the batch in hand. What it wrote and its log are kept in its folder; nothing is registered.")


def run_url(run: Run) -> str:
    return reverse("run", args=[run.project.slug, run.public_id])
