"""What the preflight page says: a sentence, each check in words, lengths, memory and time, the first rows by token."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as lazy
from django.utils.translation import ngettext

from ground import formats
from jobs.models import Job
from training.methods import OFFERS
from training.pages import runs as pages

JSON = dict[str, Any]
CHECKS = {
    "dropped": (lazy("Too long, left out"), lazy("Longer than max_length. Raise it, or set overlong to truncate.")),
    "truncated": (
        lazy("Cut at the end"),
        lazy("The end is lost, its EOS too: the model does not learn to stop there."),
    ),
    "text_cut": (
        lazy("Text cut at its end"),
        lazy("Only its beginning decides, now and in predictions. Raise max_length if the model can read more."),
    ),
    "no_eos": (lazy("Without EOS at the end"), lazy("The model would learn not to stop.")),
    "double_bos": (lazy("Two BOS at the start"), lazy("The chat template writes one more. Correct the template.")),
    "empty": (lazy("Nothing to learn"), lazy("The response is empty.")),
    "no_text": (lazy("Without a word"), lazy("The text is empty and is left out.")),
    "control_tokens": (
        lazy("Control tokens in the text"),
        lazy("A text holds a token such as EOS by its name, so a turn ends in its midst."),
    ),
    "duplicates": (lazy("The same row again"), lazy("Counts more than once in every epoch.")),
    "leaked": (
        lazy("Prompt is held out"),
        lazy("It is in the test split or a held-out prompt: results there would be too good."),
    ),
    "identical": (lazy("Both sides the same"), lazy("Nothing can be learned from such a pair.")),
    "contradictory": (
        lazy("Preferred both ways"),
        lazy("Another row says the contrary of the same two responses, or of the same text."),
    ),
    "chosen_longer": (
        lazy("The chosen one is longer"),
        lazy("Length alone would tell most pairs apart; compare with a length-controlled measure."),
    ),
    "chosen_shorter": (
        lazy("The chosen one is shorter"),
        lazy("Length alone would tell most pairs apart; compare with a length-controlled measure."),
    ),
    "largest_label": (lazy("The most frequent label"), lazy("Always saying it would be right that often.")),
    "template_differs": (
        lazy("Models with another chat template"),
        lazy("They would be shown another text than the base."),
    ),
    "memory": (
        lazy("Memory"),
        lazy("Lower micro_batch_size or max_length, raise zero_stage, or use activation_checkpointing."),
    ),
}
"""Code → the check's name, and what a fault means or how it is mended."""
LEVELS = {
    "ok": ("good", lazy("in order")),
    "warn": ("wait", lazy("look at it")),
    "block": ("bad", lazy("stops the run")),
}
PARTS = {
    "prompt": lazy("Prompt"),
    "completion": lazy("Response"),
    "chosen": lazy("Chosen"),
    "rejected": lazy("Rejected"),
    "whole": lazy("Together"),
    "text": lazy("Text"),
    "raw": lazy("Text"),
}
MEMORY = {
    "weights": lazy("Weights"),
    "reference": lazy("Reference model"),
    "judge": lazy("Reward model"),
    "gradients": lazy("Gradients"),
    "optimizer": lazy("Optimizer"),
    "buckets": lazy("Buffers of ZeRO"),
    "activations": lazy("Activations"),
    "process": lazy("Libraries"),
}
MEGABYTE = 2**20


def heading(job: Job) -> str:
    return _("Preflight: %s") % OFFERS[job.spec["method"]].name


def shown(report: JSON) -> JSON:
    """The report in words."""
    checks = [_check(row) for row in report["findings"]]
    checks.sort(key=lambda row: ("block", "warn", "ok").index(row["level"]))
    return {
        "verdict": report["verdict"],
        "sentence": sentence(report),
        "error": report["error"],
        "checks": checks,
        "lengths": _lengths(report),
        "examples": [_example(one) for one in report["examples"]],
        "estimate": _estimate(report.get("estimate")),
        "facts": _facts(report),
    }


def sentence(report: JSON) -> str:
    """What matters most, in one sentence with numbers."""
    if report["error"]:
        return str(report["error"]["message"])
    rows = report["rows"]
    words = {"kept": rows["kept"], "read": rows["read"]}
    kept = ngettext(
        "%(kept)d of %(read)d row will be learned from", "%(kept)d of %(read)d rows will be learned from", rows["read"]
    )
    ends = {
        "ok": _("%s; nothing is wrong with them."),
        "warn": _("%s; something below wants a look."),
        "block": _("%s; what is marked below stops the run."),
    }
    return ends[report["verdict"]] % (kept % words)


def _check(row: JSON) -> JSON:
    name, means = CHECKS[row["code"]]
    kind, label = LEVELS[row["level"]]
    return {
        "name": str(name),
        "means": str(means) if row["level"] != "ok" else "",
        "level": row["level"],
        "kind": kind,
        "label": str(label),
        "rows": ", ".join(row["rows"]),
        **_numbers(row),
    }


def _numbers(row: JSON) -> JSON:
    share = row["count"] / row["of"] if row["of"] else 0.0
    if row["code"] == "memory":
        count, of = (formats.size(row[name] * MEGABYTE) for name in ("count", "of"))
    else:
        count, of = str(row["count"]), str(row["of"])
    return {
        "count": _("%(count)s of %(of)s") % {"count": count, "of": of},
        "share": formats.percent(share, 1),
        "limit": _limit(row),
    }


def _limit(row: JSON) -> str:
    if row["block"] is None:
        return _("never")
    return formats.percent(row["block"]) if row["block"] else _("any")


def _lengths(report: JSON) -> list[list[str]]:
    spread = (report.get("tokens") or {}).get("spread") or {}
    return [
        [str(PARTS.get(name, name)), *(str(row[value]) for value in ("least", "median", "p95", "most"))]
        for name, row in spread.items()
    ]


def _example(one: JSON) -> JSON:
    return {"id": one["id"], "sequences": [_sequence(sequence) for sequence in one["sequences"]]}


def _sequence(one: JSON) -> JSON:
    learned = sum(token[1] for token in one["tokens"])
    hidden = one["length"] - len(one["tokens"])
    words = {"learned": learned, "length": one["length"]}
    return {
        "name": str(PARTS.get(one["name"], one["name"])),
        "says": _("%(learned)d of %(length)d tokens are learned") % words,
        "tokens": [
            {"text": text, "learned": is_learned, "control": control, "breaks": "\n" in text}
            for text, is_learned, control in one["tokens"]
        ],
        "hidden": ngettext("%d token more", "%d tokens more", hidden) % hidden if hidden else "",
    }


def _estimate(needs: JSON | None) -> JSON | None:
    if not needs:
        return None
    parts = [(str(MEMORY[name]), formats.size(value * MEGABYTE)) for name, value in needs["memory_mb"].items() if value]
    return {
        "parts": parts,
        "needed": formats.size(needs["needed_mb"] * MEGABYTE),
        "where": _where(needs["hardware"]),
        "time": formats.duration(needs["seconds"]) if needs["seconds"] else "",
        "steps": needs["steps"],
        "tokens": formats.number(needs["tokens"], 0),
        "parameters": formats.number(needs["parameters"], 0),
        "trained": formats.number(needs["trained_parameters"], 0),
    }


def _where(hardware: JSON) -> str:
    memory = formats.size(hardware["memory_mb"] * MEGABYTE) if hardware["memory_mb"] else _("unknown memory")
    if hardware["kind"] == "gpu":
        return _("%(name)s with %(memory)s each") % {"name": hardware["name"] or "GPU", "memory": memory}
    count = hardware["count"]
    text = ngettext("%(count)d processor core, %(memory)s free", "%(count)d processor cores, %(memory)s free", count)
    return text % {"count": count, "memory": memory}


def _facts(report: JSON) -> list[tuple[str, str]]:
    tokenizer = report.get("tokenizer") or {}
    named = [
        (_("Longest allowed"), _("%d tokens") % report["max_length"] if report.get("max_length") else ""),
        ("BOS", tokenizer.get("bos")),
        ("EOS", tokenizer.get("eos")),
        ("PAD", tokenizer.get("pad")),
        (_("Chat template"), formats.short_digest(tokenizer["template"]) if tokenizer.get("template") else ""),
        (_("Labels"), ", ".join(f"{name} {count}" for name, count in (report.get("labels") or {}).items())),
        (_("Read in"), formats.duration(report.get("seconds")) if report.get("seconds") else ""),
    ]
    return [(name, str(value)) for name, value in named if value]


def how_far(progress: JSON | None) -> JSON:
    """While rows are read: how many, and about how long the rest takes."""
    if not progress or not progress.get("rows") or not progress.get("read"):
        return {}
    read, rows = progress["read"], progress["rows"]
    left = progress["seconds"] / read * (rows - read)
    return {"read": read, "rows": rows, "share": formats.percent(read / rows), "left": pages.roughly(left)}
