"""Reads of this floor: counts for pages, votes for gates, and the way back from a model to what people said."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.db.models import Count, Q, QuerySet
from django.utils.translation import gettext as _

from accounts.models import Actor, Project
from annotation.models import Annotation
from feedback.data import Counts, Vote
from feedback.models import FeedbackEvent, Preference, Snapshot, SnapshotRow
from feedback.projection import PROJECTOR
from feedback.services.projecting import waiting
from ground.errors import NotFound
from models_registry.models import Evaluation, ModelVersion

if TYPE_CHECKING:
    from measures.win_rate import WinRate

WON, TIED, LOST = 1.0, 0.5, 0.0
COMPARED = (Preference.Origin.COMPARISON, Preference.Origin.RANKING)
"""What compares the responses shown. That a text somebody wrote is better than a response says nothing of two models."""


def preferences_of(project: Project) -> QuerySet[Preference]:
    """The preferences in force: of the current projector, not withdrawn."""
    return Preference.objects.filter(project=project, projector=PROJECTOR, withdrawn_at=None)


def feedback_of(project: Project) -> QuerySet[FeedbackEvent]:
    """What applications sent, newest first."""
    events = FeedbackEvent.objects.filter(project=project).select_related("actor", "completion", "other")
    return events.order_by("-pk")


def get_event_for(actor: Actor, public_id: str) -> FeedbackEvent:
    """Errors: NotFound, also for another project's."""
    event = FeedbackEvent.objects.filter(project=actor.project, public_id=public_id).select_related("actor").first()
    if event is None:
        raise NotFound(_("There is no such feedback here."))
    return event


def snapshots_of(project: Project) -> QuerySet[Snapshot]:
    return Snapshot.objects.filter(project=project).select_related("actor", "job").order_by("-pk")


def get_snapshot_for(actor: Actor, public_id: str) -> Snapshot:
    """Errors: NotFound, also for another project's."""
    snapshot = snapshots_of(actor.project).filter(public_id=public_id).first()
    if snapshot is None:
        raise NotFound(_("There is no such snapshot here."))
    return snapshot


def file_of(snapshot: Snapshot, name: str) -> Path:
    """Where a file of the snapshot lies. Errors: NotFound for a name it does not have, or a file that is gone."""
    path = Path(snapshot.folder) / name
    if name not in snapshot.files or not path.is_file():
        raise NotFound(_("This snapshot has no file %(name)s.") % {"name": name})
    return path


def rows_of(snapshot: Snapshot) -> QuerySet[SnapshotRow]:
    """The lines of its files with what stands behind each, in the order they were written."""
    return snapshot.rows.select_related("prompt").prefetch_related(
        "preferences__annotation__actor", "preferences__event__actor", "events__actor", "annotations__actor"
    ).order_by("pk")  # fmt: skip


def annotations_behind(snapshot: Snapshot) -> QuerySet[Annotation]:
    preferred = Preference.objects.filter(snapshot_rows__snapshot=snapshot, annotation__isnull=False)
    written = SnapshotRow.annotations.through.objects.filter(snapshotrow__snapshot=snapshot)
    behind = Q(pk__in=preferred.values("annotation")) | Q(pk__in=written.values("annotation"))
    return Annotation.objects.filter(behind)


def feedback_behind(snapshot: Snapshot) -> QuerySet[FeedbackEvent]:
    by_preference = Q(preferences__snapshot_rows__snapshot=snapshot)
    return FeedbackEvent.objects.filter(by_preference | Q(snapshot_rows__snapshot=snapshot)).distinct()


@dataclass(frozen=True, kw_only=True)
class Ancestry:
    """One snapshot that a version, or a version it was made from, learned from."""

    version: ModelVersion
    snapshot: Snapshot
    rows: int
    annotations: int
    feedback: int
    actors: int


def lineage_of(version: ModelVersion) -> list[Ancestry]:
    """Upward from a model: the snapshots behind it and its ancestors, nearest first, with how many judgements each holds."""
    found: dict[int, Ancestry] = {}
    for ancestor in _ancestors(version):
        names = [name for name in _names_in(ancestor.lineage) if name.startswith("snp_")]
        for snapshot in Snapshot.objects.filter(public_id__in=names, project=ancestor.model.project_id).order_by("pk"):
            if snapshot.pk not in found:
                found[snapshot.pk] = _ancestry(ancestor, snapshot)
    return list(found.values())


def _ancestors(version: ModelVersion) -> Iterator[ModelVersion]:
    """The version itself, then what it was made from: its parent and the versions its lineage names."""
    seen: set[int] = set()
    queue = [version]
    while queue:
        current = queue.pop(0)
        if current.pk in seen:
            continue
        seen.add(current.pk)
        yield current
        names = [name for name in _names_in(current.lineage) if name.startswith("ver_")]
        queue.extend(
            ModelVersion.objects.filter(Q(pk=current.parent_id) | Q(public_id__in=names)).select_related("model")
        )


def _names_in(value: Any) -> Iterator[str]:
    """Every text at any depth of a JSON value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _names_in(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _names_in(inner)


def _ancestry(version: ModelVersion, snapshot: Snapshot) -> Ancestry:
    behind = Preference.objects.filter(snapshot_rows__snapshot=snapshot)
    thumbs = FeedbackEvent.objects.filter(snapshot_rows__snapshot=snapshot)
    written = Annotation.objects.filter(snapshot_rows__snapshot=snapshot)
    actors = {actor for rows in (behind, thumbs, written) for actor in rows.values_list("actor_id", flat=True)}
    return Ancestry(
        version=version,
        snapshot=snapshot,
        rows=snapshot.rows.count(),
        annotations=annotations_behind(snapshot).count(),
        feedback=feedback_behind(snapshot).count(),
        actors=len(actors),
    )


def votes(*, project: Project, evaluation: Evaluation) -> list[Vote]:
    """What people said in an evaluation's tasks, seen from its version. A pair of one version's own answers says nothing.

    Win rates rest on what each annotator said alone: every answer that counts, also one that a settlement overruled, and never the
    settlement. One reviewer's word on just the pairs that people disagree about would make the rest look surer than it is.
    Answers rejected in review count no more, so they are no votes. (Agreement rests on the same answers: see `annotation.scoring`.)
    """
    said = Preference.objects.filter(project=project, projector=PROJECTOR, annotation__task__evaluation=evaluation)
    said = said.filter(annotation__counted=True, annotation__settlement=False, origin__in=COMPARED).order_by("pk")
    rows = said.values_list("prompt_id", "actor_id", "outcome", "first__version_id", "second__version_id")
    challenger = evaluation.version_id
    return [
        Vote(prompt=prompt, actor=actor, outcome=_seen_from_challenger(outcome, first == challenger))
        for prompt, actor, outcome, first, second in rows
        if (first == challenger) != (second == challenger)
    ]


def _seen_from_challenger(outcome: str, is_first: bool) -> float | None:
    if outcome == Preference.Outcome.NEITHER:
        return None
    if outcome == Preference.Outcome.TIE:
        return TIED
    return WON if (outcome == Preference.Outcome.FIRST) == is_first else LOST


def human_win_rate(evaluation: Evaluation) -> "WinRate | None":
    """How often people preferred the evaluation's version, clustered by prompt and annotator; None before anybody could tell."""
    from measures.errors import NoData
    from measures.win_rate import win_rate  # numpy: not before somebody asks

    said = votes(project=evaluation.project, evaluation=evaluation)
    try:
        return win_rate(
            [vote.outcome for vote in said],
            prompts=[vote.prompt for vote in said],
            annotators=[vote.actor for vote in said],
        )
    except NoData:
        return None


def counts_of(project: Project) -> Counts:
    """What pages show of a project's preferences and feedback. `waiting` counts outbox rows of all projects."""
    simulated = Q(actor__kind=Actor.Kind.SIMULATED)
    said = preferences_of(project).aggregate(
        preferences=Count("pk"),
        decisive=Count("pk", filter=Q(outcome__in=("first", "second"))),
        ties=Count("pk", filter=Q(outcome="tie")),
        both_bad=Count("pk", filter=Q(outcome="neither")),
        prompts=Count("prompt", distinct=True),
        people=Count("actor", distinct=True, filter=~simulated),
        simulated=Count("actor", distinct=True, filter=simulated),
    )
    sent = FeedbackEvent.objects.filter(project=project, withdrawn_at=None).aggregate(
        feedback=Count("pk"),
        pending=Count("pk", filter=Q(completion=None)),
        thumbs_up=Count("pk", filter=Q(kind="thumb", value__thumb="up")),
        thumbs_down=Count("pk", filter=Q(kind="thumb", value__thumb="down")),
        ratings=Count("pk", filter=Q(kind="rating")),
        corrections=Count("pk", filter=Q(kind="correction")),
        comparisons=Count("pk", filter=Q(kind="comparison")),
    )
    return Counts(**said, **sent, waiting=waiting().count())
