"""Preflight's number of steps against the trainer's own, where rows of a file are not rows of a batch."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from tests.engine.runs import assistant, judged_rows, make_run, sft_rows, user
from training.engine.preflight.report import report
from training.engine.preflight.work import packed
from training.engine.runner import execute
from training.engine.tiny import sentences

QUICK: dict[str, Any] = {"dtype": "float32", "lora_r": 0, "batch_size": 2}


def ranked() -> list[dict[str, Any]]:
    """Four prompts with three compared answers each: twelve pairs, twelve answers, four of them in the middle."""
    rows = []
    for number in range(4):
        best, middle, worst = sentences(3, seed=number)
        for name, chosen, rejected in (("a", best, middle), ("b", middle, worst), ("c", best, worst)):
            pair = {"chosen": assistant(chosen), "rejected": assistant(rejected)}
            rows.append({"id": f"{number}{name}", "prompt": user(f"Say {number}."), **pair})
    return rows


def marked() -> list[dict[str, Any]]:
    """Five texts, two of them so long that a tagger reads them in windows."""
    texts = [*sentences(3, seed=4), " ".join(sentences(4, seed=5)), " ".join(sentences(7, seed=6))]
    holds = {"spans": [{"start": 0, "end": 3, "label": "it"}]}
    return [
        {"id": f"t{at}", "question": "what", "kind": "spans", "options": ["it"], "text": text, "holds": holds}
        for at, text in enumerate(texts)
    ]


def texts() -> list[dict[str, Any]]:
    return [{"id": f"x{at}", "text": text} for at, text in enumerate([*sentences(12, seed=7), ""])]


CASES: dict[str, tuple[str, str, str, Any, dict[str, Any], int]] = {
    "an epoch and a half": ("sft", "tiny", "train", lambda: sft_rows(5), {"epochs": 1.5}, 5),
    "packed": ("sft", "tiny", "train", lambda: sft_rows(10), {"packing": True, "max_length": 160, "epochs": 1.0}, 2),
    "pairs of a prompt together": ("reward", "tiny", "train", ranked, {"epochs": 1.0}, 2),
    "each answer once, the middle left out": ("kto", "tiny", "train", ranked, {"epochs": 1.0}, 4),
    "windows": ("tag", "encoder", "train", marked, {"max_length": 24, "epochs": 1.0}, 5),
    "raw text packed": ("pretrain", "tiny", "texts", texts, {"max_length": 32, "test_share": 0.25}, 2),
    "raw text in rows of its own": (
        "pretrain",
        "tiny",
        "texts",
        texts,
        {"max_length": 8, "packing": False, "tokenizer": "train", "vocabulary": 300, "start": "scratch", "layers": 2},
        12,
    ),
    "an encoder-decoder": ("sft", "seq2seq", "train", lambda: sft_rows(5), {"epochs": 1.0}, 3),
}


@pytest.mark.parametrize("case", CASES)
def test_it_is_the_trainers_number(tmp_path: Path, request: pytest.FixtureRequest, case: str) -> None:
    method, family, role, rows, settings, least = CASES[case]
    base = request.getfixturevalue(family)
    root = make_run(
        tmp_path / "run", method, models={"base": base}, data={role: rows()}, settings={**QUICK, **settings}
    )
    needs = report(root)["estimate"]
    done = execute(root)
    assert done["state"] == "succeeded", done["error"]
    assert needs["steps"] == done["steps"] >= least
    if "parameters" in done["metrics"]:
        assert needs["parameters"] == pytest.approx(done["metrics"]["parameters"], rel=1e-3), (
            "the model made from scratch"
        )


def test_packing_is_counted_as_the_library_packs() -> None:
    """2,500 rows, so that the library packs in three portions."""
    from datasets import Dataset
    from trl import pack_dataset

    draw = random.Random(3)
    lengths = [draw.choice([draw.randint(1, 20), draw.randint(30, 100)]) for _ in range(2500)]
    data = pack_dataset(Dataset.from_list([{"input_ids": [1] * length} for length in lengths]), 100, "bfd")
    assert sorted(packed(lengths, 100)) == sorted(map(len, data["input_ids"]))


def test_tokens_are_those_of_all_passes(tmp_path: Path, tiny: Path) -> None:
    """Three rows in batches of two: two steps are one pass, so four read every token twice."""
    root = make_run(
        tmp_path / "run", "sft", models={"base": tiny}, data={"train": sft_rows(3)}, settings={**QUICK, "max_steps": 4}
    )
    found = report(root)
    assert found["estimate"]["tokens"] == 2 * found["tokens"]["spread"]["whole"]["sum"]


def test_answers_compared_several_times_are_read_once(tmp_path: Path, tiny: Path) -> None:
    settings = {**QUICK, "epochs": 1.0}
    root = make_run(tmp_path / "run", "reward", models={"base": tiny}, data={"train": ranked()}, settings=settings)
    found = report(root)
    assert found["estimate"]["tokens"] * 2 == found["tokens"]["spread"]["whole"]["sum"], "each stands in two pairs"


def test_judged_texts_are_rows(tmp_path: Path, encoder: Path) -> None:
    rows = judged_rows(5)
    root = make_run(
        tmp_path / "run", "classify", models={"base": encoder}, data={"train": rows}, settings={**QUICK, "epochs": 1.0}
    )
    assert report(root)["estimate"]["steps"] == 3
