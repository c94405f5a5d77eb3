"""The loss on held-out rows while a run learns, and an end when it no longer falls. Imports transformers."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from transformers import TrainerCallback

from training.engine.checkpoints import name_of
from training.engine.context import Context
from training.engine.errors import EngineError
from training.engine.files import replace_directory

if TYPE_CHECKING:
    from training.engine.trainer import Session


def is_watched(context: Context) -> bool:
    return bool(getattr(context.spec.hyperparameters, "evaluate_every", None))


@dataclass(frozen=True)
class Course:
    """What the held-out loss did so far: (step, loss), oldest first."""

    losses: tuple[tuple[int, float], ...]

    @classmethod
    def of(cls, log_history: Iterable[dict[str, Any]]) -> Course:
        """From transformers' own log, which is in every checkpoint: a resumed run goes on with the same course."""
        return cls(tuple((row["step"], row["eval_loss"]) for row in log_history if "eval_loss" in row))

    @property
    def best(self) -> tuple[int, float]:
        """The first of the lowest."""
        return min(self.losses, key=lambda one: one[1])

    @property
    def stale(self) -> int:
        """Measurements since the best."""
        return len(self.losses) - 1 - self.losses.index(self.best)


class Watch(TrainerCallback):
    """Measures every so many steps and at the end; with patience it keeps the best weights and stops when they stay the best."""

    def __init__(self, session: Session, trainer: Any) -> None:
        settings = session.context.spec.hyperparameters
        self.session, self.trainer = session, trainer
        self.every, self.patience = settings.evaluate_every, settings.patience

    @property
    def place(self) -> Path:
        """Beside the checkpoints, not in the scratch space: a resumed run may have its best behind it."""
        return self.session.context.run.root / "best"

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> Any:
        control.should_evaluate = state.global_step % self.every == 0 or state.global_step >= state.max_steps
        return control

    def on_evaluate(self, args: Any, state: Any, control: Any, **_: Any) -> Any:
        course = Course.of(state.log_history)
        self.session.context.log.emit("metric", step=state.global_step, eval_loss=course.losses[-1][1])
        if self.patience is None:
            return control
        if course.best[0] == state.global_step:
            self._keep(state.global_step)
        elif course.stale >= self.patience:
            best, loss = course.best
            self.session.context.log.phase("stopped_early", step=state.global_step, best_step=best, eval_loss=loss)
            control.should_training_stop = True
            control.should_save = False  # resuming a finished loop would run one step too many
        return control

    def _keep(self, step: int) -> None:
        context = self.session.context
        staging = context.run.work / "best"
        context.log.doing("saving")
        if context.world.is_main:
            shutil.rmtree(staging, ignore_errors=True)
        context.world.barrier()
        self.trainer.save_model(str(staging))
        context.world.barrier()
        if context.world.is_main:
            older = list(self.place.glob("step-*"))
            self.place.mkdir(exist_ok=True)
            replace_directory(staging, self.place / name_of(step))
            for path in older:
                if path.name != name_of(step):
                    shutil.rmtree(path)
        context.world.barrier()

    def chosen(self) -> Path | None:
        """The weights to export where they are not the last; None for the last."""
        state = self.trainer.state
        if self.patience is None or Course.of(state.log_history).best[0] == state.global_step:
            return None
        path = self.place / name_of(Course.of(state.log_history).best[0])
        if not path.is_dir():
            raise EngineError("missing_best", f"{path.name}, the best so far, is gone.", "Start the run anew.")
        return path

    def metrics(self) -> dict[str, Any]:
        step, loss = Course.of(self.trainer.state.log_history).best
        return {
            "best_step": step,
            "best_eval_loss": loss,
            "eval_loss": Course.of(self.trainer.state.log_history).losses[-1][1],
        }
