"""The card of an artifact: what it is, what it came from, and how to use it, beside the weights."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import PurePath

from training.engine.context import Context, Outcome
from training.engine.files import JSON, combined_digest, sha256_file
from training.engine.spec import ModelRef

CARD = "README.md"


def with_card(context: Context, outcome: Outcome) -> Outcome:
    """Write the card into the artifact and its digest among those of the files.

    Nothing in it depends on clock, place or the name of the run: the same training gives the same artifact.
    """
    if outcome.artifact is None:
        return outcome
    path = context.run.root / outcome.artifact["path"] / CARD
    path.write_text(text(context, outcome), encoding="utf-8")
    files = {**outcome.artifact["files"], CARD: sha256_file(path)}
    return replace(outcome, artifact={**outcome.artifact, "files": files, "sha256": combined_digest(files)})


def text(context: Context, outcome: Outcome) -> str:
    spec = context.spec
    settings = {name: value for name, value in asdict(spec.hyperparameters).items() if value is not None}
    parts = [
        f"# A model trained with `{spec.method}`",
        f"Seed {spec.seed}, {outcome.steps} steps, by Plumbline.",
        _listed("Models", {name: _model(ref) for name, ref in spec.models.items()}),
        _listed("Data", {role: asdict(ref) for role, ref in spec.data.items()}),
        _listed("Hyperparameters", settings),
        _use(spec.method, outcome.metrics),
    ]
    return "\n\n".join(parts) + "\n"


def _model(ref: ModelRef) -> JSON:
    return {"version": ref.version, "digest": ref.digest} if ref.digest else {"folder": PurePath(ref.path).name}


def _listed(title: str, values: JSON) -> str:
    return "\n".join([f"## {title}", "", *(f"- {name}: `{json.dumps(values[name])}`" for name in sorted(values))])


def _use(method: str, metrics: JSON) -> str:
    lines = ["## Use", "", "Weights, tokenizer and chat template belong together: render prompts with this template."]
    if "reward_std" in metrics:
        mean, deviation = metrics["reward_mean"], metrics["reward_std"]
        lines.append(
            f"Normalised reward: (score - {mean:.6g}) / {deviation:.6g}; `reward_mean` and `reward_std` stand in config.json."
        )
    return "\n".join(lines)
