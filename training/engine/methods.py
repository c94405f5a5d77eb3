"""Every method: its settings, the models and data it reads, and the module that does it. Standard library only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from training.engine.hyperparameters.encoders import Classify, Predict, Tag
from training.engine.hyperparameters.making import Evaluate, Generate, Import
from training.engine.hyperparameters.offline import DPO, KTO, SFT, Reward
from training.engine.hyperparameters.online import GRPO, RLOO
from training.engine.hyperparameters.ppo import PPO
from training.engine.hyperparameters.pretraining import Pretrain
from training.engine.hyperparameters.shared import Train

MODELS = ("base", "reference", "reward_model", "baseline")
ROLES = ("train", "test", "prompts", "texts")


@dataclass(frozen=True, kw_only=True)
class Method:
    """`models` and `data` must be named by a spec, `may_models` and `may_data` may be; any other would not be read."""

    settings: type[Any]
    module: str
    models: frozenset[str] = frozenset({"base"})
    may_models: frozenset[str] = frozenset()
    data: frozenset[str] = frozenset()
    may_data: frozenset[str] = frozenset()

    @property
    def is_trained(self) -> bool:
        """Has a gradient, so it runs under the DeepSpeed launcher and leaves checkpoints."""
        return issubclass(self.settings, Train)


METHODS: dict[str, Method] = {
    "import": Method(settings=Import, module="training.engine.importing", models=frozenset()),
    "generate": Method(settings=Generate, module="training.engine.generate", data=frozenset({"prompts"})),
    "sft": Method(
        settings=SFT,
        module="training.engine.sft",
        data=frozenset({"train"}),
        may_data=frozenset({"test"}),
    ),
    "reward": Method(
        settings=Reward,
        module="training.engine.reward",
        data=frozenset({"train"}),
        may_data=frozenset({"test"}),
    ),
    "dpo": Method(
        settings=DPO,
        module="training.engine.dpo",
        may_models=frozenset({"reference"}),
        data=frozenset({"train"}),
        may_data=frozenset({"test"}),
    ),
    "kto": Method(
        settings=KTO,
        module="training.engine.kto",
        may_models=frozenset({"reference"}),
        data=frozenset({"train"}),
    ),
    "grpo": Method(
        settings=GRPO,
        module="training.engine.grpo",
        models=frozenset({"base", "reward_model"}),
        data=frozenset({"prompts"}),
    ),
    "rloo": Method(
        settings=RLOO,
        module="training.engine.rloo",
        models=frozenset({"base", "reward_model"}),
        data=frozenset({"prompts"}),
    ),
    "ppo": Method(
        settings=PPO,
        module="training.engine.ppo.method",
        models=frozenset({"base", "reward_model"}),
        data=frozenset({"prompts"}),
    ),
    "classify": Method(
        settings=Classify,
        module="training.engine.encoders.classify",
        data=frozenset({"train"}),
        may_data=frozenset({"test"}),
    ),
    "tag": Method(
        settings=Tag,
        module="training.engine.encoders.tag",
        data=frozenset({"train"}),
        may_data=frozenset({"test"}),
    ),
    "pretrain": Method(settings=Pretrain, module="training.engine.pretraining.method", data=frozenset({"texts"})),
    "predict": Method(settings=Predict, module="training.engine.encoders.predict", data=frozenset({"texts"})),
    "evaluate": Method(
        settings=Evaluate,
        module="training.engine.evaluate",
        may_models=frozenset({"baseline", "reward_model", "reference"}),
        may_data=frozenset({"prompts", "test"}),
    ),
}
TRAINED = tuple(name for name, method in METHODS.items() if method.is_trained)
