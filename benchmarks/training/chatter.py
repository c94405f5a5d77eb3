"""A run that computes nothing and says much: `python chatter.py <run directory> <events>`. Standard library only."""

import json
import sys
import time
from pathlib import Path

A_SECOND = 4000


def main(run: Path, events: int) -> None:
    with (run / "events.jsonl").open("a", buffering=1) as stream:
        for seq in range(1, events + 1):
            data = {"step": seq, "loss": 1.0 / seq, "grad_norm": 1.0, "learning_rate": 1e-5, "tokens_per_second": 80.0}
            line = {"seq": seq, "at": "2026-01-01T00:00:00Z", "kind": "metric", "data": data}
            stream.write(json.dumps(line) + "\n")
            if seq % (A_SECOND // 20) == 0:
                time.sleep(0.05)
    (run / "result.part").write_text(json.dumps({"state": "succeeded", "metrics": {}, "error": None}))
    (run / "result.part").rename(run / "result.json")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
