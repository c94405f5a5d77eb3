"""Freezing: the preferences of now become files that never change."""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db.models import F, Q, QuerySet
from django.utils.translation import gettext as _

from accounts.models import Actor, Project
from accounts.services import MANAGERS, require_role
from annotation.models import Annotation, Case, Task, Withdrawal
from annotation.services.routing import drain_answers
from feedback import files
from feedback.curation import examples_from, pairs_from, split_of, together
from feedback.data import Example, Judgement, Pair, Shown, Thumb
from feedback.models import Demonstration, FeedbackEvent, Preference, Snapshot
from feedback.projection import PROJECTOR
from feedback.services.chunks import chunks
from feedback.services.classifying import Classified, answers_to_classify, tasks_to_classify
from feedback.services.lineage import record_rows
from feedback.services.projecting import drain_outbox
from ground.digests import digest_of_file
from ground.errors import Forbidden, Invalid
from jobs.models import Job
from jobs.services import submit
from models_registry.models import Completion, Prompt

KIND = "freeze"
TIES = ("drop",)
ANY, REVIEWED, NOT_WAITING = "any", "reviewed", "not_waiting"
RESOLUTIONS: dict[str, list[int]] = {
    ANY: Task.Resolution.values,
    REVIEWED: [Task.Resolution.AGREED, Task.Resolution.SETTLED],
    NOT_WAITING: [value for value in Task.Resolution.values if value != Task.Resolution.WAITING],
}
"""What a freeze may ask of the tasks its judgements come from. Feedback from applications has no task and always passes."""
WIDEST_SHARE = 0.9
LONGEST_NAME = 200
JSON = dict[str, Any]


def freeze(
    *,
    actor: Actor,
    project: Project,
    name: str = "",
    test_share: float = 0.2,
    seed: int = 0,
    ties: str = "drop",
    resolution: str = ANY,
    key: str = "",
) -> Job:
    """Queue a snapshot of everything said so far; the same key again returns the first job. Managers only.

    `resolution` keeps only judgements of tasks that came so far in review: `reviewed` (people agreed, or a reviewer settled it) or
    `not_waiting` (no case is open). Errors: Invalid when nothing said so far could become a row.
    """
    require_role(actor, *MANAGERS)
    if actor.project_id != project.pk:
        raise Forbidden(_("This actor belongs to another project."))
    if not _has_material(project, resolution):
        _catch_up(resolution)
    if not _has_material(project, resolution):
        raise _nothing_to_freeze()
    spec = {
        "schema_version": 1,
        "name": name,
        "test_share": test_share,
        "seed": seed,
        "ties": ties,
        "resolution": resolution,
    }
    return submit(actor=actor, project=project, kind=KIND, spec=spec, key=key)


def _catch_up(resolution: str) -> None:
    """Project what waits; where the freeze looks at resolutions, route first."""
    if resolution != ANY:
        drain_answers()
    drain_outbox()


def _has_material(project: Project, resolution: str) -> bool:
    said = FeedbackEvent.objects.filter(project=project, withdrawn_at=None, completion__isnull=False, kind="thumb")
    found = _preferences(project).filter(_resolved(resolution), outcome__in=("first", "second"))
    written = _demonstrations(project).filter(_resolved(resolution))
    classified = answers_to_classify(project).filter(task__resolution__in=RESOLUTIONS.get(resolution, []))
    return found.exists() or written.exists() or said.exists() or classified.exists()


def _resolved(resolution: str) -> Q:
    """Of preferences and demonstrations; what no annotation said has no task to be resolved."""
    if resolution == ANY or resolution not in RESOLUTIONS:
        return Q()
    return Q(annotation=None) | Q(annotation__task__resolution__in=RESOLUTIONS[resolution])


def counts_by_resolution(project: Project) -> dict[str, int]:
    """How many of the preferences in force each choice of `resolution` keeps."""
    return {name: _preferences(project).filter(_resolved(name)).count() for name in RESOLUTIONS}


def _nothing_to_freeze() -> Invalid:
    return Invalid(
        _("Nothing that was said could be learned from yet."),
        hint=_(
            "Have responses compared, corrected or written, or texts labelled: a pair needs a side that more people prefer."
        ),
    )


def check_spec(spec: JSON) -> None:
    """What the kind `freeze` takes. Raises ValueError with the path."""
    share, seed, name = spec.get("test_share"), spec.get("seed"), spec.get("name")
    if not isinstance(name, str) or len(name) > LONGEST_NAME:
        raise ValueError(f"name: is text of at most {LONGEST_NAME} characters")
    if isinstance(share, bool) or not isinstance(share, int | float) or not 0 <= share <= WIDEST_SHARE:
        raise ValueError(f"test_share: is a number from 0 to {WIDEST_SHARE}")
    if isinstance(seed, bool) or not isinstance(seed, int):
        raise ValueError("seed: is a whole number")
    if spec.get("ties") not in TIES:
        raise ValueError(f"ties: is one of {', '.join(TIES)}")
    if spec.get("resolution", ANY) not in RESOLUTIONS:
        raise ValueError(f"resolution: is one of {', '.join(RESOLUTIONS)}")


def snapshot_id(job: Job) -> str:
    """The snapshot's public id follows from the job's, so that a second attempt finds the folder of the first."""
    return "snp_" + job.public_id.removeprefix("job_")


def write_snapshot(job: Job) -> JSON:
    """The kind's `run`: the folder, or the one an earlier attempt finished, and what its rows came from."""
    assert job.project is not None
    folder = Path(settings.SNAPSHOTS) / snapshot_id(job)
    if not (folder / files.MANIFEST).exists():
        _catch_up(job.spec.get("resolution", ANY))
        _write(folder, job.project, job.spec)
    manifest = files.read_manifest(folder)
    return {
        "folder": str(folder),
        "digest": digest_of_file(folder / files.MANIFEST),
        "files": manifest["files"],
        "counts": manifest["counts"],
        "lineage": list(files.read_lines(folder / files.LINEAGE)),
    }


def _write(folder: Path, project: Project, spec: JSON) -> None:
    resolution = spec.get("resolution", ANY)
    (judgements, unresolved), thumbs = _judgements(project, resolution), _thumbs(project)
    written = _written(project, resolution)
    compared = {key for said in judgements for key in (said.first, said.second)}
    texts = _text_digests(compared | {said.completion for said in thumbs} | {said.completion for said in written})
    pairs, dropped = pairs_from(judgements, text_digests=texts)
    examples = examples_from(pairs, thumbs, written, text_digests=texts)
    tasks, left = tasks_to_classify(project, RESOLUTIONS[resolution])
    if not pairs and not examples and not tasks:
        raise _nothing_to_freeze()
    prompts = {pair.prompt for pair in pairs} | {example.prompt for example in examples}
    prompts |= {prompt for _task, prompt in tasks if prompt is not None}
    splits = _splits(prompts, project, spec)
    settings_used = {**{name: spec[name] for name in ("test_share", "seed", "ties")}, "resolution": resolution}
    spoke = {said.source: said.actor for said in judgements} | {said.source: said.actor for said in written}
    classified = Classified(tasks, splits, spec)

    def manifest() -> JSON:
        if not pairs and not examples and not classified.rows:
            raise _nothing_to_freeze()
        actors = {**spoke, **classified.actors()}
        return {
            "schema_version": 1,
            "projector": PROJECTOR,
            "spec": settings_used,
            "counts": {
                "judgements": len(actors),
                "actors": len(set(actors.values())),
                "judgements_by": _by_kind(list(actors.values())),
                "thumbs": len(thumbs),
                **_counted({"written": len(written), "classified": classified.rows}),
                "prompts": dict(sorted(Counter(splits.values()).items())),
                "dropped": dropped
                | _counted({"unresolved": unresolved + left})
                | _overruled(project)
                | _withdrawn(project),
            },
        }

    rows = (*_pair_rows(pairs, splits), *_example_rows(examples, splits))
    files.write_folder(folder, rows=chain(_with_texts(rows), classified), manifest=manifest)


def _preferences(project: Project) -> QuerySet[Preference]:
    return Preference.objects.filter(project=project, projector=PROJECTOR, withdrawn_at=None)


def _demonstrations(project: Project) -> QuerySet[Demonstration]:
    return Demonstration.objects.filter(project=project, projector=PROJECTOR, withdrawn_at=None)


def _judgements(project: Project, resolution: str) -> tuple[list[Judgement], int]:
    """All votes in force, oldest first, and of how many answers the task had not come so far in review.

    One statement: one moment of the database.
    """
    said = _preferences(project).order_by("created_at", "pk").annotate(
        resolution=F("annotation__task__resolution"), task=F("annotation__task__public_id")
    ).values_list(
        "resolution", "annotation__public_id", "event__public_id", "prompt_id", "first_id", "second_id", "outcome", "strength",
        "actor_id", "origin", "task", "all_bad", "aspects",
    )  # fmt: skip
    allowed: set[int | None] = {None}.union(RESOLUTIONS[resolution])
    rows = list(said.iterator(chunk_size=2000))
    told = Counter(annotation or event for _resolved, annotation, event, *_rest in rows)
    kept, left = [], set()
    for (
        resolved,
        annotation,
        event,
        prompt,
        first,
        second,
        outcome,
        strength,
        actor,
        origin,
        task,
        all_bad,
        aspects,
    ) in rows:
        source = annotation or event
        if resolved not in allowed:
            left.add(source)
            continue
        kept.append(
            Judgement(
                source=source,
                prompt=prompt,
                first=first,
                second=second,
                outcome=outcome,
                actor=actor,
                strength=strength,
                group=task if origin == Preference.Origin.RANKING else "",
                several=told[source] > 1,
                all_bad=all_bad,
                aspects=aspects,
            )
        )
    return kept, len(left)


def _written(project: Project, resolution: str) -> list[Shown]:
    """What people wrote or let stand to be imitated, oldest first."""
    rows = _demonstrations(project).filter(_resolved(resolution)).order_by("created_at", "pk")
    said = rows.values_list("annotation__public_id", "prompt_id", "completion_id", "origin", "actor_id")
    return [
        Shown(source=source, prompt=prompt, completion=completion, origin=origin, actor=actor)
        for source, prompt, completion, origin, actor in said
    ]


def _thumbs(project: Project) -> list[Thumb]:
    events = FeedbackEvent.objects.filter(project=project, kind="thumb", withdrawn_at=None, completion__isnull=False)
    said = events.order_by("created_at", "pk").values_list(
        "public_id", "completion__prompt_id", "completion_id", "actor_id", "value"
    )
    return [
        Thumb(source=source, prompt=prompt, completion=completion, actor=actor, up=value["thumb"] == "up")
        for source, prompt, completion, actor, value in said
    ]


def _by_kind(actors: Sequence[int]) -> dict[str, int]:
    """Judgements by who gave them: simulated ones are never passed off as people's."""
    kinds: dict[int, str] = {}
    for chunk in chunks(sorted(set(actors))):
        kinds.update(Actor.objects.filter(pk__in=chunk).values_list("pk", "kind"))
    return dict(sorted(Counter(kinds[actor] for actor in actors).items()))


def _withdrawn(project: Project) -> dict[str, int]:
    answers = Withdrawal.objects.filter(annotation__project=project).count()
    events = FeedbackEvent.objects.filter(project=project, withdrawn_at__isnull=False).count()
    return _counted({"withdrawn": answers + events})


def _overruled(project: Project) -> dict[str, int]:
    """Answers that still count but say nothing here, because a settlement stands in their place."""
    settled = Annotation.objects.filter(project=project, settlement=True, counted=True).values("task_id")
    said = Annotation.objects.filter(project=project, counted=True, settlement=False, task_id__in=settled)
    return _counted({"overruled": said.count()})


def _counted(counts: dict[str, int]) -> dict[str, int]:
    return {name: count for name, count in counts.items() if count}


def _text_digests(keys: set[int]) -> dict[int, str]:
    found: dict[int, str] = {}
    for chunk in chunks(sorted(keys)):
        found.update(Completion.objects.filter(pk__in=chunk).values_list("pk", "digest"))
    return found


def _splits(prompts: set[int], project: Project, spec: JSON) -> dict[int, str]:
    """Prompt → `train` or `test`. Prompts of one conversation go together: to the side that the first of them, by digest, has."""
    roots = {
        pair
        for rows in (_preferences(project), _demonstrations(project))
        for pair in rows.exclude(root=None).values_list("prompt_id", "root_id")
    }
    whole = together(prompts, roots)
    known: dict[int, tuple[str, bool]] = {}
    for chunk in chunks(sorted({key for members in whole.values() for key in members})):
        rows = Prompt.objects.filter(pk__in=chunk).values_list("pk", "digest", "held_out")
        known.update({key: (digest, held_out) for key, digest, held_out in rows})
    found: dict[int, str] = {}
    for prompt in prompts:
        members = [known[key] for key in whole[prompt]]
        digest, held_out = min(digest for digest, _held in members), any(held for _digest, held in members)
        found[prompt] = split_of(
            prompt_digest=digest, held_out=held_out, seed=spec["seed"], test_share=spec["test_share"]
        )
    return found


Planned = tuple[str, Pair | Example]


def _pair_rows(pairs: Sequence[Pair], splits: dict[int, str]) -> Iterator[Planned]:
    return ((f"preference_{splits[pair.prompt]}.jsonl", pair) for pair in pairs)


def _example_rows(examples: Sequence[Example], splits: dict[int, str]) -> Iterator[Planned]:
    return ((f"sft_{splits[example.prompt]}.jsonl", example) for example in examples)


def _with_texts(rows: Sequence[Planned]) -> Iterator[tuple[str, JSON, JSON]]:
    """Texts are read a few hundred rows at a time: a snapshot may be larger than memory."""
    for chunk in chunks(rows):
        prompts = Prompt.objects.in_bulk({row.prompt for _name, row in chunk})
        completions = Completion.objects.in_bulk({key for _name, row in chunk for key in _responses(row)})
        rulings = _rulings({source for _name, row in chunk for source in row.sources})
        for name, row in chunk:
            prompt = prompts[row.prompt]
            cases = sorted({rulings[source] for source in row.sources if source in rulings})
            lineage: JSON = {"prompt": prompt.public_id, "judgements": list(row.sources)}
            if row.several:
                lineage["responses"] = [completions[key].public_id for key in _responses(row)]
            yield name, _line(row, prompt, completions), lineage | ({"rulings": cases} if cases else {})


def _rulings(sources: set[str]) -> dict[str, str]:
    """Public id of an annotation → of the case that settled its task last."""
    found: dict[str, str] = {}
    for chunk in chunks(sorted(sources)):
        tasks = dict(Annotation.objects.filter(public_id__in=chunk).values_list("public_id", "task_id"))
        settled = Case.objects.filter(task_id__in=set(tasks.values()), state=Case.State.SETTLED).order_by("pk")
        cases = dict(settled.values_list("task_id", "public_id"))
        found.update({source: cases[task] for source, task in tasks.items() if task in cases})
    return found


def _responses(row: Pair | Example) -> tuple[int, ...]:
    return (row.chosen, row.rejected) if isinstance(row, Pair) else (row.completion,)


def _line(row: Pair | Example, prompt: Prompt, completions: dict[int, Completion]) -> JSON:
    """One row in the conversational form of TRL's trainers."""
    said = [completions[key] for key in _responses(row)]
    spoken = [[{"role": "assistant", "content": completion.text}] for completion in said]
    common = {"id": "-".join(completion.public_id for completion in said), "prompt": prompt.messages}
    if isinstance(row, Pair):
        grouped = {"group": row.group, "group_size": row.group_size} if row.group_size > 1 else {}
        margin = {} if row.margin is None else {"margin": row.margin}
        metadata = {"metadata": {"aspects": row.aspects}} if row.aspects else {}
        return {
            **common,
            "chosen": spoken[0],
            "rejected": spoken[1],
            "weight": row.weight,
            **margin,
            **grouped,
            **metadata,
        }
    return {**common, "completion": spoken[0], "origin": row.origin}


def record_snapshot(job: Job, result: JSON) -> JSON:
    """The kind's `finish`: the snapshot and where its rows came from, in the transaction that closes the job."""
    snapshot = Snapshot.objects.filter(job=job).first() or _record(job, result)
    return {"snapshot": snapshot.public_id, "number": snapshot.number, "digest": snapshot.digest}


def _record(job: Job, result: JSON) -> Snapshot:
    assert job.project is not None
    # The project's row is locked so that two freezes ending together take different numbers.
    project = Project.objects.select_for_update(no_key=True).get(pk=job.project.pk)
    last = Snapshot.objects.filter(project=project).order_by("-number").first()
    snapshot = Snapshot.objects.create(
        public_id=snapshot_id(job),
        project=project,
        number=last.number + 1 if last else 1,
        name=job.spec.get("name", ""),
        job=job,
        actor=job.actor,
        spec=job.spec,
        folder=result["folder"],
        digest=result["digest"],
        files=result["files"],
        counts=result["counts"],
    )
    for chunk in chunks(result["lineage"]):
        record_rows(snapshot, chunk)
    return snapshot


def verify_snapshot(snapshot: Snapshot) -> list[str]:
    """Hash every file again: the names of those that are missing or changed, none when the snapshot is as it was frozen."""
    return files.changed_files(Path(snapshot.folder), snapshot.files, snapshot.digest)
