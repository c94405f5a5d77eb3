"""What every trained method shares: arguments, sealed checkpoints, events, the stop flag, resume and export.

Imports torch and transformers: only the method modules import this one.
"""

from __future__ import annotations

import gc
import math
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from transformers import Trainer, TrainerCallback

from training.engine import checkpoints, models
from training.engine.adapters import require_plain_base
from training.engine.context import Context, Outcome
from training.engine.deepspeed_config import deepspeed_config
from training.engine.divergence import WINDOW, Divergence
from training.engine.errors import Cancelled, EngineError
from training.engine.held_out import Watch, is_watched
from training.engine.hyperparameters.shared import epochs, learning_rate, scheduler_arguments
from training.engine.memory import held
from training.engine.models import torch_dtype
from training.engine.showing import Show, is_shown


@dataclass
class Session:
    """One attempt at a trained run."""

    context: Context
    stopped_at: str | None = None
    saved: set[int] = field(default_factory=set)

    @property
    def layout(self) -> checkpoints.Layout:
        spec = self.context.spec
        return checkpoints.Layout(self.context.world.size, spec.parallelism.zero_stage, spec.sha256)

    def resume_point(self) -> checkpoints.Checkpoint | None:
        """The newest whole checkpoint, agreed by all ranks. Rank 0 deletes torn ones: pruning must not count them."""
        found = self.context.world.from_main(self._newest() if self.context.world.is_main else None)
        if found is not None:
            checkpoints.require_layout(found, self.layout)
        return found

    def _newest(self) -> checkpoints.Checkpoint | None:
        directory = self.context.run.checkpoints
        found, torn = checkpoints.newest(directory)
        for name in torn:
            self.context.log.emit("warning", name="torn_checkpoint", checkpoint=name)
            shutil.rmtree(directory / name)
        return found

    def wishes(self, step: int, steps: int) -> tuple[bool, bool]:
        """After a step: is a checkpoint due, and was the run asked to stop? All ranks agree and must call it.

        At the last step the export follows at once; resuming a finished loop would run one step too many.
        """
        context = self.context
        stop, save = context.world.from_main((context.run.stop.exists(), context.run.checkpoint_now.exists()))
        if save and context.world.is_main:
            context.run.checkpoint_now.unlink(missing_ok=True)
        if step >= steps:
            return False, False
        if stop:
            self.stopped_at = checkpoints.name_of(step)
        return stop or save or step % context.spec.checkpoint.every_steps == 0, stop

    def staging(self, step: int) -> Path:
        """An empty place for the shards of a checkpoint; all ranks must call it."""
        staging = self.context.run.work / "staging" / f"checkpoint-{step}"
        self.context.log.doing("saving")
        if self.context.world.is_main:
            shutil.rmtree(staging, ignore_errors=True)
        self.context.world.barrier()
        return staging

    def seal(self, staging: Path, step: int) -> None:
        """After every rank has written its shards: hash, fsync, rename, prune (rank 0), then go on together."""
        context = self.context
        context.world.barrier()
        if context.world.is_main:
            target = context.run.checkpoints / checkpoints.name_of(step)
            checkpoints.seal(staging, target, step=step, layout=self.layout)
            pruned = checkpoints.prune(context.run.checkpoints, context.spec.checkpoint.keep)
            context.log.emit("checkpoint", name=target.name, step=step, pruned=pruned)
        self.saved.add(step)
        context.world.barrier()


class Sealed(Trainer):
    """Mixed in before a TRL trainer: rows come encoded, checkpoints are sealed, no model card is written."""

    session: Session

    def _prepare_dataset(self, dataset: Any, *_: Any, **__: Any) -> Any:
        return dataset

    def create_model_card(self, *_: Any, **__: Any) -> None:
        """TRL would write a card into every checkpoint; the registry holds the lineage."""

    def evaluate(self, *arguments: Any, **named: Any) -> Any:
        self.session.context.log.doing("measuring")
        return super().evaluate(*arguments, **named)

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        step = self.state.global_step
        if step in self.session.saved:
            return
        staging = self.session.staging(step)
        super()._save_checkpoint(model, trial)
        self.session.seal(staging, step)


class RunCallback(TrainerCallback):
    """Polls `control/`, decides when to save, and turns logs into events."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.tokens = 0.0
        self.clock = time.monotonic()
        self.divergence = Divergence()

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.clock = time.monotonic()
        for row in state.log_history:  # of the attempts before
            if "loss" in row:
                self.divergence.add(row["loss"])
        self.session.context.log.phase("training", step=state.global_step, steps=state.max_steps)

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> Any:
        control.should_save, stop = self.session.wishes(state.global_step, state.max_steps)
        control.should_training_stop = control.should_training_stop or stop
        return control

    def on_log(
        self,
        args: Any,
        state: Any,
        control: Any,
        logs: dict[str, float] | None = None,
        **_: Any,
    ) -> None:
        logs = dict(logs or {})
        loss = logs.get("loss")
        if loss is None:
            return
        if not math.isfinite(loss) or not math.isfinite(logs.get("grad_norm", 0.0)):
            raise EngineError(
                "non_finite_loss",
                f"The loss or its gradient is not a number at step {state.global_step}.",
                f"Start it again with a lower learning_rate (now {peak(self.session.context):g}) or with"
                " dtype float32. Going on repeats the same steps from the last good checkpoint.",
            )
        self.session.context.log.emit(
            "metric",
            step=state.global_step,
            **logs,
            **self._speed(logs.get("num_tokens") or logs.get("num_input_tokens_seen")),
            **held(cuda=self.session.context.cuda),
        )
        self._require_near(loss, state.global_step)

    def _require_near(self, loss: float, step: int) -> None:
        """Errors: `diverged`, on every rank alike, as they log the same mean."""
        seen = self.divergence
        if seen.add(loss):
            raise EngineError(
                "diverged",
                f"The loss ran away: {seen.mean:.4g} in the {WINDOW} steps up to {step}, {seen.lowest:.4g} at its best.",
                f"Start it again with a lower learning_rate (now {peak(self.session.context):g}) or a higher"
                " warmup_ratio. Going on does not help: the last checkpoints were written while it ran away.",
            )

    def _speed(self, total: float | None) -> dict[str, float]:
        now, before, seen = time.monotonic(), self.clock, self.tokens
        self.clock, self.tokens = now, total or 0.0
        # After a resume the running token count starts anew, so the first difference can be negative.
        return {"tokens_per_second": round((self.tokens - seen) / (now - before), 1)} if total and total > seen else {}


def arguments(context: Context, config: type[Any], **method: Any) -> Any:
    """Training arguments with every default stated that would otherwise be wrong on a CPU or phone home."""
    spec, settings = context.spec, context.spec.hyperparameters
    import torch

    if "max_length" in config.__dataclass_fields__:
        method["max_length"] = None  # rows are cut or dropped, and counted, before they come here
    return config(
        output_dir=str(context.run.work / "staging"),
        seed=spec.seed,
        data_seed=spec.seed,
        per_device_train_batch_size=spec.micro_batch_size,
        per_device_eval_batch_size=1,  # means of batch means are off where the last batch is smaller
        prediction_loss_only=True,
        gradient_accumulation_steps=spec.accumulation,
        learning_rate=peak(context),
        num_train_epochs=epochs(settings),
        max_steps=settings.max_steps or -1,
        warmup_steps=settings.warmup_ratio,
        lr_scheduler_type=settings.lr_scheduler,
        lr_scheduler_kwargs=scheduler_arguments(settings),
        weight_decay=settings.weight_decay,
        max_grad_norm=settings.max_grad_norm,
        bf16=torch_dtype(settings.dtype, cuda=context.cuda) is torch.bfloat16,
        activation_checkpointing=settings.activation_checkpointing,
        gradient_checkpointing=settings.activation_checkpointing,
        use_cpu=not context.cuda,
        deepspeed=deepspeed_config(spec.parallelism.zero_stage) if context.world.is_distributed else None,
        save_strategy="no",
        logging_steps=1,
        logging_nan_inf_filter=False,
        report_to="none",
        disable_tqdm=True,
        dataloader_pin_memory=context.cuda,
        **method,
    )


def peak(context: Context) -> float:
    """The run's learning rate after warm-up; the default depends on the size of the base."""
    base = Path(context.spec.base.path)
    return learning_rate(context.spec.hyperparameters, models.parameters_of(base))


def load_dtype(context: Context) -> Any:
    """DeepSpeed trains in the model's own format with float32 master weights; plain runs use autocast over float32."""
    import torch

    wanted = torch_dtype(context.spec.hyperparameters.dtype, cuda=context.cuda)
    return wanted if context.world.is_distributed else torch.float32


def reference(context: Context) -> Any:
    """With adapters the reference is the base with its adapters off, so no second model is kept in memory.

    Stated otherwise: left to itself TRL reads it again from wherever the model's config says that it came from.
    """
    if context.spec.hyperparameters.lora_r:
        return None
    name = "reference" if "reference" in context.spec.models else "base"
    return models.load_causal(context.model_path(name), load_dtype(context))


def exporter(
    context: Context, base: Path, tokenizer: Any, *, load: Callable[[Path, Any], Any] = models.load_causal
) -> Callable[[Path], dict[str, Any]]:
    """What `fit` calls on rank 0 with the folder of trained weights; it writes and describes the artifact."""

    if context.spec.hyperparameters.artifact == "adapter":
        require_plain_base(base)

    def export(trained: Path) -> dict[str, Any]:
        return models.export(
            trained,
            base,
            context.run.artifact,
            tokenizer=tokenizer,
            settings=context.spec.hyperparameters,
            load=load,
            seed=context.spec.seed,
        )

    return export


def report(context: Context, counts: dict[str, int]) -> None:
    """Say what was lost before training starts; a run without rows has nothing to do."""
    if counts["rows_dropped"] or counts["rows_truncated"]:
        context.log.emit("warning", name="overlong_rows", **counts)
    if counts["rows"] == counts["rows_dropped"]:
        raise EngineError("no_rows_left", "Every row is longer than max_length.", "Raise max_length.")


def release(trainer: Any) -> None:
    """Give the trained copy's memory back: merging holds two more in float32.

    Under ZeRO-3 transformers would go on to load every model in parts, over all ranks; the export is rank 0's alone and
    would wait for the others for ever.
    """
    from transformers.integrations.deepspeed import unset_hf_deepspeed_config

    unset_hf_deepspeed_config()
    trainer.accelerator.free_memory()
    trainer.model = trainer.model_wrapped = trainer.optimizer = trainer.lr_scheduler = None
    gc.collect()


def fit(
    session: Session,
    trainer: Any,
    tokens: dict[str, int],
    export: Callable[[Path], dict[str, Any]],
) -> Outcome:
    """Train from the newest checkpoint or from the start, then export on rank 0."""
    context = session.context
    trainer.session = session
    trainer.add_callback(RunCallback(session))
    watch = Watch(session, trainer) if is_watched(context) else None
    if watch is not None:
        trainer.add_callback(watch)
    if is_shown(context):
        trainer.add_callback(Show(session, trainer))
    point = session.resume_point()
    if point is not None:
        session.saved.add(point.step)
        context.log.phase("resumed", step=point.step, checkpoint=point.path.name)
    began = time.monotonic()
    output = trainer.train(resume_from_checkpoint=str(point.path) if point else None)
    if session.stopped_at:
        raise Cancelled(session.stopped_at)
    if not trainer.state.global_step:
        raise EngineError(
            "no_steps", "The run ended before its first step: nothing was learned.", "Give it more rows or epochs."
        )
    seconds = time.monotonic() - began
    artifact = _exported(context, trainer, watch.chosen() if watch else None, export)
    last = next(
        (row["loss"] for row in reversed(trainer.state.log_history) if "loss" in row),
        None,
    )
    metrics = {
        **tokens,
        **(watch.metrics() if watch else {}),
        "learning_rate": trainer.args.learning_rate,
        "train_loss": output.training_loss,
        "loss": last,
        "train_seconds": round(seconds, 2),
    }
    return Outcome(metrics, trainer.state.global_step, artifact)


def _exported(
    context: Context, trainer: Any, chosen: Path | None, export: Callable[[Path], dict[str, Any]]
) -> dict[str, Any] | None:
    """What `export` makes, on rank 0, of the chosen weights, or of the last ones; the folders it was made from go."""
    context.log.phase("exporting")
    trained = chosen
    if trained is None:
        trained = context.run.work / "trained"
        trainer.save_model(str(trained))
    context.world.barrier()
    release(trainer)
    artifact = export(trained) if context.world.is_main else None
    context.world.barrier()
    if context.world.is_main:
        shutil.rmtree(context.run.work)
        shutil.rmtree(context.run.root / "best", ignore_errors=True)
    return artifact
