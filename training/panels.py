"""Curves as charts: of one run, each under the finding it shows, and of several runs over one another. Pure reading."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as lazy

from ground import formats
from ground.charts import Chart, Line, Reference, line_chart

Curve = list[tuple[int, float]]
Curves = Mapping[str, Curve]
Text = str | Promise
TINY = 1e-4
"""Learning rates below it are drawn in millionths: the labels have six decimals."""


@dataclass(frozen=True, kw_only=True)
class Panel:
    """A chart with the sentence above it."""

    title: str
    subtitle: str
    chart: Chart


@dataclass(frozen=True, kw_only=True)
class Measure:
    """What methods log under one of `names`. `finding` says in a few words what the curve shows."""

    names: tuple[str, ...]
    name: Text
    subtitle: Text
    finding: Callable[[Curve], str]
    percent: bool = False
    floor: float | None = None
    ceiling: float | None = None
    reference: tuple[float, Text] | None = None
    tiny: bool = False

    def of(self, found: Curves) -> Curve:
        return next((found[name] for name in self.names if found.get(name)), [])

    def draw(self, title: str, lines: Sequence[Line]) -> Panel:
        """Errors: none; `lines` have at least one point together."""
        scaled = self.tiny and max(value or 0.0 for line in lines for _step, value in line.points) < TINY
        chart = line_chart(
            [Line(line.name, _millionths(line)) for line in lines] if scaled else lines,
            title=title,
            x_title=_("step"),
            references=[Reference(self.reference[0], str(self.reference[1]))] if self.reference else [],
            percent=self.percent,
            floor=self.floor,
            ceiling=self.ceiling,
        )
        return Panel(title=title, subtitle=_("In millionths, a step.") if scaled else str(self.subtitle), chart=chart)


def _millionths(line: Line) -> list[tuple[float, float | None]]:
    return [(step, value and value * 1e6) for step, value in line.points]


def ends(curve: Curve) -> tuple[float, float]:
    """The means of the first and of the last tenth: single steps are noise."""
    size = max(1, len(curve) // 10)
    values = [value for _step, value in curve]
    return sum(values[:size]) / size, sum(values[-size:]) / size


def _loss(curve: Curve) -> str:
    begin, end = ends(curve)
    words = {"begin": formats.number(begin), "end": formats.number(end)}
    if len(curve) <= 4:
        return _("The loss is %(end)s after its first steps") % words
    falls = end < begin
    said = _("The loss fell from %(begin)s to %(end)s") if falls else _("The loss rose from %(begin)s to %(end)s")
    return said % words


def _margin(curve: Curve) -> str:
    begin, end = ends(curve)
    return _("Chosen and rejected move apart") if end > begin else _("Chosen and rejected do not move apart")


def _last(words: Text, write: Callable[[float], str] = formats.number) -> Callable[[Curve], str]:
    """`words` with the mean of the curve's last tenth."""
    return lambda curve: str(words) % write(ends(curve)[1])


def _megabytes(value: float) -> str:
    return formats.size(value * 1024 * 1024)


MEASURES = (
    Measure(
        names=("loss",),
        name=lazy("Loss"),
        subtitle=lazy("Training rows, mean a step. Lower is better."),
        finding=_loss,
    ),
    Measure(
        names=("eval_loss",),
        name=lazy("Held-out loss"),
        subtitle=lazy("Rows it does not learn from. Rising while the other falls: it learns by heart."),
        finding=_last(lazy("The held-out loss is %s")),
    ),
    Measure(
        names=("score", "reward"),
        name=lazy("Reward"),
        subtitle=lazy("By the reward model, mean a step. People may see it differently."),
        finding=_last(lazy("Responses score %s")),
    ),
    Measure(
        names=("rewards/accuracies", "accuracy"),
        name=lazy("Pairs ordered right"),
        subtitle=lazy("Share a step: few pairs, so it jumps."),
        finding=_last(lazy("%s of the training pairs are ordered right"), formats.percent),
        percent=True,
        ceiling=1.0,
        reference=(0.5, lazy("chance")),
    ),
    Measure(
        names=("rewards/margins", "margin"),
        name=lazy("Margin"),
        subtitle=lazy("Reward margin, mean a step."),
        finding=_margin,
        reference=(0.0, lazy("no difference")),
    ),
    Measure(
        names=("kl",),
        name=lazy("KL divergence"),
        subtitle=lazy("Nats from the base; PPO a response, others a token. Rising fast, it writes to please."),
        finding=_last(lazy("It is %s nats from the base")),
        reference=(0.0, lazy("as the base")),
    ),
    Measure(
        names=("entropy",),
        name=lazy("Entropy"),
        subtitle=lazy("Nats a token, mean a step. Near 0, it says one thing only."),
        finding=_last(lazy("The entropy is %s nats a token")),
        floor=0.0,
    ),
    Measure(
        names=("eos_rate",),
        name=lazy("EOS rate"),
        subtitle=lazy("Responses that end by themselves; the others were cut off."),
        finding=_last(lazy("%s of the responses come to an end"), formats.percent),
        percent=True,
        floor=0.0,
        ceiling=1.0,
    ),
    Measure(
        names=("mean_completion_tokens", "response_tokens", "completions/mean_length"),
        name=lazy("Response length"),
        subtitle=lazy("Tokens, mean a step."),
        finding=_last(lazy("Responses have %s tokens")),
        floor=0.0,
    ),
    Measure(
        names=("learning_rate",),
        name=lazy("Learning rate"),
        subtitle=lazy("A step."),
        finding=lambda _curve: _("Learning rate"),
        tiny=True,
    ),
    Measure(
        names=("grad_norm",),
        name=lazy("Gradient norm"),
        subtitle=lazy("Before it is clipped."),
        finding=_last(lazy("The gradient's norm is %s")),
        floor=0.0,
    ),
    Measure(
        names=("tokens_per_second",),
        name=lazy("Throughput"),
        subtitle=lazy("Tokens a second, all processes together."),
        finding=_last(lazy("%s tokens a second")),
        floor=0.0,
    ),
    Measure(
        names=("gpu_memory_mb", "memory_mb"),
        name=lazy("Memory"),
        subtitle=lazy("MiB of the first process: its GPU's peak, or what it holds of the machine's."),
        finding=_last(lazy("The first process holds %s"), _megabytes),
        floor=0.0,
    ),
)
"""Every curve that is drawn, the telling ones first."""


def panels(found: Curves) -> list[Panel]:
    """The curves that a run has, each under what it shows."""
    shown = []
    for measure in MEASURES:
        curve = measure.of(found)
        if curve:
            shown.append(measure.draw(measure.finding(curve), [Line(_("value"), curve)]))
        if "margin" in measure.names:
            shown += _sides(found)
    return shown


def _sides(found: Curves) -> list[Panel]:
    chosen, rejected = found.get("rewards/chosen"), found.get("rewards/rejected")
    if not chosen or not rejected:
        return []
    title = _("What became likelier than before")
    lines = [Line(_("chosen"), chosen), Line(_("rejected"), rejected)]
    chart = line_chart(lines, title=title, x_title=_("step"), references=[Reference(0.0, _("as the base"))])
    return [Panel(title=title, subtitle=_("Implicit reward, mean a step."), chart=chart)]


def together(named: Sequence[tuple[str, Curves]]) -> list[Panel]:
    """A chart for every measure that one of them has, a line for each that has it, in the order given and with its look."""
    found = [(measure, [Line(name, measure.of(curves)) for name, curves in named]) for measure in MEASURES]
    return [measure.draw(str(measure.name), lines) for measure, lines in found if any(line.points for line in lines)]
