"""One run from spec.json to result.json. Standard library until a method is chosen."""

from __future__ import annotations

import importlib
import json
import os
import time
import traceback
from pathlib import Path
from typing import Any

from training.engine import world as worlds
from training.engine.card import with_card
from training.engine.context import Context, Outcome
from training.engine.errors import Cancelled, EngineError, PeerLost, as_engine_error, disk_full
from training.engine.events import EventLog, finite, peak_rss_mb
from training.engine.files import JSON, RunDir, is_full, keep_room, make_room, write_json, write_json_once
from training.engine.memory import load_fitted, settled, step_down
from training.engine.methods import METHODS
from training.engine.spec import Spec, SpecError

RESULT_VERSION = 1


def execute(root: Path) -> JSON:
    """Run, or go on with, the run in `root` and return its result.

    A succeeded run is left as it is. A failed or cancelled one is started again from its newest checkpoint.
    PeerLost leaves no result: another rank died and the run can be resumed.
    """
    run, world = RunDir(root.resolve()), worlds.from_environment()
    finished = _finished(run)
    if finished is not None:
        return finished
    log = EventLog(run.events if world.is_main else None)
    began = time.monotonic()
    try:
        with log.heartbeat():
            result = _attempt(run, world, log)
    except PeerLost as error:
        log.emit("warning", name=error.code, message=error.message, hint=error.hint)
        raise
    finally:
        log.close()
    result["seconds"] = round(time.monotonic() - began, 2)
    _publish(run, world, result)
    return result


def _finished(run: RunDir) -> JSON | None:
    if not run.result.exists():
        return None
    result: JSON = json.loads(run.result.read_text(encoding="utf-8"))
    return result if result["state"] == "succeeded" else None


def _attempt(run: RunDir, world: worlds.World, log: EventLog) -> JSON:
    spec = None
    try:
        spec = load_fitted(run)
        log.phase(
            "starting",
            method=spec.method,
            world_size=world.size,
            launcher=world.launcher,
        )
        outcome = _work(spec, run, world, log)
        return _succeeded(spec, world, outcome)
    except Cancelled as stop:
        log.phase("cancelled", checkpoint=stop.checkpoint)
        return {
            **_frame(spec, world),
            "state": "cancelled",
            "checkpoint": stop.checkpoint,
        }
    except SpecError as error:
        return _failed(spec, world, log, EngineError("bad_spec", str(error), "Correct spec.json."))
    except PeerLost:
        raise
    except Exception as error:
        named = as_engine_error(error)
        if named.code == "unexpected" and is_full(run.root):
            named = disk_full(error)
        if named.code == "disk_full":
            make_room(run)
        traceback.print_exc()
        if isinstance(named, PeerLost):
            raise named from error
        named = step_down(spec, run, named) if spec else named
        return _failed(spec, world, log, named, type(error).__name__)


def _work(spec: Spec, run: RunDir, world: worlds.World, log: EventLog) -> Outcome:
    worlds.require_layout(spec, world)
    worlds.start(spec, world)
    world.barrier()
    if world.is_main:
        keep_room(run)
    if world.is_main:
        _begin_again(run)
    world.barrier()
    _quiet()
    context = Context(settled(spec), run, log, world, worlds.uses_cuda(spec))
    if run.micro_batch.exists():
        log.emit("warning", name="smaller_micro_batch", micro_batch_size=spec.hyperparameters.micro_batch_size)
    module = importlib.import_module(METHODS[spec.method].module)
    outcome: Outcome = module.run(context)
    return with_card(context, outcome) if world.is_main and METHODS[spec.method].is_trained else outcome


def _begin_again(run: RunDir) -> None:
    """A start after a failed or cancelled result means: go on. A stop that was never answered still stands."""
    if run.result.exists():
        run.result.unlink()
        run.stop.unlink(missing_ok=True)


def _quiet() -> None:
    """Progress bars of libraries would fill the log; events.jsonl says how far the run is. And TRL phones home unless told."""
    os.environ.setdefault("TQDM_DISABLE", "1")
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    from transformers.utils import logging

    logging.disable_progress_bar()


def _frame(spec: Spec | None, world: worlds.World) -> JSON:
    return {
        "schema_version": RESULT_VERSION,
        "run": spec.run if spec else None,
        "method": spec.method if spec else None,
        "launcher": world.launcher,
        "world_size": world.size,
        "zero_stage": spec.parallelism.zero_stage if spec else None,
        "artifact": None,
        "checkpoint": None,
        "metrics": {},
        "steps": 0,
        "peak_rss_mb": peak_rss_mb(),
        "error": None,
    }


def _succeeded(spec: Spec, world: worlds.World, outcome: Outcome) -> JSON:
    """`peak_rss_mb` is the sum over ranks: what the machine had to hold at most."""
    memory = world.gather(peak_rss_mb())
    return {
        **_frame(spec, world),
        "state": "succeeded",
        "artifact": outcome.artifact,
        "metrics": outcome.metrics,
        "steps": outcome.steps,
        "peak_rss_mb": round(sum(memory), 1),
        "peak_rss_mb_per_rank": memory,
    }


def _failed(
    spec: Spec | None,
    world: worlds.World,
    log: EventLog,
    error: EngineError,
    kind: str = "EngineError",
) -> JSON:
    detail = {
        "class": error.code,
        "exception": kind,
        "message": error.message,
        "hint": error.hint,
        "rank": world.rank,
        "retry": error.retry,
    }
    log.phase("failed", **detail)
    return {**_frame(spec, world), "state": "failed", "error": detail}


def _publish(run: RunDir, world: worlds.World, result: JSON) -> None:
    """Rank 0 writes the result last. A failing rank writes its own, because the launcher kills the others at once."""
    value: Any = finite(result)
    if result["state"] == "failed":
        write_json_once(run.result, value)
    elif world.is_main:
        write_json(run.result, value)
