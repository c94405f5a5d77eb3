"""The engine, resuming with the first row of the epoch instead of the one it had come to. Only for the control."""

from typing import Any

from training.engine import trainer
from training.engine.__main__ import main
from training.engine.world import from_environment, leave

_with_cursor = trainer.arguments


def arguments(context: Any, config: type[Any], **method: Any) -> Any:
    return _with_cursor(context, config, ignore_data_skip=True, **method)


if __name__ == "__main__":
    trainer.arguments = arguments
    leave(from_environment(), main())
