"""Charts say the numbers they were given: in the picture, in the title, and in the table under it."""

import math
import re
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ground.charts import (
    Chart,
    Line,
    Reference,
    bars,
    dot_whisker,
    dots,
    funnel,
    heat_step,
    line_chart,
    log_ticks,
    nice_ticks,
    thin,
)

NAN = float("nan")


def parse(chart: Chart) -> ElementTree.Element:
    """Well-formed, named, and without a style of its own, or it is no chart."""
    root = ElementTree.fromstring(chart.svg)
    assert root.get("role") == "img"
    assert root[0].tag == "title"
    assert not any(element.get("style") for element in root.iter())
    assert "nan" not in chart.svg
    assert "inf" not in chart.svg
    return root


def of(root: ElementTree.Element, tag: str, look: str) -> list[ElementTree.Element]:
    return [element for element in root.iter(tag) if element.get("class") == look]


def path_points(element: ElementTree.Element) -> list[tuple[float, float]]:
    numbers = [float(part) for part in re.findall(r"-?\d+\.\d", element.get("d") or "")]
    return list(zip(numbers[::2], numbers[1::2], strict=True))


def texts(root: ElementTree.Element) -> list[str]:
    return [element.text or "" for element in root.iter("text")]


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (0.13, 0.91, [0, 0.5, 1]),
        (0, 1, [0, 0.5, 1]),
        (0, 200, [0, 100, 200]),
        (3, 4.1, [3, 3.5, 4, 4.5]),
        (-2, 2, [-2, 0, 2]),
        (1e-5, 3e-5, [1e-5, 2e-5, 3e-5]),
    ],
)
def test_ticks_are_round_and_enclose_the_values(low: float, high: float, ticks: list[float]) -> None:
    """0.13 to 0.91 spans 0.78; a third is 0.26; the next round step is 0.5: 0, 0.5, 1."""
    assert nice_ticks(low, high) == pytest.approx(ticks)


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6))
@settings(max_examples=200)
def test_ticks_always_enclose_and_are_few(low: float, span: float) -> None:
    ticks = nice_ticks(low, low + span)
    assert ticks[0] <= low + span * 1e-6
    assert ticks[-1] >= (low + span) - span * 1e-6
    assert 2 <= len(ticks) <= 6


def test_log_ticks_are_powers_of_ten() -> None:
    assert log_ticks(0.003, 40) == pytest.approx([0.001, 0.1, 10, 1000])


def test_the_line_runs_through_its_points() -> None:
    """y from 0 to 1 on 168 - 22 = 146 down to 10: 0.5 stands at 78. x from 0 to 2 on 38 to 408: 1 stands at 223."""
    (path,) = of(parse(line_chart([Line("loss", [(0, 0.0), (1, 0.5), (2, 1.0)])], title="Loss")), "path", "l1")
    assert path_points(path) == [(38.0, 146.0), (223.0, 78.0), (408.0, 10.0)]


def test_the_last_value_is_written_at_the_end() -> None:
    root = parse(line_chart([Line("won", [(0, 0.5), (1, 0.58)])], title="Won", percent=True))
    assert [text.text for text in of(root, "text", "strong")] == ["58 %"]
    assert len(of(root, "circle", "now")) == 1


def test_a_gap_breaks_the_line_and_is_not_bridged() -> None:
    points = [(0, 1.0), (1, 2.0), (2, NAN), (3, 2.0), (4, 1.0), (5, None), (6, 1.5)]
    root = parse(line_chart([Line("kl", points)], title="KL"))
    assert [len(path_points(path)) for path in of(root, "path", "l1")] == [2, 2]
    assert len(of(root, "circle", "l1")) == 1


def test_nothing_measured_is_said_in_words() -> None:
    for points in ([], [(0, None)], [(0, NAN)]):
        assert texts(parse(line_chart([Line("loss", points)], title="Loss"))) == ["Nothing measured yet"]
    assert texts(parse(bars([], title="Week"))) == ["Nothing measured yet"]


def test_one_point_is_a_dot_with_its_number() -> None:
    root = parse(line_chart([Line("loss", [(7, 0.4)])], title="Loss", x_title="step"))
    assert len(of(root, "circle", "now")) == 1
    assert "step 7" in texts(root)
    assert "0.4" in texts(root)


def test_a_constant_line_has_room_on_both_sides() -> None:
    (path,) = of(parse(line_chart([Line("kl", [(0, 3.0), (1, 3.0)])], title="KL")), "path", "l1")
    assert all(10 < y < 146 for _x, y in path_points(path))


def test_the_band_goes_up_one_side_and_back_the_other() -> None:
    line = Line("won", [(0, 0.5), (1, 0.5)], band=[(0, 0.0, 1.0), (1, 0.0, 1.0)])
    (band,) = of(parse(line_chart([line], title="Won")), "path", "b1")
    assert path_points(band) == [(38.0, 10.0), (408.0, 10.0), (408.0, 146.0), (38.0, 146.0)]


def test_a_band_with_a_gap_is_two_bands() -> None:
    line = Line("won", [(0, 0.5), (1, 0.5), (2, 0.5)], band=[(0, 0.4, 0.6), (1, None, None), (2, 0.4, 0.6)])
    assert len(of(parse(line_chart([line], title="Won")), "path", "b1")) == 2


def test_a_reference_is_inside_the_picture_even_when_no_value_is_near() -> None:
    line = Line("kl", [(0, 0.1), (1, 0.2)])
    root = parse(line_chart([line], title="KL", references=[Reference(7, "stops above 7")]))
    (reference,) = of(root, "path", "ref")
    assert "stops above 7" in texts(root)
    assert 10 <= float(re.findall(r" (\d+\.\d)H", reference.get("d") or "")[0]) <= 146


def test_on_a_log_scale_a_factor_of_ten_is_one_step_and_zero_is_a_gap() -> None:
    """1 to 100 on 146 to 10: 10 stands in the middle, 78."""
    root = parse(line_chart([Line("lr", [(0, 1.0), (1, 10.0), (2, 100.0), (3, 0.0)])], title="Rate", log=True))
    (path,) = of(root, "path", "l1")
    assert [y for _x, y in path_points(path)] == [146.0, 78.0, 10.0]


def test_only_several_lines_need_a_legend() -> None:
    one, two = Line("training", [(0, 1.0)]), Line("held-out", [(0, 2.0)])
    assert line_chart([one], title="Loss").legend == ()
    assert [line.name for line in line_chart([one, two], title="Loss").legend] == ["training", "held-out"]


def test_the_table_holds_every_number_with_its_interval() -> None:
    lines = [Line("won", [(0, 0.5), (10, 0.58)], band=[(10, 0.53, 0.63)]), Line("base", [(10, 0.5)])]
    numbers = line_chart(lines, title="Won", x_title="step", percent=True).numbers
    assert [column.title for column in numbers.columns] == ["step", "won", "low", "high", "base"]
    assert numbers.rows == (("0", "50 %", "–", "–", "–"), ("10", "58 %", "53 %", "63 %", "50 %"))


def test_a_long_table_is_thinned_keeps_its_last_row_and_says_so() -> None:
    numbers = line_chart([Line("loss", [(n, 1.0) for n in range(1000)])], title="Loss", x_title="step").numbers
    assert len(numbers.rows) <= 61
    assert numbers.rows[-1][0] == "999"
    assert numbers.note == "Every 17th of 1000 points."


def test_a_long_series_is_thinned_without_losing_a_spike() -> None:
    points = [(float(n), 9.0 if n == 4321 else 1.0) for n in range(10_000)]
    few = thin(points)
    assert len(few) <= 240
    assert (4321.0, 9.0) in few
    assert few[0] == points[0]
    assert few[-1] == points[-1]


def test_names_from_outside_cannot_leave_their_place() -> None:
    evil = '</text><script>alert(1)</script>"&'
    chart = line_chart([Line(evil, [(0, 1.0), (1, 2.0)])], title=evil, x_title=evil, references=[Reference(1, evil)])
    for picture in (chart, bars([(evil, 1)], title=evil), funnel([(evil, 1)], title=evil)):
        assert parse(picture)[0].text == evil
        assert "<script" not in picture.svg


def test_a_decided_value_is_dark_and_stands_where_it_should() -> None:
    """0 to 1 on 6 to 314: 0.5 stands at 160, 0.6 at 190.8, 0.7 at 221.6."""
    root = parse(dot_whisker(0.6, 0.5, 0.7, title="60 %"))
    assert of(root, "path", "iv")[0].get("d") == "M160.0 12H221.6M160.0 8v8M221.6 8v8"
    assert of(root, "circle", "pt")[0].get("cx") == "190.8"
    assert of(root, "path", "ref")[0].get("d") == "M160.0 0V24"


def test_an_undecided_value_is_hollow_and_so_is_one_without_an_interval() -> None:
    for chart in (dot_whisker(0.6, 0.4, 0.7, title="x", decided=False), dot_whisker(0.6, None, None, title="x")):
        root = parse(chart)
        assert len(of(root, "circle", "pt faint")) == 1
        assert not of(root, "circle", "pt")


def test_an_interval_that_leaves_the_picture_has_no_end_mark_there() -> None:
    root = parse(dot_whisker(0.9, 0.7, 1.2, title="x"))
    assert of(root, "path", "iv")[0].get("d") == "M221.6 12H314.0M221.6 8v8"


def test_bars_are_as_tall_as_their_numbers() -> None:
    root = parse(bars([("Mon", 10), ("Tue", 20), ("Wed", None)], title="Week", now=1))
    (past,), (present,) = of(root, "path", "bar1 past"), of(root, "path", "bar1")
    assert "v-23.0h" in (past.get("d") or "")
    assert "v-46.0h" in (present.get("d") or "")
    assert [text.text for text in of(root, "text", "strong")] == ["10", "20", "–"]


def test_a_funnel_step_is_its_part_of_the_first() -> None:
    root = parse(funnel([("in", 200), ("settled", 50)], title="Funnel"))
    assert [path.get("d") for path in of(root, "path", "bar1")] == ["M0 19h320.0v10H0z", "M0 61h80.0v10H0z"]


def test_a_funnel_of_nothing_is_empty_bars() -> None:
    assert [path.get("d") for path in of(parse(funnel([("in", 0)], title="Funnel")), "path", "bar1")] == [
        "M0 19h0.0v10H0z"
    ]


def test_one_dot_is_twenty_items_and_one_item_is_a_dot() -> None:
    """41 moving: 3 dots; 1 stuck: 1 dot; 0 waiting: none."""
    root = parse(dots([("moving", 41), ("waiting", 0), ("stuck", 1)], title="42 pairs"))
    assert [(path.get("class"), (path.get("d") or "").count("M")) for path in root.iter("path")] == [
        ("d1", 3),
        ("d3", 1),
    ]


def test_dots_never_fill_the_page() -> None:
    root = parse(dots([("rest", 10**9)], title="many"))
    assert (next(root.iter("path")).get("d") or "").count("M") == 100


@pytest.mark.parametrize(
    ("share", "decided", "step"),
    [(0.58, True, "h1"), (0.79, True, "h4"), (0.42, True, "h-1"), (0.0, True, "h-4"), (0.9, False, "h0")],
)
def test_a_heat_cell_is_grey_until_it_is_decided(share: float, decided: bool, step: str) -> None:
    """0.08 of 0.3 is 1.07 of 4 steps; 0.29 of 0.3 is 3.9."""
    assert heat_step(share, decided=decided) == step


@given(
    st.lists(
        st.tuples(st.floats(0, 1e6), st.one_of(st.none(), st.floats(allow_nan=True, allow_infinity=True, width=32)))
    )
)
@settings(max_examples=100, deadline=None)
def test_any_series_makes_a_well_formed_picture(points: list[tuple[float, float | None]]) -> None:
    for log in (False, True):
        root = parse(line_chart([Line("x", points)], title="Any", log=log))
        for path in root.iter("path"):
            assert all(math.isfinite(number) for pair in path_points(path) for number in pair)
