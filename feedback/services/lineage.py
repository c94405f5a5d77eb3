"""The way back from every line of a snapshot to what people said."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from annotation.models import Annotation
from feedback.models import FeedbackEvent, Preference, Snapshot, SnapshotRow
from feedback.projection import PROJECTOR
from feedback.services.chunks import CHUNK, chunks
from models_registry.models import Prompt

JSON = dict[str, Any]


def record_rows(snapshot: Snapshot, lines: Sequence[JSON]) -> None:
    prompts = dict(
        Prompt.objects.filter(public_id__in={line["prompt"] for line in lines if line.get("prompt")}).values_list(
            "public_id", "pk"
        )
    )
    rows = SnapshotRow.objects.bulk_create(
        SnapshotRow(
            snapshot=snapshot,
            file=line["file"],
            line=line["line"],
            digest=line["digest"],
            prompt_id=prompts.get(line.get("prompt") or ""),
        )
        for line in lines
    )
    known = _sources({source for line in lines for source in line["judgements"]})
    ways: dict[str, set[tuple[int, int]]] = {"preferences": set(), "events": set(), "annotations": set()}
    for row, line in zip(rows, lines, strict=True):
        for where, key in _behind(line, known):
            ways[where].add((row.pk, key))
    for where, (through, column) in _THROUGH.items():
        through.objects.bulk_create(
            (through(snapshotrow_id=row, **{column: key}) for row, key in sorted(ways[where])), batch_size=CHUNK
        )


_THROUGH: dict[str, tuple[Any, str]] = {
    "preferences": (SnapshotRow.preferences.through, "preference_id"),
    "events": (SnapshotRow.events.through, "feedbackevent_id"),
    "annotations": (SnapshotRow.annotations.through, "annotation_id"),
}


@dataclass(frozen=True)
class _Known:
    """What stands behind public ids. A preference comes with the responses it is about."""

    preferences: dict[str, list[tuple[int, frozenset[str]]]]
    thumbs: dict[str, int]
    annotations: dict[str, int]


def _behind(line: JSON, known: _Known) -> Iterator[tuple[str, int]]:
    """Where a line leads back to. One whose sources say more than one thing names its responses: only what is about them counts."""
    responses = line.get("responses")
    for source in line["judgements"]:
        for preference, about in known.preferences.get(source, ()):
            if responses is None or (responses and about >= set(responses)):
                yield "preferences", preference
        if source in known.thumbs:
            yield "events", known.thumbs[source]
        if responses is not None and source in known.annotations:
            yield "annotations", known.annotations[source]


def _sources(names: set[str]) -> _Known:
    preferences: dict[str, list[tuple[int, frozenset[str]]]] = defaultdict(list)
    thumbs: dict[str, int] = {}
    annotations: dict[str, int] = {}
    for chunk in chunks(sorted(names)):
        current = Preference.objects.filter(projector=PROJECTOR)
        for path in ("annotation__public_id", "event__public_id"):
            said = current.filter(**{f"{path}__in": chunk})
            for source, key, first, second in said.values_list(path, "pk", "first__public_id", "second__public_id"):
                preferences[source].append((key, frozenset((first, second))))
        events = FeedbackEvent.objects.filter(public_id__in=chunk, kind="thumb")
        thumbs.update(events.values_list("public_id", "pk"))
        annotations.update(Annotation.objects.filter(public_id__in=chunk).values_list("public_id", "pk"))
    return _Known(dict(preferences), thumbs, annotations)
