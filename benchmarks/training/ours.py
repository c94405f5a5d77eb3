"""Our engine with the clock of the bare script beside its own callbacks."""

import os
from typing import Any

from benchmarks.training.clock import Clock
from training.engine import trainer
from training.engine.__main__ import main
from training.engine.world import from_environment, leave

_fit = trainer.fit


def fit(session: Any, own: Any, *arguments: Any) -> Any:
    own.add_callback(Clock(session.context.run.root, int(os.environ["BENCH_WARM_UP"])))
    return _fit(session, own, *arguments)


if __name__ == "__main__":
    trainer.fit = fit  # type: ignore[assignment]
    leave(from_environment(), main())
