"""report.json for machines, report.html for people."""

import json
import math
import shutil
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any

from demo.loop import Loop

JSON = dict[str, Any]
ROOT = Path(__file__).resolve().parent.parent
SHEETS = ("static/plumbline.css", "static/manage.css", "demo/report.css")
MOST_BARS = 5
METHODS = ("import", "generate", "sft", "reward", "dpo", "evaluate")


def report(loop: Loop, *, closed: bool, seconds: float, peak_mb: int) -> JSON:
    """Exactly the keys that readers count on. What is not known is null."""
    rate = loop.outcome.get("win_rate") or {}
    return {
        "closed": closed,
        "runs": [run for method in METHODS for run in _runs(loop, method)],
        "win_rate": {name: rate.get(name) for name in ("estimate", "low", "high", "n")},
        "reward_accuracy": _reward_accuracy(loop.outcome.get("evaluation")),
        "phases": loop.phases,
        "seconds": round(seconds, 1),
        "peak_rss_mb": peak_mb,
    }


def won(found: JSON) -> bool:
    low = found["win_rate"]["low"]
    return bool(found["closed"]) and isinstance(low, int | float) and not math.isnan(low) and low > 0.5


def _runs(loop: Loop, method: str) -> Iterator[JSON]:
    for run in loop.runs(method):
        result = loop.manager.get(loop.at(f"/runs/{run['id']}")).get("result") or {}
        yield {
            "method": method,
            "state": run["state"],
            **{name: result.get(name) for name in ("launcher", "world_size", "zero_stage", "seconds")},
        }


def _reward_accuracy(evaluation: JSON | None) -> float | None:
    metrics = (evaluation or {}).get("metrics", {})
    found = metrics.get("reward_accuracy", metrics.get("accuracy"))
    return found.get("estimate") if isinstance(found, dict) else found


def write(folder: Path, found: JSON, curves: list[tuple[str, list[tuple[int, float]]]], answer: JSON) -> None:
    (folder / "report.json").write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    with (folder / "report.css").open("wb") as sheet:
        for name in SHEETS:
            with (ROOT / name).open("rb") as part:
                shutil.copyfileobj(part, sheet)
    (folder / "report.html").write_text(page(found, curves, answer), encoding="utf-8")


def page(found: JSON, curves: list[tuple[str, list[tuple[int, float]]]], answer: JSON) -> str:
    """A page that needs nothing but the style sheet beside it."""
    from django.conf import settings

    if not settings.configured:
        settings.configure(USE_I18N=False)
    parts = "".join([*_head(found), *_win_rate(found), *_curves(curves), *_time(found), *_answer(answer)])
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>The loop</title>'
        '<meta name="viewport" content="width=device-width"><link rel="stylesheet" href="report.css"></head>'
        f'<body><main class="report">{parts}</main></body></html>\n'
    )


def _head(found: JSON) -> Iterator[str]:
    yield f"<h1>{'The loop is closed' if found['closed'] else 'The loop did not close'}</h1>"
    yield f"<p>{found['seconds']:.0f} seconds, {found['peak_rss_mb']} MB at most. "
    yield "All judgements on this page were made by simulated annotators, by a rule that they state.</p>"


def _win_rate(found: JSON) -> Iterator[str]:
    from ground.charts import dot_whisker

    rate = found["win_rate"]
    if rate["estimate"] is None:
        return
    decided = rate["low"] > 0.5 or rate["high"] < 0.5
    picture = dot_whisker(
        rate["estimate"], rate["low"], rate["high"], title="Win rate of the new model", decided=decided
    )
    yield f"<h2>New model against the one before</h2><figure>{picture.svg}<figcaption>"
    yield f"It wins {rate['estimate']:.0%} ({rate['low']:.0%} to {rate['high']:.0%}, {rate['n']} judgements; "
    yield f"half is a copy). {_moved(rate)}"
    if found["reward_accuracy"] is not None:
        yield f" The reward model agrees with {found['reward_accuracy']:.0%} of held-out judgements."
    yield "</figcaption></figure>"


def _moved(rate: JSON) -> str:
    if rate["low"] > 0.5:
        return "The model moved."
    return "The model got worse." if rate["high"] < 0.5 else "Nobody can tell whether the model moved."


def _curves(curves: list[tuple[str, list[tuple[int, float]]]]) -> Iterator[str]:
    from ground.charts import Line, line_chart

    drawn = [(title, points) for title, points in curves if points]
    if drawn:
        yield "<h2>Training</h2>"
    for title, points in drawn:
        chart = line_chart([Line(title, points)], title=title, x_title="step")
        yield f"<figure>{chart.svg}<figcaption>{escape(title)}</figcaption></figure>"


def _time(found: JSON) -> Iterator[str]:
    from ground.charts import bars

    if not found["phases"]:
        return
    phases = list(found["phases"].items())
    longest = sorted(phases, key=lambda phase: phase[1])[-MOST_BARS:]
    drawn = [phase for phase in phases if phase in longest]
    yield f"<h2>Where the time went</h2><figure>{bars(drawn, title='Seconds of the longest phases').svg}</figure><table>"
    yield "".join(f"<tr><th scope='row'>{escape(name)}</th><td>{seconds:.1f} s</td></tr>" for name, seconds in phases)
    yield "</table><h2>Runs</h2><table><tr><th>Method</th><th>State</th><th>Launcher</th><th>Processes</th><th>ZeRO</th>"
    yield "<th>Seconds</th></tr>"
    for run in found["runs"]:
        cells = (run[name] for name in ("method", "state", "launcher", "world_size", "zero_stage", "seconds"))
        yield "<tr>" + "".join(f"<td>{escape('–' if cell is None else str(cell))}</td>" for cell in cells) + "</tr>"
    yield "</table>"


def _answer(answer: JSON) -> Iterator[str]:
    if answer:
        yield f"<h2>What it says now</h2><p>{escape(answer['question'])}</p><blockquote>{escape(answer['text'])}</blockquote>"
