"""Small charts as SVG, drawn on the server from numbers, each with the table of those numbers.

Pure functions: numbers in, markup out. Looks come from the classes of manage.css, so a chart follows the theme and
needs no style of its own. Coordinates are in the units of the view box, one decimal.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeGuard

from django.utils.html import escape, format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _

from ground import formats
from ground.formats import known

Point = tuple[float, float | None]
Band = tuple[float, float | None, float | None]
Words = Callable[[float], str]

WIDTH, HEIGHT = 420, 168
RIGHT, TOP, BOTTOM = 12, 10, 22
CHARACTER = 6.2
"""Width of a digit in the smallest text, for the room that labels need."""
MOST_POINTS = 240
MOST_ROWS = 60
LOOKS = 6
"""Lines that can be told apart: by hue, and by dashes where hues are not seen."""


@dataclass(frozen=True)
class Column:
    title: str
    numeric: bool = True


@dataclass(frozen=True)
class Numbers:
    """The table under a chart. Cells are already written out; the first of a row names it."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""

    @property
    def aligned(self) -> list[list[tuple[str, bool]]]:
        numeric = [column.numeric for column in self.columns]
        return [list(zip(row, numeric, strict=True)) for row in self.rows]


@dataclass(frozen=True)
class LegendLine:
    name: str
    key: SafeString


@dataclass(frozen=True)
class Chart:
    svg: SafeString
    numbers: Numbers
    legend: tuple[LegendLine, ...] = ()

    def __str__(self) -> str:
        """The picture, so that a template may write {{ chart }}."""
        return self.svg


@dataclass(frozen=True)
class Line:
    """A series. None and NaN are gaps. `band` is (x, low, high); the first line of a chart is its subject."""

    name: str
    points: Sequence[Point]
    band: Sequence[Band] = ()


@dataclass(frozen=True)
class Reference:
    value: float
    name: str


@dataclass(frozen=True)
class Scale:
    """Maps values from [low, high] to [start, end]. On a log scale what is not positive has no place."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def has(self, value: float | None) -> TypeGuard[float]:
        return known(value) and not (self.log and value <= 0)

    def __call__(self, value: float) -> float:
        turn = math.log10 if self.log else float
        low, high = turn(self.low), turn(self.high)
        share = 0.5 if high == low else (turn(value) - low) / (high - low)
        return self.start + (self.end - self.start) * share


def nice_step(span: float, count: int) -> float:
    """The smallest of 1, 2, 2.5, 5 times a power of ten that covers `span` in at most `count` steps."""
    raw = span / count
    power = 10.0 ** math.floor(math.log10(raw))
    return next(step * power for step in (1, 2, 2.5, 5, 10) if step * power >= raw * (1 - 1e-9))


def nice_ticks(low: float, high: float, count: int = 3) -> list[float]:
    """Round values that enclose [low, high]: 0.13 to 0.91 gives 0, 0.5, 1. One value alone gets room on both sides."""
    if low == high:
        room = abs(low) / 2 or 1.0
        low, high = low - room, high + room
    step = nice_step(high - low, count)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(step * n, 12) for n in range(first, last + 1)]


def log_ticks(low: float, high: float) -> list[float]:
    """Powers of ten that enclose [low, high], thinned to four at most."""
    first, last = math.floor(math.log10(low) + 1e-9), math.ceil(math.log10(high) - 1e-9)
    last = max(last, first + 1)
    stride = math.ceil((last - first) / 3)
    return [10.0**n for n in range(first, last + stride, stride)]


def runs(points: Iterable[Point], scale: Scale) -> Iterator[list[tuple[float, float]]]:
    """The stretches between gaps."""
    stretch: list[tuple[float, float]] = []
    for x, y in points:
        if scale.has(y):
            stretch.append((x, y))
        elif stretch:
            yield stretch
            stretch = []
    if stretch:
        yield stretch


def thin(points: Sequence[Point], most: int = MOST_POINTS) -> Sequence[Point]:
    """At most `most` points: of each stretch of neighbours the lowest and the highest stay, so no spike is lost."""
    if len(points) <= most:
        return points
    size = math.ceil(len(points) / (most // 2 - 1))
    kept = {0, len(points) - 1}
    for start in range(0, len(points), size):
        stretch = range(start, min(start + size, len(points)))
        measured = [at for at in stretch if known(points[at][1])] or [start]
        kept.add(min(measured, key=lambda at: points[at][1] or 0))
        kept.add(max(measured, key=lambda at: points[at][1] or 0))
    return [points[at] for at in sorted(kept)]


def line_chart(
    lines: Sequence[Line],
    *,
    title: str,
    x_title: str = "",
    references: Sequence[Reference] = (),
    percent: bool = False,
    log: bool = False,
    floor: float | None = None,
    ceiling: float | None = None,
    x_text: Words | None = None,
    height: int = HEIGHT,
) -> Chart:
    """Series over a common x. `title` is what a screen reader says; `floor` and `ceiling` must be inside the y axis.

    With `percent`, values are shares of 1. The subject's last value is written at its end.
    """
    write = formats.percent if percent else formats.number
    across = x_text or formats.number
    values = list(_values(lines, references, floor, ceiling, log))
    numbers = _line_numbers(lines, x_title or _("step"), across, write)
    if not any(known(y) for line in lines for _x, y in line.points) or not values:
        return Chart(_nothing(title, height), numbers)
    ticks = log_ticks(min(values), max(values)) if log else nice_ticks(min(values), max(values))
    left = max(38.0, 12 + CHARACTER * max(len(write(tick)) for tick in ticks))
    xs = [x for line in lines for x, _y in line.points]
    x_at = Scale(min(xs), max(xs), left, WIDTH - RIGHT)
    y_at = Scale(ticks[0], ticks[-1], height - BOTTOM, TOP, log)
    parts = [*_frame(ticks, y_at, left, write), *_x_labels(x_at, height, x_title, across)]
    ends = [y_at(y) for _x, y in lines[0].points if y_at.has(y)]
    parts += [part for reference in references for part in _reference(reference, x_at, y_at, ends)]
    for look, line in enumerate(lines, start=1):
        parts += _line(line, min(look, LOOKS), x_at, y_at)
    parts += _end(lines[0], x_at, y_at, write)
    return Chart(_svg(title, WIDTH, height, parts), numbers, _legend(lines))


def dot_whisker(
    estimate: float | None,
    low: float | None,
    high: float | None,
    *,
    title: str,
    reference: float | None = 0.5,
    decided: bool = True,
    scale: tuple[float, float] = (0.0, 1.0),
) -> Chart:
    """A value on its interval: dark when decided, hollow and grey when too few to tell; what is outside `scale` is cut."""
    at = Scale(*scale, 6, 314)
    faint = "" if decided and known(low) and known(high) else " faint"
    parts = [f'<path class="ref" d="M{at(reference):.1f} 0V24"/>'] if reference is not None else []
    parts.append('<path class="grid" d="M6 12H314"/>')
    if known(low) and known(high):
        parts.append(_whisker(at, low, high, faint))
    if known(estimate) and scale[0] <= estimate <= scale[1]:
        parts.append(f'<circle class="pt{faint}" cx="{at(estimate):.1f}" cy="12" r="4"/>')
    cells = tuple(formats.number(value, 3) for value in (estimate, low, high, reference))
    names = (_("Value"), _("Low"), _("High"), _("Compared with"))
    return Chart(_svg(title, 320, 24, parts), Numbers(tuple(Column(name) for name in names), (cells,)))


def bars(counts: Sequence[tuple[str, float | None]], *, title: str, now: int | None = None) -> Chart:
    """Upright bars from zero, each with its number. `now` is the place of the one that still grows; others are pale."""
    known_counts = [count for _name, count in counts if known(count)]
    numbers = Numbers(
        (Column("", numeric=False), Column(_("Count"))),
        tuple((name, formats.number(count)) for name, count in counts),
    )
    if not known_counts:
        return Chart(_nothing(title, 84), numbers)
    top, stride = max(max(known_counts), 1), 300 / len(counts)
    parts = [part for at, bar in enumerate(counts) for part in _bar(bar, at, stride, top, now in (None, at))]
    return Chart(_svg(title, 300, 84, [*parts, '<path class="axis" d="M0 64H300"/>']), numbers)


def funnel(steps: Sequence[tuple[str, int]], *, title: str) -> Chart:
    """Lying bars, each a part of the first: what came in, and what is left after every step."""
    numbers = Numbers(
        (Column(_("Step"), numeric=False), Column(_("Count"))),
        tuple((name, formats.number(count)) for name, count in steps),
    )
    if not steps:
        return Chart(_nothing(title, 84), numbers)
    whole = max(*(count for _name, count in steps), 1)
    parts = [part for at, step in enumerate(steps) for part in _funnel_step(step, at * 42, whole)]
    return Chart(_svg(title, 320, 42 * len(steps) - 4, parts), numbers)


DOT_LOOKS = {"moving": "d1", "waiting": "d2", "stuck": "d3", "rest": "d0"}


def dots(counts: Sequence[tuple[str, int]], *, title: str, per: int = 20, most: int = 100) -> Chart:
    """One dot for every `per` items, at least one for any; kinds: moving, waiting, stuck, rest. Twenty a row."""
    numbers = Numbers(
        (Column("", numeric=False), Column(_("Count"))), tuple((kind, formats.number(n)) for kind, n in counts)
    )
    paths, place = [], 0
    for kind, count in counts:
        end = min(place + math.ceil(count / per), most)
        line = "".join(f"M{4 + 8 * (at % 20)} {4 + 8 * (at // 20)}h0" for at in range(place, end))
        paths += [f'<path class="{DOT_LOOKS[kind]}" d="{line}"/>'] if line else []
        place = end
    rows = max(1, math.ceil(place / 20))
    return Chart(_svg(title, 160, 8 * rows, paths, look="dots"), numbers)


def heat_step(share: float, *, decided: bool, widest: float = 0.3) -> str:
    """The class of a heat-map cell around one half: h-4 (brass, below) to h4 (petrol, above), h0 when undecided."""
    if not decided:
        return "h0"
    step = round((share - 0.5) / widest * 4)
    return f"h{max(-4, min(4, step))}"


def _values(
    lines: Sequence[Line], references: Sequence[Reference], floor: float | None, ceiling: float | None, log: bool
) -> Iterator[float]:
    """Everything the y axis must enclose."""
    found: list[float | None] = [floor, ceiling, *(reference.value for reference in references)]
    for line in lines:
        found += [y for _x, y in line.points]
        found += [edge for _x, *edges in line.band for edge in edges]
    return (value for value in found if known(value) and not (log and value <= 0))


def _svg(title: str, width: int, height: int, parts: Iterable[str], *, look: str = "chart") -> SafeString:
    body = mark_safe("".join(parts))  # noqa: S308 - every text in the parts is escaped where it is written
    return format_html(
        '<svg class="{}" viewBox="0 0 {} {}" role="img"><title>{}</title>{}</svg>', look, width, height, title, body
    )


def _nothing(title: str, height: int) -> SafeString:
    text = escape(_("Nothing measured yet"))
    middle = height / 2
    frame = f'<path class="axis" d="M12 {height - BOTTOM}H{WIDTH - RIGHT}"/>'
    return _svg(title, WIDTH, height, [frame, f'<text x="{WIDTH / 2}" y="{middle}" text-anchor="middle">{text}</text>'])


def _frame(ticks: Sequence[float], y_at: Scale, left: float, write: Words) -> Iterator[str]:
    for at, tick in enumerate(ticks):
        look, y = "grid" if at else "axis", y_at(tick)
        yield f'<path class="{look}" d="M{left:.1f} {y:.1f}H{WIDTH - RIGHT}"/>'
        yield f'<text x="{left - 6:.1f}" y="{y + 3.5:.1f}" text-anchor="end">{escape(write(tick))}</text>'


def _x_labels(x_at: Scale, height: int, x_title: str, across: Words) -> Iterator[str]:
    last = f"{x_title} {across(x_at.high)}".strip()
    if x_at.low == x_at.high:
        yield f'<text x="{x_at(x_at.low):.1f}" y="{height - 6}" text-anchor="middle">{escape(last)}</text>'
        return
    yield f'<text x="{x_at.start:.1f}" y="{height - 6}" text-anchor="start">{escape(across(x_at.low))}</text>'
    middle = (x_at.low + x_at.high) / 2
    if middle == round(middle):
        yield f'<text x="{x_at(middle):.1f}" y="{height - 6}" text-anchor="middle">{escape(across(middle))}</text>'
    yield f'<text x="{x_at.end:.1f}" y="{height - 6}" text-anchor="end">{escape(last)}</text>'


def _reference(reference: Reference, x_at: Scale, y_at: Scale, subject: Sequence[float]) -> Iterator[str]:
    """Its name stands at the right end, or at the left when the subject ends close by."""
    if not y_at.has(reference.value):
        return
    y = y_at(reference.value)
    yield f'<path class="ref" d="M{x_at.start:.1f} {y:.1f}H{x_at.end:.1f}"/>'
    x, anchor = (x_at.end, "end") if not subject or abs(subject[-1] - y) > 26 else (x_at.start + 4, "start")
    yield f'<text x="{x:.1f}" y="{y - 4:.1f}" text-anchor="{anchor}">{escape(reference.name)}</text>'


def _line(line: Line, look: int, x_at: Scale, y_at: Scale) -> Iterator[str]:
    for lower, upper in _bands(line.band, y_at):
        outline = [(x_at(x), y_at(y)) for x, y in upper] + [(x_at(x), y_at(y)) for x, y in reversed(lower)]
        yield f'<path class="b{min(look, 2)}" d="{_path(outline)}z"/>'
    for stretch in runs(thin(line.points), y_at):
        placed = [(x_at(x), y_at(y)) for x, y in stretch]
        if len(placed) == 1:
            yield f'<circle class="l{look}" cx="{placed[0][0]:.1f}" cy="{placed[0][1]:.1f}" r="1.5"/>'
        else:
            yield f'<path class="l{look}" d="{_path(placed)}"/>'


def _bands(band: Sequence[Band], y_at: Scale) -> Iterator[tuple[list[tuple[float, float]], list[tuple[float, float]]]]:
    """The stretches of a band where both edges are known, as (lower, upper)."""
    lower: list[tuple[float, float]] = []
    upper: list[tuple[float, float]] = []
    for x, low, high in [*band, (0.0, None, None)]:
        if y_at.has(low) and y_at.has(high):
            lower.append((x, low))
            upper.append((x, high))
        elif lower:
            yield lower, upper
            lower, upper = [], []


def _path(points: Iterable[tuple[float, float]]) -> str:
    return "M" + " ".join(f"{x:.1f} {y:.1f}" for x, y in points)


def _end(line: Line, x_at: Scale, y_at: Scale, write: Words) -> list[str]:
    """The subject's last known value, written above its point, or below when there is no room above."""
    placed = [(x, y) for x, y in line.points if y_at.has(y)]
    if not placed:
        return []
    x, y = x_at(placed[-1][0]), y_at(placed[-1][1])
    anchor = "end" if x > WIDTH / 2 else "start"
    above = y - 9 if y > TOP + 14 else y + 17
    text = escape(write(placed[-1][1]))
    return [
        f'<circle class="now" cx="{x:.1f}" cy="{y:.1f}" r="3.5"/>',
        f'<text class="strong" x="{x:.1f}" y="{above:.1f}" text-anchor="{anchor}">{text}</text>',
    ]


def _legend(lines: Sequence[Line]) -> tuple[LegendLine, ...]:
    """Only when there is something to tell apart; a reference has its name in the picture."""
    if len(lines) < 2:
        return ()
    key = '<svg class="chart" viewBox="0 0 22 8" aria-hidden="true"><path class="l{}" d="M0 4H22"/></svg>'
    return tuple(LegendLine(line.name, format_html(key, min(look, LOOKS))) for look, line in enumerate(lines, start=1))


def _line_numbers(lines: Sequence[Line], x_title: str, across: Words, write: Words) -> Numbers:
    columns = [Column(x_title)]
    for line in lines:
        columns.append(Column(line.name))
        columns += [Column(_("low")), Column(_("high"))] if line.band else []
    places = sorted({x for line in lines for x, _y in line.points})
    stride = math.ceil(len(places) / MOST_ROWS) or 1
    shown = sorted({*places[::stride], *places[-1:]})
    note = _("Every %(n)dth of %(all)d points.") % {"n": stride, "all": len(places)} if stride > 1 else ""
    lookups = [(dict(line.points), {x: edges for x, *edges in line.band}, bool(line.band)) for line in lines]
    rows = [(across(x), *(cell for lookup in lookups for cell in _cells(x, *lookup, write))) for x in shown]
    return Numbers(tuple(columns), tuple(rows), note)


def _cells(
    x: float, points: dict[float, float | None], band: dict[float, list[float | None]], banded: bool, write: Words
) -> list[str]:
    values = [points.get(x), *(band.get(x, [None, None]) if banded else [])]
    return [formats.NOTHING if value is None else write(value) for value in values]


def _whisker(at: Scale, low: float, high: float, faint: str) -> str:
    """The interval, with an end mark only where the interval really ends inside the picture."""
    left, right = max(low, at.low), min(high, at.high)
    caps = [f"M{at(edge):.1f} 8v8" for edge in (low, high) if at.low <= edge <= at.high]
    return f'<path class="iv{faint}" d="M{at(left):.1f} 12H{at(right):.1f}{"".join(caps)}"/>'


def _bar(bar: tuple[str, float | None], at: int, stride: float, top: float, strong: bool) -> Iterator[str]:
    name, count = bar
    middle, width = at * stride + stride / 2, min(34.0, stride * 0.6)
    if known(count):
        tall = 46 * count / top
        look = "bar1" if strong else "bar1 past"
        yield f'<path class="{look}" d="M{middle - width / 2:.1f} 64v{-tall:.1f}h{width:.1f}v{tall:.1f}z"/>'
    number = escape(formats.number(count))
    high = 60 - (46 * count / top if known(count) else 0)
    yield f'<text class="strong" x="{middle:.1f}" y="{high:.1f}" text-anchor="middle">{number}</text>'
    yield f'<text x="{middle:.1f}" y="80" text-anchor="middle">{escape(name)}</text>'


def _funnel_step(step: tuple[str, int], top: int, whole: int) -> Iterator[str]:
    name, count = step
    yield f'<text x="0" y="{top + 12}">{escape(name)}</text>'
    number = escape(formats.number(count))
    yield f'<text class="strong" x="320" y="{top + 12}" text-anchor="end">{number}</text>'
    yield f'<path class="bar0" d="M0 {top + 19}h320v10H0z"/>'
    yield f'<path class="bar1" d="M0 {top + 19}h{320 * count / whole:.1f}v10H0z"/>'
