"""Snapshots: whole or not at all, the same every time, and traceable line by line."""

import json
import resource
import signal
from pathlib import Path

import pytest
from django.db import DatabaseError, transaction

from annotation.services.slots import undo
from feedback import files
from feedback.data import NewFeedback
from feedback.models import Preference, Snapshot, SnapshotRow
from feedback.services import freeze, rebuild_preferences, send_comparison, send_feedback, verify_snapshot
from feedback.services.freezing import record_snapshot, snapshot_id, write_snapshot
from ground.errors import Conflict, Forbidden, Invalid
from jobs.models import Job
from tests.factories import make_annotators, make_completion, make_prompt


@pytest.fixture
def voted(cast, make_task, vote):
    """`voted(12)`: prompts with one decided pair each."""

    def make(count=12, **fields):
        tasks = []
        for _ in range(count):
            tasks.append(make_task(prompt=make_prompt(cast.project, **fields)))
            vote(tasks[-1], cast.bob, "first")
        return tasks

    return make


def rows(snapshot, name):
    return list(files.read_lines(Path(snapshot.folder) / name))


@pytest.mark.store
def test_a_row_is_in_the_form_the_trainers_read(cast, make_task, vote, frozen):
    """Two of three prefer the kettle: weight 2/3, and the kettle is an example to imitate."""
    task = make_task("Descale the kettle.", "Buy a new one.", overlap=3)
    annotators = make_annotators(cast.project, 3)
    for actor, choice in zip(annotators, ["first", "second", "first"], strict=True):
        vote(task, actor, choice)
    snapshot = frozen(test_share=0)
    chosen, rejected = (candidate.completion for candidate in task.candidates.all())
    assert rows(snapshot, "preference_train.jsonl") == [
        {
            "id": f"{chosen.public_id}-{rejected.public_id}",
            "prompt": task.prompt.messages,
            "chosen": [{"role": "assistant", "content": "Descale the kettle."}],
            "rejected": [{"role": "assistant", "content": "Buy a new one."}],
            "weight": 0.666667,
        }
    ]
    (example,) = rows(snapshot, "sft_train.jsonl")
    assert example["completion"] == [{"role": "assistant", "content": "Descale the kettle."}]
    assert example["origin"] == "chosen"
    assert rows(snapshot, "preference_test.jsonl") == rows(snapshot, "sft_test.jsonl") == []
    assert snapshot.counts["judgements"] == 3


@pytest.mark.store
def test_freezing_the_same_judgements_twice_gives_the_same_bytes(voted, frozen):
    voted()
    one, two = frozen(seed=5), frozen(seed=5, name="again")
    assert one.folder != two.folder
    assert (one.digest, one.files) == (two.digest, two.files)
    assert (one.number, two.number) == (1, 2)
    assert frozen(seed=6).digest != one.digest


@pytest.mark.store
def test_a_rebuilt_projection_freezes_to_the_same_bytes(cast, voted, frozen):
    voted()
    before = frozen().digest
    rebuild_preferences(project=cast.project)
    assert frozen().digest == before


@pytest.mark.store
def test_no_prompt_stands_on_both_sides_and_held_out_prompts_are_test(cast, make_task, vote, voted, frozen):
    voted(30)
    held = voted(3, held_out=True)
    crowded = make_prompt(cast.project)
    for _ in range(8):
        vote(make_task(prompt=crowded), cast.bob, "second")
    snapshot = frozen(test_share=0.4, seed=1)
    sides = {
        side: {row.prompt_id for row in SnapshotRow.objects.filter(snapshot=snapshot, file__endswith=f"{side}.jsonl")}
        for side in ("train", "test")
    }
    assert sides["train"]
    assert not sides["train"] & sides["test"]
    assert {task.prompt_id for task in held} <= sides["test"]
    assert len(sides["train"] | sides["test"]) == 34
    assert snapshot.counts["prompts"] == {"test": len(sides["test"]), "train": len(sides["train"])}


@pytest.mark.store
def test_what_was_left_out_is_counted_by_reason(cast, make_task, vote, voted, frozen):
    voted(1)
    one, two = make_annotators(cast.project, 2)
    vote(make_task(), one, "tie")
    vote(make_task(), one, "neither")
    vote(make_task("Same.", "Same."), one, "first")
    split = make_task(overlap=2)
    vote(split, one, "first")
    vote(split, two, "second")
    undo(actor=two, annotation=vote(make_task(), two, "first"))
    counts = frozen().counts
    assert counts["dropped"] == {"both_bad": 1, "identical_texts": 1, "split_vote": 1, "tie": 1, "withdrawn": 1}
    assert counts["judgements_by"] == {"person": 6}


@pytest.mark.store
def test_feedback_from_applications_is_in_the_next_snapshot(cast, project, frozen):
    """A correction gives a preference row and an example; thumbs up give an example; each knows where it came from."""
    wrong, liked = make_completion(make_prompt(project), "Wrong."), make_completion(make_prompt(project), "Liked.")
    items = [
        NewFeedback(target=wrong.public_id, kind="correction", value={"text": "Right."}),
        NewFeedback(target=liked.public_id, kind="thumb", value={"thumb": "up"}),
    ]
    correction, thumb = (send_feedback(actor=cast.mona, project=project, item=item) for item in items)
    snapshot = frozen(test_share=0)
    (pair,) = rows(snapshot, "preference_train.jsonl")
    assert (pair["chosen"][0]["content"], pair["rejected"][0]["content"]) == ("Right.", "Wrong.")
    imitated = {row["completion"][0]["content"]: row["origin"] for row in rows(snapshot, "sft_train.jsonl")}
    assert imitated == {"Right.": "chosen", "Liked.": "thumb"}
    assert SnapshotRow.objects.filter(preferences__event=correction).count() == 2
    assert SnapshotRow.objects.get(events=thumb).file == "sft_train.jsonl"


@pytest.mark.store
def test_who_compares_again_has_only_the_last_word(cast, project, frozen):
    prompt = make_prompt(project)
    one, two = make_completion(prompt, "One."), make_completion(prompt, "Two.")
    for outcome in ("first", "tie", "first", "second"):
        names = {"first": one.public_id, "second": two.public_id, "user": "u-1"}
        send_comparison(actor=cast.mona, project=project, outcome=outcome, **names)
    snapshot = frozen(test_share=0)
    (pair,) = rows(snapshot, "preference_train.jsonl")
    assert (pair["chosen"][0]["content"], pair["weight"]) == ("Two.", 1.0)
    assert snapshot.counts["dropped"] == {"repeated": 3}


@pytest.mark.store
def test_every_line_leads_back_to_the_answers_behind_it(cast, make_task, vote, frozen):
    task = make_task(overlap=2)
    answers = {vote(task, actor, "first") for actor in make_annotators(cast.project, 2)}
    snapshot = frozen(test_share=0)
    for row in SnapshotRow.objects.filter(snapshot=snapshot):
        assert {said.annotation for said in row.preferences.all()} == answers
    assert set(snapshot.rows.values_list("file", "line")) == {("preference_train.jsonl", 1), ("sft_train.jsonl", 1)}


@pytest.mark.store
def test_with_nothing_to_learn_a_freeze_is_refused_with_a_hint(cast, make_task, vote, run_job):
    with pytest.raises(Invalid) as nothing:
        freeze(actor=cast.mona, project=cast.project)
    assert nothing.value.hint
    vote(make_task(), cast.bob, "tie")
    with pytest.raises(Invalid):
        freeze(actor=cast.mona, project=cast.project)


@pytest.mark.store
def test_a_freeze_that_finds_only_split_votes_fails_with_the_same_words(cast, make_task, vote, run_job, settings):
    task = make_task(overlap=2)
    for actor, choice in zip(make_annotators(cast.project, 2), ["first", "second"], strict=True):
        vote(task, actor, choice)
    job = run_job(freeze(actor=cast.mona, project=cast.project))
    assert (job.state, job.error["class"], job.attempt) == (Job.State.FAILED, "invalid", 1)
    assert job.error["hint"]
    assert not Snapshot.objects.exists()
    assert not Path(settings.SNAPSHOTS).exists()


@pytest.mark.store
def test_only_managers_freeze_and_only_with_settings_that_mean_something(cast, voted):
    voted(1)
    with pytest.raises(Forbidden):
        freeze(actor=cast.bob, project=cast.project)
    with pytest.raises(Forbidden):
        freeze(actor=cast.mallory, project=cast.project)
    for wrong in ({"test_share": 1.5}, {"test_share": True}, {"seed": "x"}, {"ties": "half"}, {"name": "n" * 201}):
        with pytest.raises(Invalid):
            freeze(actor=cast.mona, project=cast.project, **wrong)


@pytest.mark.store
def test_the_same_key_is_the_same_freeze(cast, voted):
    voted(1)
    first = freeze(actor=cast.mona, project=cast.project, key="k")
    assert freeze(actor=cast.mona, project=cast.project, key="k") == first
    with pytest.raises(Conflict):
        freeze(actor=cast.mona, project=cast.project, key="k", seed=9)


@pytest.mark.store
def test_a_second_attempt_uses_what_the_first_finished(cast, voted, vote, make_task):
    """Killed between the rename and the rows: the files are there, the rows are not, and more was said meanwhile."""
    voted(3)
    job = freeze(actor=cast.mona, project=cast.project)
    first = write_snapshot(job)
    vote(make_task(), cast.bob, "first")
    second = write_snapshot(job)
    assert second == first
    assert record_snapshot(job, second) == record_snapshot(job, second)
    assert Snapshot.objects.count() == 1
    assert SnapshotRow.objects.count() == 6


@pytest.mark.store
def test_what_a_killed_attempt_left_half_written_is_swept_away(cast, voted, settings):
    voted(3)
    job = freeze(actor=cast.mona, project=cast.project)
    left_over = Path(settings.SNAPSHOTS) / f".{snapshot_id(job)}.dead.part"
    left_over.mkdir(parents=True)
    (left_over / "preference_train.jsonl").write_text('{"half": ')
    write_snapshot(job)
    assert [folder.name for folder in Path(settings.SNAPSHOTS).iterdir()] == [snapshot_id(job)]


def some_rows(count):
    for number in range(count):
        yield "preference_train.jsonl", {"id": str(number), "text": "x" * 1000}, {"judgements": []}


def test_a_full_disk_leaves_nothing_half_done(tmp_path):
    """The kernel refuses bytes beyond 20 kB of a file, as a full disk would; without the limit the same call succeeds."""
    folder = tmp_path / "snapshots" / "snp_1"
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
    try:
        with pytest.raises(OSError):
            files.write_folder(folder, rows=some_rows(100), manifest={})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)
    assert list(folder.parent.iterdir()) == []
    files.write_folder(folder, rows=some_rows(100), manifest={})
    assert files.read_manifest(folder)["files"]["preference_train.jsonl"]["rows"] == 100


@pytest.mark.store
def test_a_disk_that_fails_fails_the_job_and_a_later_attempt_succeeds(cast, voted, settings, tmp_path, run_job):
    """A file lies where the folder of snapshots should be: the system refuses every mkdir below it."""
    voted(2)
    blocked = tmp_path / "blocked"
    blocked.write_text("")
    good, settings.SNAPSHOTS = settings.SNAPSHOTS, blocked / "snapshots"
    job = run_job(freeze(actor=cast.mona, project=cast.project))
    assert (job.state, job.error["class"]) == (Job.State.QUEUED, "disk")
    assert not Snapshot.objects.exists()
    settings.SNAPSHOTS = good
    assert run_job(job).state == Job.State.SUCCEEDED
    assert verify_snapshot(Snapshot.objects.get()) == []


def test_of_two_that_write_the_same_folder_the_first_to_rename_wins(tmp_path):
    folder = tmp_path / "snp_1"

    def slower():
        yield "sft_test.jsonl", {"id": "late"}, {}
        files.write_folder(tmp_path / "other", rows=[("sft_test.jsonl", {"id": "early"}, {})], manifest={})
        (tmp_path / "other").rename(folder)

    files.write_folder(folder, rows=slower(), manifest={})
    assert [row["id"] for row in files.read_lines(folder / "sft_test.jsonl")] == ["early"]
    assert [path.name for path in tmp_path.iterdir()] == ["snp_1"]


@pytest.mark.store
def test_a_changed_or_missing_file_is_found(voted, frozen):
    voted(2)
    snapshot = frozen()
    assert verify_snapshot(snapshot) == []
    folder = Path(snapshot.folder)
    with (folder / "sft_train.jsonl").open("a") as stream:
        stream.write("{}\n")
    (folder / "lineage.jsonl").unlink()
    assert verify_snapshot(snapshot) == ["lineage.jsonl", "sft_train.jsonl"]


@pytest.mark.store
def test_a_snapshot_and_its_rows_cannot_be_changed(voted, frozen):
    voted(1)
    snapshot = frozen()
    for changed in (Snapshot.objects.filter(pk=snapshot.pk), snapshot.rows.all()):
        with pytest.raises(DatabaseError, match="immutable"), transaction.atomic():
            changed.update(digest="sha256:other")


@pytest.mark.store
def test_a_preference_a_snapshot_stands_on_survives_its_withdrawal(cast, make_task, vote, frozen):
    annotation = vote(make_task(), cast.bob, "first")
    snapshot = frozen()
    undo(actor=cast.bob, annotation=annotation)
    vote(make_task(), cast.mona, "first")
    frozen()
    said = Preference.objects.get(annotation=annotation)
    assert said.withdrawn_at is not None
    assert snapshot.rows.filter(preferences=said).exists()


@pytest.mark.store
def test_the_manifest_speaks_of_every_file(voted, frozen):
    voted(4)
    snapshot = frozen()
    manifest = json.loads((Path(snapshot.folder) / "manifest.json").read_text())
    assert set(manifest["files"]) == {*files.DATA, files.LINEAGE}
    lines = {name: len(rows(snapshot, name)) for name in manifest["files"]}
    assert lines == {name: entry["rows"] for name, entry in manifest["files"].items()}
    assert manifest["spec"] == {"seed": 0, "test_share": 0.2, "ties": "drop", "resolution": "any"}
