"""What a model's page says of a classifier or a token classifier: how well it does, label by label."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from ground import formats
from models_registry.models import ModelVersion


@dataclass(frozen=True, kw_only=True)
class LabelMeasures:
    """`rows` are (label, precision, recall, F1, said, there), `confusion` (what it was, how often taken for each column)."""

    sentence: str
    note: str
    rows: list[tuple[str, ...]]
    columns: list[str]
    confusion: list[tuple[str, list[int]]]


def labels_of(version: ModelVersion) -> LabelMeasures | None:
    """What the run that made it measured; None for other kinds, and where there was nothing to measure on."""
    measures = version.metrics.get("measures")
    if not isinstance(measures, dict):
        return None
    held_out = version.metrics.get("measured_on") == "test"
    confusion = measures.get("confusion") or []
    columns = list(measures["labels"])
    if len(confusion) > len(columns):
        columns.append(_("nothing"))
    return LabelMeasures(
        sentence=_sentence(measures),
        note=_("On held-out texts, which it never learned from.")
        if held_out
        else _("On the very texts it learned from: on others it does worse. Freeze with a test share to know."),
        rows=[_row(label, scores) for label, scores in measures["per_class"].items()],
        columns=columns if confusion else [],
        confusion=list(zip(columns, confusion, strict=True)) if confusion else [],
    )


def _sentence(measures: dict[str, Any]) -> str:
    n = measures["n"]
    words = {"n": formats.number(n)}
    if "spans" in measures:
        words |= {name: _share(measures[f"micro_{name}"]) for name in ("precision", "recall")}
        text = ngettext(
            "Of the spans in %(n)s text it finds %(recall)s; of those it marks %(precision)s are right.",
            "Of the spans in %(n)s texts it finds %(recall)s; of those it marks %(precision)s are right.",
            n,
        )
        return text % words
    share = measures["accuracy"] if "accuracy" in measures else measures["exact_match"]
    low, high = measures["interval"] or (None, None)
    words |= {"share": _share(share), "low": _share(low), "high": _share(high)}
    if "accuracy" in measures:
        words["usual"] = _share(measures["majority_share"])
        text = _(
            "Right in %(share)s of %(n)s texts (%(low)s to %(high)s); the most frequent label alone, in %(usual)s."
        )
        return text % words
    return _("All labels right in %(share)s of %(n)s texts (%(low)s to %(high)s).") % words


def _row(label: str, scores: dict[str, Any]) -> tuple[str, ...]:
    shares = (_share(scores[name]) for name in ("precision", "recall", "f1"))
    return label, *shares, formats.number(scores["predicted"]), formats.number(scores["support"])


def _share(value: float | None) -> str:
    return formats.percent(value) if value is not None else "–"
