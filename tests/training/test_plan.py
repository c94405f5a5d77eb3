"""How a run is started, against golden values."""

from __future__ import annotations

from typing import Any

import pytest

from training.engine.fields import SpecError
from training.plan import plan

TARGET = {
    "kind": "local",
    "run_dir": "/srv/runs/run_1",
    "root": "/srv/plumbline",
    "venv": "/srv/plumbline/.venv",
    "var": "/srv/var",
    "path": "/usr/bin:/bin",
    "master_port": 29611,
}
CPU_ENVIRONMENT = {
    "CUDA_VISIBLE_DEVICES": "",
    "DS_ACCELERATOR": "cpu",
    "HF_HOME": "/srv/var/huggingface",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_OFFLINE": "1",
    "OMP_NUM_THREADS": "1",
    "OMP_WAIT_POLICY": "PASSIVE",
    "PATH": "/srv/plumbline/.venv/bin:/usr/bin:/bin",
    "PYTHONPATH": "/srv/plumbline",
    "PYTHONUNBUFFERED": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "TORCH_EXTENSIONS_DIR": "/srv/plumbline/.venv/torch_extensions",
    "TQDM_DISABLE": "1",
}


def spec(method: str, **parallelism: Any) -> dict[str, Any]:
    value: dict[str, Any] = {"schema_version": 1, "run": "run_1", "method": method, "parallelism": parallelism}
    if method == "import":
        return {**value, "hyperparameters": {"source": {"kind": "auto"}}}
    role = "prompts" if method in ("generate", "evaluate") else "train"
    return {**value, "base": {"path": "/srv/base"}, "data": {role: {"path": f"data/{role}.jsonl"}}}


@pytest.mark.parametrize("method", ["sft", "reward", "dpo", "kto"])
def test_a_trained_method_starts_under_the_deepspeed_launcher(method: str) -> None:
    launch = plan(spec(method, world_size=2, zero_stage=2), TARGET)
    assert launch.to_json() == {
        "schema_version": 1,
        "argv": [
            "/srv/plumbline/.venv/bin/deepspeed",
            *["--num_gpus", "2", "--master_port", "29611"],
            *["--module", "training.engine", "/srv/runs/run_1"],
        ],
        "environment": CPU_ENVIRONMENT,
        "launcher": "deepspeed",
        "cwd": "/srv/plumbline",
        "ds_config": {
            "train_batch_size": "auto",
            "train_micro_batch_size_per_gpu": "auto",
            "gradient_accumulation_steps": "auto",
            "gradient_clipping": "auto",
            "bf16": {"enabled": "auto"},
            "zero_optimization": {
                "stage": 2,
                "reduce_bucket_size": 50000000,
                "allgather_bucket_size": 50000000,
            },
            "steps_per_print": 1000000,
        },
    }
    assert launch.files == {"ds_config.json": launch.ds_config}


@pytest.mark.parametrize("method", ["generate", "evaluate", "import"])
def test_other_methods_start_as_one_python_process(method: str) -> None:
    launch = plan(spec(method, threads=2), TARGET)
    assert launch.argv == ("/srv/plumbline/.venv/bin/python", "-m", "training.engine", "/srv/runs/run_1")
    assert (launch.launcher, launch.ds_config, launch.files) == ("python", None, {})
    assert launch.environment == {**CPU_ENVIRONMENT, "OMP_NUM_THREADS": "2"}


def test_stage_three_gathers_its_weights_when_it_saves() -> None:
    config = plan(spec("sft", world_size=2, zero_stage=3), TARGET).ds_config
    assert config is not None
    assert config["zero_optimization"]["stage"] == 3
    assert config["zero_optimization"]["stage3_gather_16bit_weights_on_model_save"] is True


def test_a_gpu_is_used_when_the_target_has_one() -> None:
    environment = plan(spec("sft", world_size=1, zero_stage=2), {**TARGET, "gpus": 1}).environment
    assert not {"DS_ACCELERATOR", "CUDA_VISIBLE_DEVICES"} & set(environment)
    held = plan(spec("sft", world_size=1, zero_stage=2, device="cpu"), {**TARGET, "gpus": 1}).environment
    assert held["CUDA_VISIBLE_DEVICES"] == ""


def test_only_an_import_may_ask_the_hub() -> None:
    online = {**TARGET, "offline": False}
    assert "HF_HUB_OFFLINE" not in plan(spec("import"), online).environment
    assert plan(spec("generate"), online).environment["HF_HUB_OFFLINE"] == "1"


@pytest.mark.parametrize(
    ("parallelism", "target", "field"),
    [
        ({"device": "cuda"}, {}, "parallelism.device"),
        ({"world_size": 2, "zero_stage": 2}, {"gpus": 1}, "parallelism.world_size"),
        ({}, {"run_dir": "runs/1"}, "target.run_dir"),
        ({}, {"kind": "moon"}, "target.kind"),
        ({}, {"master_prot": 1}, "target.master_prot"),
    ],
)
def test_what_does_not_fit_the_target_is_refused(
    parallelism: dict[str, Any], target: dict[str, Any], field: str
) -> None:
    with pytest.raises(SpecError) as caught:
        plan(spec("sft", **parallelism), {**TARGET, **target})
    assert field in caught.value.problems
