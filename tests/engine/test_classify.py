"""Text classifiers: taught, measured, saved, and used on texts that nobody judged."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.engine.runs import events, judged_rows, make_run, topics
from training.engine.runner import execute

QUICK: dict[str, Any] = {"dtype": "float32", "learning_rate": 2e-3, "epochs": 6, "batch_size": 8}


def classify(root: Path, base: Path, train: list[dict[str, Any]], test: Any = None, **settings: Any) -> Path:
    data = {"train": train, **({"test": test} if test else {})}
    return make_run(root, "classify", models={"base": base}, data=data, settings={**QUICK, **settings})


def metrics(root: Path) -> dict[str, Any]:
    done = execute(root)
    assert done["state"] == "succeeded", done["error"]
    found: dict[str, Any] = done["metrics"]
    return found


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, encoder: Path) -> Path:
    root = tmp_path_factory.mktemp("classify") / "run"
    run = classify(root, encoder, judged_rows(64), judged_rows(24, seed=9))
    assert execute(run)["state"] == "succeeded"
    return run


def test_a_classifier_learns_what_its_rows_say(trained: Path) -> None:
    """Held-out texts of three classes: near one third by chance, nearly all right once trained."""
    found = json.loads((trained / "result.json").read_text())["metrics"]
    assert found["measured_on"] == "test"
    assert found["measures"]["n"] == 24
    assert found["measures"]["accuracy"] > 0.9 > found["measures"]["majority_share"]
    assert sum(map(sum, found["measures"]["confusion"])) == 24
    config = json.loads((trained / "artifact" / "config.json").read_text())
    assert config["id2label"] == {"0": "water", "1": "light", "2": "food"}
    assert config["plumbline"]["question"] == "topic"


def test_measures_are_those_of_the_rows(trained: Path) -> None:
    found = json.loads((trained / "result.json").read_text())["metrics"]["measures"]
    rows = [json.loads(line) for line in (trained / "output" / "measured-test.jsonl").read_text().splitlines()]
    assert found["accuracy"] == sum(row["labels"] == row["holds"] for row in rows) / 24
    assert found["per_class"]["water"]["support"] == sum(row["holds"] == ["water"] for row in rows)


def test_a_saved_classifier_says_the_same_alone_in_a_batch_and_padded(trained: Path) -> None:
    """Loaded twice, batches of 1 and of 7 texts of different lengths: equal within float32 rounding."""
    import torch
    from transformers import AutoModelForSequenceClassification

    from training.engine.encoders.classify import Classifier, probabilities
    from training.engine.encoders.shared import load_tokenizer

    tokenizer = load_tokenizer(trained / "artifact")
    ids = [tokenizer("the river carries warm bread " * (1 + count))["input_ids"] for count in range(7)]
    models = [
        AutoModelForSequenceClassification.from_pretrained(trained / "artifact", dtype=torch.float32).eval()
        for _ in range(2)
    ]
    alone, together = (
        probabilities(model, ids, tokenizer.pad_token_id, size) for model, size in zip(models, (1, 7), strict=True)
    )
    for one, other in zip(alone, together, strict=True):
        assert one == pytest.approx(other, abs=1e-6)
        assert sum(one) == pytest.approx(1.0, abs=1e-5)
    assert Classifier(models[0], tokenizer, None).labels == ["water", "light", "food"]  # type: ignore[arg-type]


def test_predictions_are_written_for_every_text_and_a_killed_run_goes_on(tmp_path: Path, trained: Path) -> None:
    texts = [{"id": f"t{at}", "text": text} for at, (text, _topic) in enumerate(topics(20, seed=4))]
    run = make_run(
        tmp_path / "run",
        "predict",
        models={"base": trained / "artifact"},
        data={"texts": texts},
        settings={"dtype": "float32", "batch_size": 1},
    )
    found = metrics(run)
    target = run / "output" / "predictions.jsonl"
    whole = target.read_text()
    rows = [json.loads(line) for line in whole.splitlines()]
    assert [row["id"] for row in rows] == [row["id"] for row in texts]
    assert sum(found["predicted"].values()) == found["texts"] == 20
    assert sum(row["labels"] == [topic] for row, (_text, topic) in zip(rows, topics(20, seed=4), strict=True)) >= 18
    (run / "result.json").unlink()
    target.write_text("".join(whole.splitlines(keepends=True)[:8]) + '{"id": "t8", "la')
    assert execute(run)["metrics"]["predicted"] == found["predicted"]
    assert target.read_text() == whole
    assert [row["done"] for row in events(run, "phase") if row["name"] == "predicting"] == [0, 8]


def test_several_labels_are_told_each_by_itself(tmp_path: Path, encoder: Path) -> None:
    rows = judged_rows(48)
    for row in rows:
        row["holds"]["labels"] = [*row["holds"]["labels"], *(["light"] if "dawn" in row["text"] else [])]
        row["holds"]["labels"] = list(dict.fromkeys(row["holds"]["labels"]))
    found = metrics(classify(tmp_path / "run", encoder, rows, labels="multi", threshold=0.4, epochs=10))
    assert found["several"] is True
    assert found["measured_on"] == "train"
    assert found["measures"]["exact_match"] > 0.8
    assert found["measures"]["micro_f1"] > 0.9
    config = json.loads((tmp_path / "run" / "artifact" / "config.json").read_text())
    assert config["problem_type"] == "multi_label_classification"
    assert config["plumbline"]["threshold"] == 0.4


def test_adapters_are_merged_with_the_head_they_trained(tmp_path: Path, encoder: Path) -> None:
    run = classify(tmp_path / "run", encoder, judged_rows(48), lora_r=8, learning_rate=1e-2, epochs=8)
    assert metrics(run)["measures"]["accuracy"] > 0.8
    assert not any("adapter" in path.name for path in (run / "artifact").iterdir())


def test_a_stopped_run_goes_on_to_the_same_weights(tmp_path: Path, encoder: Path) -> None:
    runs = [classify(tmp_path / name, encoder, judged_rows(24), epochs=2) for name in ("calm", "stopped")]
    whole = execute(runs[0])
    (runs[1] / "control").mkdir()
    (runs[1] / "control" / "stop").touch()
    assert execute(runs[1])["state"] == "cancelled"
    again = execute(runs[1])
    assert [row["step"] for row in events(runs[1], "phase") if row["name"] == "resumed"] == [1]
    assert again["artifact"]["sha256"] == whole["artifact"]["sha256"]


def test_balanced_weights_give_every_class_the_same_say() -> None:
    """6 rows: 4 of a, 2 of b, none of c. 6 / (2 · 4) = 0.75, 6 / (2 · 2) = 1.5, and 1. Several: 2 / 4, 4 / 2, and 1."""
    from collections import Counter

    from training.engine.encoders.classify import Task, balanced

    seen = Counter({"a": 4, "b": 2})
    assert balanced(Task(("a", "b", "c"), False), seen, 6).tolist() == [0.75, 1.5, 1.0]
    assert balanced(Task(("a", "b", "c"), True), seen, 6).tolist() == [0.5, 2.0, 1.0]


def test_balanced_weights_find_a_rare_label(tmp_path: Path, encoder: Path) -> None:
    """The first step: loss of a random head is near ln 3 with weights too, because they average to one over the rows."""
    rows = [row for row in judged_rows(90) if row["holds"]["labels"] != ["food"] or int(row["id"][1:]) % 4 == 0]
    run = classify(tmp_path / "run", encoder, rows, class_weights="balanced", epochs=12)
    assert metrics(run)["measures"]["per_class"]["food"]["recall"] > 0.8
    assert events(run, "metric")[0]["loss"] == pytest.approx(1.0986, abs=0.4)


@pytest.mark.parametrize(
    ("change", "settings", "code"),
    [
        ({"question": "other"}, {}, "which_question"),
        ({}, {"question": "tone"}, "no_such_question"),
        ({"holds": {"labels": ["sand"]}}, {}, "bad_row"),
        ({"holds": {"labels": ["water", "food"]}}, {"labels": "single"}, "not_single"),
        ({"holds": 3}, {}, "bad_row"),
        ({}, {"max_length": 4096}, "max_length"),
    ],
)
def test_what_cannot_be_learned_is_refused(
    tmp_path: Path, encoder: Path, change: dict[str, Any], settings: dict[str, Any], code: str
) -> None:
    rows = judged_rows(6)
    rows[2] |= change
    result = execute(classify(tmp_path / "run", encoder, rows, **settings))
    assert (result["state"], result["error"]["class"]) == ("failed", code)
    assert result["error"]["hint"]


def test_one_class_alone_teaches_nothing(tmp_path: Path, encoder: Path) -> None:
    rows = [row | {"holds": {"labels": ["water"]}} for row in judged_rows(6)]
    assert execute(classify(tmp_path / "run", encoder, rows))["error"]["class"] == "one_class"


def test_what_nobody_agreed_on_is_left_out_and_long_texts_are_counted(tmp_path: Path, encoder: Path) -> None:
    rows = judged_rows(12)
    rows[0]["holds"] = None
    rows[1]["text"] = "the river " * 40
    found = metrics(classify(tmp_path / "run", encoder, rows, epochs=1, max_length=32))
    assert (found["rows"], found["rows_undecided"], found["rows_dropped"], found["rows_truncated"]) == (11, 1, 0, 1)
