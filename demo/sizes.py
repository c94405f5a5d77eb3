"""How large a loop is: the real one, and one of seconds for the tests."""

from dataclasses import dataclass, field
from typing import Any

from jobs.gpus import usual_layout


@dataclass(frozen=True)
class Sizes:
    """`held_out` counts prompts nobody trains on; `hyperparameters` are laid over the engine's defaults, by method."""

    source: dict[str, Any]
    training_prompts: int
    held_out: int
    annotators: int
    overlap: int
    new_tokens: int
    rule: str
    answer_seconds: float
    parallelism: dict[str, int] = field(default_factory=usual_layout)
    hyperparameters: dict[str, dict[str, Any]] = field(default_factory=dict)

    def of(self, method: str) -> dict[str, Any]:
        return self.hyperparameters.get(method, {})


def full(*, attended: bool) -> Sizes:
    """About twelve minutes on two cores. With a person watching, the simulated annotators take a moment for every answer."""
    return Sizes(
        source={"kind": "auto"},
        training_prompts=104,
        held_out=64,
        annotators=12,
        overlap=3,
        new_tokens=32,
        rule="positive",
        answer_seconds=1.5 if attended else 0.05,
        hyperparameters={
            "sft": {"max_steps": 8, "batch_size": 8, "max_length": 128, "learning_rate": 1e-4},
            "reward": {"epochs": 3.0, "batch_size": 8, "micro_batch_size": 2, "max_length": 128, "learning_rate": 1e-3},
            "dpo": {
                "epochs": 3.0,
                "batch_size": 8,
                "micro_batch_size": 2,  # two ranks with four pairs each held 7 GB
                "max_length": 128,
                "learning_rate": 5e-4,
                "beta": 0.1,
            },
        },
    )


def tiny() -> Sizes:
    """A random model of a million parameters: the wiring is real, the judgements move nothing."""
    few = {"max_steps": 2, "batch_size": 4, "max_length": 128, "dtype": "float32"}
    return Sizes(
        source={"kind": "tiny"},
        training_prompts=12,
        held_out=8,
        annotators=4,
        overlap=2,
        new_tokens=12,
        rule="vowels",
        answer_seconds=0.0,
        hyperparameters={
            "generate": {"dtype": "float32"},
            "sft": few,
            "reward": few,
            "dpo": few,
            "evaluate": {"dtype": "float32"},
        },
    )
