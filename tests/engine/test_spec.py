"""spec.json is refused with every problem named, before anything heavy is imported."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from training.engine.spec import SpecError, parse


def spec(method: str = "sft", **changes: Any) -> dict[str, Any]:
    role = {"generate": "prompts", "evaluate": "prompts", "pretrain": "texts"}.get(method, "train")
    value = {
        "schema_version": 1,
        "run": "run_1",
        "method": method,
        "seed": 1,
        "base": {"path": "/models/base"},
        "data": {role: {"path": f"data/{role}.jsonl"}},
        "hyperparameters": {},
    }
    return {**value, **changes}


def problems(value: Any) -> dict[str, str]:
    with pytest.raises(SpecError) as caught:
        parse(value)
    return caught.value.problems


def test_an_unknown_setting_is_refused_with_the_list_of_known_ones() -> None:
    found = problems(spec(hyperparameters={"learnig_rate": 1e-4}))
    assert "learning_rate" in found["hyperparameters.learnig_rate"]


def test_an_unknown_key_of_the_spec_is_refused() -> None:
    assert "parallelism" in problems(spec(paralelism={}))["paralelism"]


@pytest.mark.parametrize(
    ("method", "settings", "field"),
    [
        ("dpo", {"label_smoothing": 0.1}, "label_smoothing"),
        ("dpo", {"loss_type": "robust"}, "label_smoothing"),
        ("dpo", {"loss_type": "cdpo"}, "label_smoothing"),
        ("dpo", {"lora_dropout": 0.1}, "lora_dropout"),
        ("dpo", {"ld_alpha": 1.0}, "ld_alpha"),
        ("dpo", {"ld_alpha": 0.5, "loss_type": "ipo"}, "ld_alpha"),
        ("sft", {"lora_r": 0, "lora_alpha": 8}, "lora_alpha"),
        ("sft", {"lora_r": 0, "lora_dropout": 0.1}, "lora_dropout"),
        ("sft", {"lora_r": 0, "artifact": "adapter"}, "artifact"),
        ("sft", {"artifact": "adapter", "export_dtype": "float32"}, "export_dtype"),
        ("sft", {"min_lr_ratio": 0.2}, "min_lr_ratio"),
        ("dpo", {"patience": 2}, "patience"),
        ("sft", {"evaluate_every": 2}, "evaluate_every"),
        ("dpo", {"dropout": 0.1}, "dropout"),
        ("sft", {"epochs": 1, "max_steps": 5}, "epochs"),
        ("sft", {"lr_scheduler": "constant"}, "warmup_ratio"),
        ("reward", {"overlong": "truncate"}, "overlong"),
        ("generate", {"top_k": 1}, "top_k"),
        ("pretrain", {"vocabulary": 400}, "vocabulary"),
        ("pretrain", {"layers": 2}, "layers"),
        ("pretrain", {"start": "scratch", "lora_r": 8}, "lora_r"),
        ("classify", {"threshold": 0.3}, "threshold"),
        ("tag", {"overlong": "drop", "overlap": 8}, "overlap"),
    ],
)
def test_a_setting_that_would_do_nothing_is_refused(method: str, settings: dict[str, Any], field: str) -> None:
    assert f"hyperparameters.{field}" in problems(spec(method, hyperparameters=settings))


def test_label_smoothing_goes_with_the_robust_loss() -> None:
    parsed = parse(spec("dpo", hyperparameters={"loss_type": "robust", "label_smoothing": 0.1}))
    assert parsed.hyperparameters.label_smoothing == 0.1


@pytest.mark.parametrize("value", [float("nan"), float("inf"), True, "1e-4", 0])
def test_a_learning_rate_that_is_no_positive_number_is_refused(value: Any) -> None:
    assert "hyperparameters.learning_rate" in problems(spec(hyperparameters={"learning_rate": value}))


def test_data_and_models_a_method_would_not_use_are_refused() -> None:
    value = spec(baseline={"path": "/models/other"})
    value["data"]["prompts"] = {"path": "data/prompts.jsonl"}
    assert set(problems(value)) == {"baseline", "data.prompts"}


def test_held_out_rows_that_nothing_would_measure_are_refused() -> None:
    value = spec("dpo")
    value["data"]["test"] = {"path": "data/test.jsonl"}
    assert set(problems(value)) == {"data.test"}
    assert parse({**value, "hyperparameters": {"evaluate_every": 5}}).data["test"].path == "data/test.jsonl"


def test_a_reference_of_its_own_needs_full_fine_tuning() -> None:
    other = {"path": "/models/other"}
    assert "reference" in problems(spec("dpo", reference=other))
    assert (
        parse(spec("dpo", reference=other, hyperparameters={"lora_r": 0})).models["reference"].path == "/models/other"
    )


def test_the_batch_is_divided_among_processes_and_accumulation() -> None:
    """batch_size 16 over 2 processes with micro batches of 4: 16 / (2 * 4) = 2 forward passes per step."""
    parallelism = {"world_size": 2, "zero_stage": 2}
    parsed = parse(spec(hyperparameters={"batch_size": 16, "micro_batch_size": 4}, parallelism=parallelism))
    assert (parsed.micro_batch_size, parsed.accumulation) == (4, 2)
    odd = spec(hyperparameters={"batch_size": 9}, parallelism=parallelism)
    assert "multiple of 2" in problems(odd)["hyperparameters.batch_size"]


def test_generation_over_several_processes_is_refused() -> None:
    assert "parallelism" in problems(spec("generate", parallelism={"world_size": 2}))


def test_the_identity_covers_what_decides_the_weights_only() -> None:
    plain = parse(spec()).sha256
    assert parse(spec(checkpoint={"every_steps": 3})).sha256 == plain
    assert parse(spec(seed=2)).sha256 != plain


def test_spec_and_plan_import_neither_torch_nor_transformers() -> None:
    code = (
        "import sys, training.plan, training.engine.spec, training.engine.runner\n"
        "print(sorted({'torch', 'transformers', 'trl', 'deepspeed', 'numpy', 'django'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
