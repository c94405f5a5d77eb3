import json
import math
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from measures.agreement import Level, cohen_kappa, fleiss_kappa, krippendorff_alpha
from measures.errors import NoData

LABELS = st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("abc")), min_size=2, max_size=30)
MATRICES = st.integers(2, 6).flatmap(
    lambda items: st.lists(
        st.lists(st.one_of(st.none(), st.integers(1, 4)), min_size=items, max_size=items), min_size=2, max_size=4
    )
)


def read(folder: Path, name: str) -> dict:
    return json.loads((folder / name).read_text())["examples"][0]


def test_cohen_kappa_gives_the_published_answer(worked_stats: Path) -> None:
    """Table [[20, 5], [10, 15]]: observed 35/50 = .7, chance .5 * .6 + .5 * .4 = .5, kappa = .2 / .5 = .4."""
    example = read(worked_stats, "cohen_kappa.json")
    pairs = [(i, j) for i in range(2) for j in range(2) for _ in range(example["table"][i][j])]
    kappa = cohen_kappa([i for i, _ in pairs], [j for _, j in pairs])
    assert kappa == pytest.approx(example["published"]["kappa"])


def test_fleiss_kappa_gives_the_published_answer(worked_stats: Path) -> None:
    example = read(worked_stats, "fleiss_kappa.json")
    assert fleiss_kappa(example["counts"]) == pytest.approx(example["published"]["kappa"], abs=5e-4)


@pytest.mark.parametrize("level", ["nominal", "ordinal", "interval", "ratio"])
def test_krippendorff_alpha_gives_the_published_answer_with_missing_ratings(worked_stats: Path, level: Level) -> None:
    example = read(worked_stats, "krippendorff_alpha.json")
    alpha = krippendorff_alpha(example["ratings_by_coder"], level=level)
    assert alpha == pytest.approx(example["published"][level], abs=5e-4)


def test_krippendorff_alpha_by_hand() -> None:
    """Two annotators, items (1,1) (2,2) (1,2).

    Coincidences: 1-1 twice, 2-2 twice, 1-2 once and 2-1 once; totals 3 and 3, n = 6.
    Observed disagreement 2; expected 2 * 3 * 3 / (6 - 1) = 3.6; alpha = 1 - 2 / 3.6 = 4/9.
    """
    assert krippendorff_alpha([[1, 2, 1], [1, 2, 2]], level="nominal") == pytest.approx(4 / 9)


def test_not_a_number_counts_as_missing() -> None:
    assert krippendorff_alpha([[1, 2, math.nan], [1, 1, 2]], level="interval") == krippendorff_alpha(
        [[1, 2, None], [1, 1, 2]], level="interval"
    )


def test_kappa_and_alpha_are_undefined_without_variation() -> None:
    assert cohen_kappa("aaa", "aaa") is None
    assert fleiss_kappa([[3, 0], [3, 0]]) is None
    assert krippendorff_alpha([[1, 1], [1, 1]], level="nominal") is None


def test_no_item_rated_twice_is_no_data() -> None:
    with pytest.raises(NoData):
        krippendorff_alpha([[1, None], [None, 2]], level="nominal")


def test_fleiss_refuses_uneven_numbers_of_ratings() -> None:
    with pytest.raises(ValueError, match="same number of ratings"):
        fleiss_kappa([[2, 1], [2, 0]])


@settings(max_examples=60, deadline=None)
@given(pairs=LABELS)
def test_kappa_ignores_the_names_of_labels_and_the_order_of_annotators(pairs: list[tuple[str, str]]) -> None:
    first, second = zip(*pairs, strict=True)
    rename = {"a": 9, "b": "x", "c": None}
    renamed = cohen_kappa([rename[v] for v in second], [rename[v] for v in first])
    assert renamed == pytest.approx(cohen_kappa(first, second))


@settings(max_examples=60, deadline=None)
@given(matrix=MATRICES, shift=st.integers(-5, 5))
def test_interval_alpha_ignores_the_zero_point_and_the_order_of_annotators(
    matrix: list[list[int | None]], shift: int
) -> None:
    moved = [[None if v is None else 2 * v + shift for v in row] for row in reversed(matrix)]
    try:
        expected = krippendorff_alpha(matrix, level="interval")
    except NoData:
        return
    assert krippendorff_alpha(moved, level="interval") == (expected and pytest.approx(expected))


@settings(max_examples=60, deadline=None)
@given(matrix=MATRICES)
def test_ordinal_alpha_uses_only_the_order_of_values(matrix: list[list[int | None]]) -> None:
    stretched = [[None if v is None else v**3 for v in row] for row in matrix]
    try:
        expected = krippendorff_alpha(matrix, level="ordinal")
    except NoData:
        return
    assert krippendorff_alpha(stretched, level="ordinal") == (expected and pytest.approx(expected))
