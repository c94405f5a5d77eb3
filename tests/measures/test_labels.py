import csv
import json
from pathlib import Path

import numpy as np
import pytest

from measures.errors import NoData
from measures.labels import DawidSkene, dawid_skene


@pytest.fixture(scope="module")
def expected(worked_stats: Path) -> dict:
    return json.loads((worked_stats / "dawid_skene_1979.expected.json").read_text())


@pytest.fixture(scope="module")
def fit(worked_stats: Path) -> DawidSkene:
    with (worked_stats / "dawid_skene_1979.csv").open() as file:
        rows = list(csv.DictReader(file))
    columns = ([row[name] for row in rows] for name in ("patient", "observer", "rating"))
    return dawid_skene(*columns, classes="1234", tolerance=1e-13)


def test_the_likelihood_and_priors_of_the_1979_table_are_found(fit: DawidSkene, expected: dict) -> None:
    assert fit.converged
    assert fit.log_likelihood == pytest.approx(expected["log_likelihood"], abs=1e-6)
    assert fit.priors == pytest.approx(expected["class_marginals"], abs=2e-6)


def test_the_competence_matrices_of_the_1979_table_are_found(fit: DawidSkene, expected: dict) -> None:
    assert fit.annotators == tuple("12345")
    assert np.allclose(fit.confusion, expected["error_rates[observer][true][reported]"], atol=2e-6)


def test_the_posteriors_and_labels_of_the_1979_table_are_found(fit: DawidSkene, expected: dict) -> None:
    assert np.allclose(fit.posterior, expected["posterior[patient][class]"], atol=2e-6)
    assert list(fit.labels().values()) == [str(label) for label in expected["map_label"]]


def test_two_who_agree_outvote_nobody_but_beat_one_who_guesses() -> None:
    """Ann and Ben agree on all 6 items (3 yes, 3 no); Cat says yes always.

    Truth = Ann's labels explains everything: Cat's rows are (1, 0) whatever the truth, Ann's the identity.
    """
    items, truth = [1, 2, 3, 4, 5, 6], ["yes"] * 3 + ["no"] * 3
    fit = dawid_skene(items * 3, ["Ann"] * 6 + ["Ben"] * 6 + ["Cat"] * 6, [*truth, *truth, *["yes"] * 6])
    assert list(fit.labels().values()) == truth
    assert np.allclose(fit.confusion, [np.eye(2), np.eye(2), [[1, 0], [1, 0]]], atol=1e-6)


def test_the_order_of_judgements_and_the_names_of_classes_do_not_matter() -> None:
    rng = np.random.default_rng(3)
    items, annotators = np.repeat(np.arange(20), 4).tolist(), np.tile(np.arange(4), 20).tolist()
    labels = ((np.array(items) % 3 + (rng.random(80) < 0.3)) % 3).tolist()
    order = rng.permutation(80)
    plain = dawid_skene(items, annotators, labels, classes=[0, 1, 2])
    shuffled = dawid_skene(
        [items[i] for i in order], [annotators[i] for i in order], ["xyz"[labels[i]] for i in order], classes="xyz"
    )
    rows = [shuffled.items.index(item) for item in plain.items]
    assert np.allclose(shuffled.posterior[rows], plain.posterior, atol=1e-4)
    assert shuffled.log_likelihood == pytest.approx(plain.log_likelihood, abs=1e-6)


def test_a_class_an_annotator_never_met_is_uniform_for_them() -> None:
    fit = dawid_skene([1, 1, 2, 2, 3], ["Ann", "Ben", "Ann", "Ben", "Ann"], ["a", "a", "a", "a", "b"])
    assert fit.confusion[fit.annotators.index("Ben"), 1] == pytest.approx([0.5, 0.5])


def test_smoothing_keeps_every_error_possible() -> None:
    fit = dawid_skene([1, 1, 2, 2], ["Ann", "Ben"] * 2, ["a", "a", "b", "b"], smoothing=0.5)
    assert fit.confusion.min() > 0.1
    assert fit.confusion.sum(axis=2) == pytest.approx(1)


def test_a_label_outside_the_classes_is_refused() -> None:
    with pytest.raises(ValueError, match="outside the given classes"):
        dawid_skene([1], ["Ann"], ["c"], classes="ab")


def test_no_judgements_is_no_data() -> None:
    with pytest.raises(NoData):
        dawid_skene([], [], [])
