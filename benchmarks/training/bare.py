"""The bare TRL script: what somebody writes who needs no Plumbline. Reads the same run directory, so that nothing else differs."""

import argparse
import json
import os
from pathlib import Path

import deepspeed
import torch
from datasets import load_dataset
from trl import SFTConfig, SFTTrainer

from benchmarks.training.clock import Clock


def main() -> None:
    asked = argparse.ArgumentParser()
    asked.add_argument("run", type=Path)
    asked.add_argument("--local_rank", type=int, default=0)
    run = asked.parse_args().run
    spec = json.loads((run / "spec.json").read_text())
    settings = spec["hyperparameters"]
    torch.set_num_threads(1)
    deepspeed.init_distributed(dist_backend="gloo", auto_mpi_discovery=False, verbose=False)
    config = SFTConfig(
        output_dir=str(run / "out"),
        seed=spec["seed"],
        data_seed=spec["seed"],
        per_device_train_batch_size=settings["batch_size"] // spec["parallelism"]["world_size"],
        learning_rate=settings["learning_rate"],
        max_steps=settings["max_steps"],
        warmup_steps=0.1,
        max_grad_norm=1.0,
        bf16=False,
        activation_checkpointing=False,
        gradient_checkpointing=False,
        use_cpu=True,
        deepspeed=json.loads((run / "ds_config.json").read_text()),
        save_strategy="steps",
        save_steps=spec["checkpoint"]["every_steps"],
        save_total_limit=2,
        logging_steps=1,
        report_to="none",
        disable_tqdm=True,
        dataloader_pin_memory=False,
        model_init_kwargs={"dtype": "float32"},
    )
    data = load_dataset(
        "json", data_files=str(run / "data" / "train.jsonl"), split="train", cache_dir=str(run / "cache")
    )
    trainer = SFTTrainer(model=spec["base"]["path"], args=config, train_dataset=data.remove_columns("id"))
    trainer.add_callback(Clock(run, int(os.environ["BENCH_WARM_UP"])))
    trainer.train()


if __name__ == "__main__":
    main()
