"""A project with a tiny model and frozen rows, and the run of every method that is proved."""

import json
from pathlib import Path
from typing import Any

from accounts.models import Actor, User
from accounts.services import create_project
from feedback.models import Snapshot
from models_registry.models import ModelVersion
from models_registry.services import import_prompts, register_version
from training.engine.files import JSON, artifact_digest, digest_tree, sha256_file, write_json, write_jsonl
from training.engine.models import load_reward
from training.engine.tiny import make, sentences
from training.models import Run
from training.services import start_run

ROWS = 40
WORLD, STAGE, BATCH = 2, 2, 8
TRAINING: JSON = {"dtype": "float32", "lora_r": 0, "batch_size": BATCH, "micro_batch_size": 2}
METHODS: dict[str, JSON] = {
    "sft": {**TRAINING, "learning_rate": 3e-3, "weight_decay": 0.01},
    "dpo": {**TRAINING, "learning_rate": 1e-3, "beta": 0.1},
    "ppo": {
        **TRAINING,
        "learning_rate": 1e-3,
        "minibatches": 2,
        "update_epochs": 2,
        "max_new_tokens": 8,
        "kl_target": 0.5,
    },
}
"""Settings of each method; every state that a resume could forget has a part in them: moments, warm-up, accumulation, drop-out."""


class Ground:
    """The project in which the proof happens."""

    def __init__(self, folder: Path) -> None:
        owner = User.objects.create_user("prove@example.org", "a-long-enough-password", name="Prover")
        self.project = create_project(user=owner, slug="prove", name="prove")
        self.actor = Actor.objects.get(project=self.project, user=owner)
        self.base = self._base(make(folder / "tiny"))
        self.judge = self._judge(folder / "tiny", folder / "judge")
        self.snapshot = self._snapshot(folder / "snapshot")
        import_prompts(actor=self.actor, project=self.project, rows=prompt_rows())

    def _base(self, folder: Path) -> ModelVersion:
        """With drop-out in its attention: without, a resume would not need the state of the random numbers."""
        _configure(folder, attention_dropout=0.1)
        return self._register(folder, "tiny", ModelVersion.Kind.CAUSAL)

    def _judge(self, base: Path, folder: Path) -> ModelVersion:
        """A reward model of no taste: any score will do, if it is always the same."""
        import torch
        from transformers import AutoTokenizer

        torch.manual_seed(1)
        load_reward(base, torch.float32).save_pretrained(folder)
        AutoTokenizer.from_pretrained(base).save_pretrained(folder)
        _configure(folder, reward_mean=0.0, reward_std=1.0)
        return self._register(folder, "judge", ModelVersion.Kind.REWARD)

    @staticmethod
    def _register(folder: Path, slug: str, kind: str) -> ModelVersion:
        return register_version(
            actor=None,
            project=None,
            model_slug=slug,
            kind=kind,
            artifact=folder,
            digest=artifact_digest(folder),
            files=digest_tree(folder),
            lineage={"schema_version": 1},
        )

    def _snapshot(self, folder: Path) -> Snapshot:
        files = {"sft_train.jsonl": sft_rows(), "preference_train.jsonl": preference_rows()}
        for name, rows in files.items():
            write_jsonl(folder / name, rows)
        named = {
            name: {"sha256": f"sha256:{sha256_file(folder / name)}", "rows": len(rows)} for name, rows in files.items()
        }
        return Snapshot.objects.create(
            project=self.project,
            number=1,
            spec={"schema_version": 1},
            folder=str(folder),
            digest=artifact_digest(folder),
            files=named,
            counts={},
        )

    def start(self, method: str, *, steps: int, every: int, seed: int) -> Run:
        return start_run(
            actor=self.actor,
            project=self.project,
            method=method,
            base=self.base,
            **({"reward": self.judge, "prompts": "training"} if method == "ppo" else {"snapshot": self.snapshot}),
            hyperparameters={**METHODS[method], "max_steps": steps},
            parallelism={"world_size": WORLD, "zero_stage": STAGE, "device": "cpu", "threads": 1},
            checkpoint={"every_steps": every, "keep": steps},
            model_slug=f"{method}-{seed}",
            seed=seed,
        )


def _configure(model: Path, **values: float) -> None:
    config = model / "config.json"
    write_json(config, {**json.loads(config.read_text(encoding="utf-8")), **values})


def _message(role: str, text: str) -> list[dict[str, Any]]:
    return [{"role": role, "content": text}]


def _prompt(number: int) -> list[dict[str, Any]]:
    return _message("user", f"Write one sentence about the river, number {number}.")


def sft_rows() -> list[JSON]:
    texts = sentences(ROWS, seed=1)
    return [
        {"id": f"r{at}", "prompt": _prompt(at), "completion": _message("assistant", text)}
        for at, text in enumerate(texts)
    ]


def prompt_rows() -> list[JSON]:
    return [{"external_id": f"q{at}", "messages": _prompt(at)} for at in range(ROWS)]


def preference_rows() -> list[JSON]:
    pairs = zip(sentences(ROWS, seed=2), sentences(ROWS, seed=3), strict=True)
    return [
        {
            "id": f"p{at}",
            "prompt": _prompt(at),
            "chosen": _message("assistant", one),
            "rejected": _message("assistant", f"{other} Bread."),
        }
        for at, (one, other) in enumerate(pairs)
    ]
