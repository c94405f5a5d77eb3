"""CPU seconds of each rank between two steps, told by the rank itself; the same callback in both engines that are compared."""

import json
import os
import time
from pathlib import Path
from typing import Any

from transformers import TrainerCallback


class Clock(TrainerCallback):
    """Writes clock-<rank>.json: CPU seconds of this process, all threads, from the end of step `warm_up` to the last step."""

    def __init__(self, folder: Path, warm_up: int) -> None:
        self.folder, self.warm_up = folder, warm_up
        self.began = 0.0

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if state.global_step == self.warm_up:
            self.began = time.process_time()
        elif state.global_step == state.max_steps:
            spent = time.process_time() - self.began
            per_step = spent / (state.max_steps - self.warm_up)
            (self.folder / f"clock-{os.environ['RANK']}.json").write_text(json.dumps(per_step))
