"""Our PPO beside TRL's own, the last it had (1.12.0, in a folder of its own): the same toy, the same settings.

`python -m benchmarks.training.ppo`: three pairs, one seed each; the two of a pair run at the same time, each in a fresh
process of one thread, so that neighbours on the machine disturb both alike. Time is CPU time, without the first update,
which warms up. The last line is one JSON object.

The toy pays for the share of a response's sixteen tokens whose id is 3 modulo 8; a random policy gets one eighth.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

TRL = "1.12.0"
ROOT = Path(__file__).resolve().parents[2]
STEPS, BATCH, MINIBATCHES, PASSES, RESPONSE = 40, 64, 4, 4, 16
RATE, KL, CLIP = 1e-3, 0.05, 0.2
VALUE_WEIGHT = 100.0  # on a shared trunk: 0.7 over 0.007, the variance of the toy's scores before any learning
TRL_VALUE_WEIGHT = 0.1  # TRL's default; its value network has parameters of its own, for which Adam forgets the scale
LAST = 5  # steps whose mean is the score at a step
SEEDS = (0, 1, 2)
JSON = dict[str, Any]


def paid(token: int) -> bool:
    return token % 8 == 3


def prompts(count: int = 200) -> list[list[int]]:
    """Ids of words of made-up sentences, 4 to 24 of them."""
    from training.engine.tiny import make_tokenizer, sentences

    tokenizer = make_tokenizer()
    ids = [tokenizer(text)["input_ids"] for text in sentences(count, seed=5)]
    return [row[: 4 + number % 21] for number, row in enumerate(ids)]


# Ours


def own(model: Path, seed: int, value_model: str) -> JSON:
    import torch

    from training.engine import models
    from training.engine.context import Context
    from training.engine.events import EventLog
    from training.engine.files import RunDir
    from training.engine.ppo.method import build, schedule
    from training.engine.ppo.rollouts import Prompt
    from training.engine.ppo.trainer import Trainer
    from training.engine.spec import parse
    from training.engine.world import World

    torch.set_num_threads(1)
    spec = parse(
        {
            "schema_version": 1,
            "run": "benchmark",
            "method": "ppo",
            "seed": seed,
            **{name: {"path": str(model)} for name in ("base", "reward_model")},
            "data": {"prompts": {"path": "none"}},
            "hyperparameters": own_settings(value_model),
            "parallelism": {"device": "cpu"},
        }
    )
    context = Context(spec, RunDir(model), EventLog(None), World(0, 1, "python"), cuda=False)

    def score(responses: Sequence[Any]) -> list[float]:
        return [sum(map(paid, response.tokens)) / len(response.tokens) for response in responses]

    parts = build(context, models.load_tokenizer(model), score)
    trainer = Trainer(context, [Prompt(str(at), [], ids) for at, ids in enumerate(prompts())], parts)
    factor, clock, scores, divergences = schedule(spec.hyperparameters, STEPS), [], [], []
    seconds: dict[str, float] = {}
    for step in range(STEPS):
        metrics = trainer.step(factor(step))
        clock.append((time.process_time(), time.monotonic()))
        scores.append(metrics["score"])
        divergences.append(metrics["kl"])
        for name, value in trainer.seconds.items():
            seconds[name] = seconds.get(name, 0.0) + value
    return measured(clock, scores, divergences) | {"seconds": {name: round(one, 2) for name, one in seconds.items()}}


def own_settings(value_model: str) -> JSON:
    return {
        "dtype": "float32",
        "lora_r": 0,
        "learning_rate": RATE,
        "max_steps": STEPS,
        "batch_size": BATCH,
        "minibatches": MINIBATCHES,
        "update_epochs": PASSES,
        "max_new_tokens": RESPONSE,
        "min_new_tokens": RESPONSE,
        "missing_eos_penalty": 0.0,
        "kl_coefficient": KL,
        "clip_range": CLIP,
        "value_clip_range": CLIP,
        "score_normalization": "none",
        "value_model": value_model,
        **({"value_init": "base"} if value_model == "trunk" else {"value_coefficient": VALUE_WEIGHT}),
    }


# TRL's


def theirs(model: Path, seed: int) -> JSON:
    """Runs where TRL's folder stands first on the path."""
    import torch
    import trl
    from datasets import Dataset
    from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, TrainerCallback
    from trl.experimental.ppo import PPOConfig, PPOTrainer

    from training.engine.models import load_tokenizer

    if trl.__version__ != TRL:
        raise SystemExit(f"TRL {TRL} is wanted, {trl.__version__} was found")
    torch.set_num_threads(1)
    clock: list[tuple[float, float]] = []
    rows: list[JSON] = []

    class Watch(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            clock.append((time.process_time(), time.monotonic()))

        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
            rows.append(dict(logs or {}))

    arguments = PPOConfig(
        output_dir=tempfile.mkdtemp(),
        per_device_train_batch_size=BATCH,  # TRL steps once for every so many micro-batches, so accumulation is 1
        gradient_accumulation_steps=1,
        num_mini_batches=MINIBATCHES,
        num_ppo_epochs=PASSES,
        total_episodes=STEPS * BATCH,
        response_length=RESPONSE,
        local_rollout_forward_batch_size=BATCH,
        temperature=1.0,
        kl_coef=KL,
        kl_estimator="k1",
        cliprange=CLIP,
        cliprange_value=CLIP,
        vf_coef=TRL_VALUE_WEIGHT,
        gamma=1.0,
        lam=0.95,
        learning_rate=RATE,
        adam_epsilon=1e-5,
        lr_scheduler_type="linear",
        max_grad_norm=1.0,
        num_sample_generations=0,
        logging_steps=1,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        use_cpu=True,
        bf16=False,
        seed=seed,
    )
    tokenizer = load_tokenizer(model)
    tokenizer.padding_side = "left"
    causal = [AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32) for _ in range(2)]
    value = AutoModelForSequenceClassification.from_pretrained(model, dtype=torch.float32, num_labels=1)
    torch.nn.init.zeros_(value.score.weight)
    trainer = PPOTrainer(
        args=arguments,
        processing_class=tokenizer,
        model=causal[0],
        ref_model=causal[1],
        reward_model=toy_reward(),
        value_model=value,
        train_dataset=Dataset.from_list([{"input_ids": ids} for ids in prompts()]),
        callbacks=[Watch()],
    )
    trainer.train()
    told = [row for row in rows if "objective/scores" in row]
    return measured(clock, [row["objective/scores"] for row in told], [row["objective/kl"] for row in told])


def toy_reward() -> Any:
    """The toy's score in the form TRL wants: a trunk whose hidden state is the score, and a head that passes it on."""
    import torch
    from torch import nn

    class Trunk(nn.Module):
        def forward(self, input_ids: Any, **_: Any) -> Any:
            from transformers.modeling_outputs import BaseModelOutput

            counted = (input_ids % 8 == 3).float().cumsum(1)
            before = torch.nn.functional.pad(counted, (RESPONSE, 0))[:, : counted.shape[1]]
            return BaseModelOutput(hidden_states=(((counted - before) / RESPONSE).unsqueeze(-1),))

    class Reward(nn.Module):
        base_model_prefix = "trunk"

        def __init__(self) -> None:
            super().__init__()
            self.trunk, self.score = Trunk(), nn.Identity()

    return Reward()


def measured(clock: list[tuple[float, float]], scores: list[float], divergences: list[float]) -> JSON:
    """Speed without the first step, which warms up; the curve; its end."""
    (cpu, wall), (cpu_end, wall_end) = clock[0], clock[-1]
    samples = BATCH * (len(clock) - 1)
    return {
        "samples_per_cpu_second": samples / (cpu_end - cpu),
        "samples_per_second": samples / (wall_end - wall),
        "score": statistics.fmean(scores[-LAST:]),
        "kl": statistics.fmean(divergences[-LAST:]),
        "scores": [round(score, 4) for score in scores],
        "cpu_seconds": [round(one - cpu, 3) for one, _ in clock],
    }


# Both


def measure(side: str = "own", at_once: int = 1) -> JSON:
    """Pairs of our `side` and TRL, one seed each, so many pairs at once: see `compared`."""
    from training.engine.tiny import make

    with tempfile.TemporaryDirectory() as place:
        model, folder = Path(place) / "tiny", trl_folder()
        make(model)
        pairs = []
        for at in range(0, len(SEEDS), at_once):
            started = [
                [in_its_own_process(one, model, seed, folder) for one in (side, "trl")]
                for seed in SEEDS[at : at + at_once]
            ]
            for own_process, trl_process in started:
                pairs.append((finished(own_process), finished(trl_process)))
                for name, row in zip((side, "trl"), pairs[-1], strict=True):
                    show(name, row)
    return compared(pairs)


def compared(pairs: list[tuple[JSON, JSON]]) -> JSON:
    """`ppo_speedup`: TRL's CPU seconds to the score that it ends at, over ours to the same score; the median pair.

    That score is the median of TRL's last ones. A run that never has it has needed longer than it ran: of TRL's its whole
    time counts, which is less than it would have needed; ours counts as no speedup at all.
    """
    target = statistics.median(theirs["score"] for _, theirs in pairs)
    speedups = [
        min(seconds_to(theirs, target), theirs["cpu_seconds"][-1]) / seconds_to(ours, target) for ours, theirs in pairs
    ]
    rates = [ours["samples_per_cpu_second"] / theirs["samples_per_cpu_second"] for ours, theirs in pairs]
    return {
        **middle("ppo_speedup", speedups),
        **middle("ppo_samples_ratio", rates),
        "ppo_target": round(target, 4),
        **middle("ppo_score", [ours["score"] for ours, _ in pairs]),
        **middle("ppo_score_trl", [theirs["score"] for _, theirs in pairs]),
        **middle("ppo_kl", [ours["kl"] for ours, _ in pairs]),
        **middle("ppo_kl_trl", [theirs["kl"] for _, theirs in pairs]),
    }


def middle(name: str, values: list[float]) -> JSON:
    return {name: round(statistics.median(values), 4), f"{name}_range": [round(end(values), 4) for end in (min, max)]}


def seconds_to(row: JSON, target: float) -> float:
    """CPU seconds after the first step until the mean of five scores first reaches `target`; infinite if it never does."""
    for at in range(LAST, len(row["scores"]) + 1):
        if statistics.fmean(row["scores"][at - LAST : at]) >= target - 1e-9:
            return float(row["cpu_seconds"][at - 1])
    return float("inf")


def trl_folder() -> Path:
    """TRL 1.12.0 without its dependencies, which ours serve: found in TRL_PPO, else put into var/ once."""
    folder = Path(os.environ.get("TRL_PPO") or ROOT / "var" / f"trl-{TRL}")
    if not (folder / "trl").is_dir():
        command = (
            sys.executable,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--no-deps",
            "--target",
            str(folder),
            f"trl=={TRL}",
        )
        subprocess.run(command, check=True)
    return folder


def in_its_own_process(side: str, model: Path, seed: int, folder: Path) -> subprocess.Popen[str]:
    path = [str(folder)] * (side == "trl") + [str(ROOT)]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(path),
        "OMP_NUM_THREADS": "1",
        "HF_HUB_OFFLINE": "1",
        "TRL_EXPERIMENTAL_SILENCE": "1",
        "DS_ACCELERATOR": "cpu",
        "CUDA_VISIBLE_DEVICES": "",
    }
    command = (sys.executable, "-m", "benchmarks.training.ppo", side, str(model), str(seed))
    return subprocess.Popen(
        command, env=environment, cwd=ROOT, stdout=subprocess.PIPE, text=True, start_new_session=True
    )


def finished(process: subprocess.Popen[str]) -> JSON:
    output, _ = process.communicate()
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, process.args)
    found: JSON = json.loads(output.splitlines()[-1])
    return found


def show(side: str, row: JSON) -> None:
    curve = " ".join(f"{statistics.fmean(row['scores'][at - LAST : at]):.3f}" for at in (10, 20, 30, STEPS))
    speeds = f"{row['samples_per_cpu_second']:.1f} samples/CPU s, {row['samples_per_second']:.1f}/s"
    sys.stdout.write(f"{side:9} {speeds}, score at 10, 20, 30, {STEPS}: {curve}, KL {row['kl']:.2f}\n")
    sys.stdout.flush()


SIDES: dict[str, Callable[[Path, int], JSON]] = {
    "own": lambda model, seed: own(model, seed, "head"),
    "own-trunk": lambda model, seed: own(model, seed, "trunk"),  # TRL's layout
    "trl": theirs,
}


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("side", nargs="?", default="own", choices=tuple(SIDES))
    asked.add_argument("one", nargs="*", metavar="model seed", help="one run of that side alone")
    asked.add_argument("--at-once", type=int, default=1, help="pairs measured at the same time")
    options = asked.parse_args()
    if options.one:
        result = SIDES[options.side](Path(options.one[0]), int(options.one[1]))
    else:
        result = measure(options.side, options.at_once)
    sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
