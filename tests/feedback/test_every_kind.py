"""From answers of every kind to frozen rows and back: through the queue, the projection and the files."""

import json
import uuid
from pathlib import Path

import pytest

from annotation.display import order_for, questions_of, restore
from annotation.models import Annotation, Slot
from annotation.services.slots import retract, submit_answer, take_next, undo
from feedback import files
from feedback.models import Demonstration, Preference, SnapshotRow
from feedback.selectors import annotations_behind
from feedback.services import drain_outbox, rebuild_preferences
from feedback.services.freezing import freeze, write_snapshot
from ground.errors import Invalid
from models_registry.models import Completion, Prompt
from tests.e2e.asking import make_schema, make_task
from tests.factories import make_annotators

pytestmark = [pytest.mark.store, pytest.mark.django_db]
RANKING = {"name": "order", "kind": "ranking", "text": "Which order?", "all_bad": True, "rewrite": True}
PAIR = {
    "name": "better",
    "kind": "pairwise",
    "text": "Which?",
    "rewrite": True,
    "aspects": [{"name": "clear", "text": "Clear"}],
}
MEND = {"name": "mend", "kind": "correction", "text": "Mend it", "of": "candidate"}
WRITE = {"name": "write", "kind": "demonstration", "text": "Answer", "turns": {"max": 3}}
TONE = {
    "name": "tone",
    "kind": "labels",
    "text": "Tone?",
    "multiple": True,
    "options": [{"value": "kind", "text": "Kind"}, {"value": "rude", "text": "Rude"}],
}
MARKS = {
    "name": "marks",
    "kind": "spans",
    "text": "Mark",
    "field": "text",
    "options": [{"value": "who", "text": "Who"}],
}
LINKS = {
    "name": "links",
    "kind": "relations",
    "text": "Relate",
    "spans": "marks",
    "options": [{"value": "knows", "text": "knows"}],
}
FIELD = {"name": "text", "text": "Text"}


def answer(actor, task, answers):
    """The actor claims the task and says `answers`, which name candidates by their ordinals."""
    claim = take_next(actor=actor, holding=set())
    assert claim is not None
    assert claim.task_id == task.pk
    slot = Slot.objects.select_related("task__schema", "task__queue").get(pk=claim.slot_id)
    shown = restore(questions_of(task), answers, order_for(actor, task))
    return submit_answer(actor=actor, slot=slot, token=claim.token, key=uuid.uuid4().hex, answers=shown)[0]


@pytest.fixture
def ask(cast):
    """`ask(RANKING, candidates=[...])`: a task of these questions."""

    def make(*questions, fields=(), overlap=1, **more):
        return make_task(make_schema(cast.project, *questions, fields=fields), overlap=overlap, **more)

    return make


def rows(snapshot, name):
    return list(files.read_lines(Path(snapshot.folder) / name))


def texts(pair):
    return pair["chosen"][0]["content"], pair["rejected"][0]["content"]


def test_a_ranking_is_frozen_as_one_group_of_pairs_that_lead_back_to_it(cast, ask, frozen):
    """C > A = B: two pairs of weight 1/2; C is to be imitated. The tie is left out."""
    task = ask(RANKING, prompt="Kettle?", candidates=["A", "B", "C"])
    said = answer(cast.bob, task, {"order": {"ranks": [2, 2, 1]}})
    snapshot = frozen(test_share=0)
    pairs = rows(snapshot, "preference_train.jsonl")
    assert [texts(pair) for pair in pairs] == [("C", "A"), ("C", "B")]
    assert {(pair["weight"], pair["group"], pair["group_size"]) for pair in pairs} == {(0.5, task.public_id, 2)}
    assert [row["completion"][0]["content"] for row in rows(snapshot, "sft_train.jsonl")] == ["C"]
    assert (snapshot.counts["judgements"], snapshot.counts["dropped"]) == (1, {"tie": 1})
    behind = {
        (row.line, one.part)
        for row in snapshot.rows.filter(file="preference_train.jsonl")
        for one in row.preferences.all()
    }
    assert behind == {(1, "order:0-2"), (2, "order:1-2")}
    assert list(annotations_behind(snapshot)) == [said]


def test_a_better_one_is_a_persons_completion_a_pair_and_an_example(cast, ask, frozen):
    task = ask(PAIR, prompt="Kettle?", candidates=["Bad.", "Worse."])
    better = {
        "choice": "first",
        "strength": None,
        "aspects": {"clear": {"choice": "second", "strength": None}},
        "rewrite": {"of": "first", "text": "Good."},
    }
    said = answer(cast.bob, task, {"better": better})
    snapshot = frozen(test_share=0)
    written = Completion.objects.get(source="human")
    assert (written.text, written.actor, written.prompt) == ("Good.", cast.bob, task.prompt)
    assert written.external_id == f"{said.public_id}:better.rewrite"
    pairs = {texts(pair): pair for pair in rows(snapshot, "preference_train.jsonl")}
    assert set(pairs) == {("Bad.", "Worse."), ("Good.", "Bad.")}
    assert pairs["Bad.", "Worse."]["metadata"] == {"aspects": {"clear": {"rejected": 1}}}
    assert [(row["completion"][0]["content"], row["origin"]) for row in rows(snapshot, "sft_train.jsonl")] == [
        ("Good.", "rewrite")
    ]
    [example] = snapshot.rows.filter(file="sft_train.jsonl")
    assert list(example.annotations.all()) == [said]
    assert snapshot.counts["written"] == 1


def test_a_correction_is_a_pair_and_what_is_left_alone_is_only_imitated(cast, ask, frozen):
    answer(cast.bob, ask(MEND, prompt="One?", candidates=["Wrong."]), {"mend": {"text": "Right."}})
    answer(cast.bob, ask(MEND, prompt="Two?", candidates=["Fine."]), {"mend": {"unchanged": True}})
    snapshot = frozen(test_share=0)
    assert [texts(pair) for pair in rows(snapshot, "preference_train.jsonl")] == [("Right.", "Wrong.")]
    found = {row["completion"][0]["content"]: row["origin"] for row in rows(snapshot, "sft_train.jsonl")}
    assert found == {"Right.": "correction", "Fine.": "unchanged"}


def test_a_conversation_written_on_stays_on_one_side_of_the_split(cast, ask, frozen):
    """Twelve conversations of two replies: each reply an example, both of a conversation in the same file."""
    for number in range(12):
        turns = [
            {"role": "assistant", "content": f"Which one, {number}?"},
            {"role": "user", "content": "The steel one."},
            {"role": "assistant", "content": "Vinegar."},
        ]
        answer(cast.bob, ask(WRITE, prompt=f"How, {number}?"), {"write": {"messages": turns}})
    snapshot = frozen(test_share=0.5)
    sides = {side: rows(snapshot, f"sft_{side}.jsonl") for side in ("train", "test")}
    assert all(sides.values())
    openings = {side: {row["prompt"][0]["content"] for row in found} for side, found in sides.items()}
    assert not openings["train"] & openings["test"]
    assert all(len(found) == 2 * len(openings[side]) for side, found in sides.items())
    longer = [row for row in (*sides["train"], *sides["test"]) if len(row["prompt"]) == 3]
    assert all(row["completion"] == [{"role": "assistant", "content": "Vinegar."}] for row in longer)


def test_a_held_out_prompt_holds_out_what_is_written_on_it(cast, ask):
    task = ask(WRITE, prompt="Kept?")
    Prompt.objects.filter(pk=task.prompt_id).update(held_out=True)
    turns = [
        {"role": "assistant", "content": "a"},
        {"role": "user", "content": "b"},
        {"role": "assistant", "content": "c"},
    ]
    answer(cast.bob, task, {"write": {"messages": turns}})
    drain_outbox()
    assert Prompt.objects.exclude(pk=task.prompt_id).get().held_out


def test_what_was_taken_back_is_in_force_no_more_and_written_once_however_often_projected(cast, ask):
    undone = answer(cast.bob, ask(MEND, prompt="One?", candidates=["Wrong."]), {"mend": {"text": "Right."}})
    drain_outbox()
    rebuild_preferences(project=cast.project)
    assert Completion.objects.filter(source="human").count() == 1
    undo(actor=cast.bob, annotation=undone)
    drain_outbox()
    assert not Demonstration.objects.filter(withdrawn_at=None).exists()
    assert not Preference.objects.filter(withdrawn_at=None).exists()


def test_labels_are_frozen_with_what_each_said_and_what_most_say(cast, ask, frozen):
    """Kind; kind and rude; rude: kind by two of three, rude by two of three. Agreement: (1/2 + 0 + 1/2) / 3 = 1/3."""
    task = ask(TONE, fields=[FIELD], data={"text": "Get lost, dear."}, overlap=3)
    people = make_annotators(cast.project, 3)
    for person, labels in zip(people, (["kind"], ["kind", "rude"], ["rude"]), strict=True):
        answer(person, task, {"tone": {"labels": labels}})
    snapshot = frozen(test_share=0)
    [row] = rows(snapshot, "labels_train.jsonl")
    assert (row["text"], row["options"], row["settled"]) == ("Get lost, dear.", ["kind", "rude"], False)
    assert [(one["by"], one["labels"]) for one in row["answers"]] == [
        (person.public_id, labels)
        for person, labels in zip(people, (["kind"], ["kind", "rude"], ["rude"]), strict=True)
    ]
    assert (row["holds"], row["agreement"]) == ({"labels": ["kind", "rude"]}, 0.333333)
    assert snapshot.counts["judgements_by"] == {"person": 3}
    assert snapshot.rows.get(file="labels_train.jsonl").annotations.count() == 3
    assert annotations_behind(snapshot).count() == 3


def test_spans_and_relations_are_frozen_by_their_places(cast, ask, frozen):
    task = ask(MARKS, LINKS, fields=[FIELD], data={"text": "Ann met Bo 🌧."})
    spans = [{"id": "x", "start": 0, "end": 3, "label": "who"}, {"id": "y", "start": 8, "end": 10, "label": "who"}]
    links = [{"subject": "x", "predicate": "knows", "object": "y"}]
    answer(cast.bob, task, {"marks": {"spans": spans}, "links": {"relations": links}})
    snapshot = frozen(test_share=0)
    [marked], [related] = rows(snapshot, "spans_train.jsonl"), rows(snapshot, "relations_train.jsonl")
    assert [marked["text"][span["start"] : span["end"]] for span in marked["holds"]["spans"]] == ["Ann", "Bo"]
    places = [{"start": 0, "end": 3, "label": "who"}, {"start": 8, "end": 10, "label": "who"}]
    knows = {"subject": places[0], "predicate": "knows", "object": places[1]}
    assert related["holds"] == {"relations": [knows]} == {"relations": related["answers"][0]["relations"]}
    assert related["text"] == marked["text"]


def test_texts_and_marks_are_frozen_too(cast, ask, frozen):
    rate = {
        "name": "rate",
        "kind": "rating",
        "text": "How good?",
        "each": "candidates",
        "aspects": [{"name": "fact", "text": "Facts"}],
    }
    note = {"name": "note", "kind": "text", "text": "Say", "required": False}
    task = ask(rate, note, prompt="Kettle?", candidates=["A", "B"])
    answer(cast.bob, task, {"rate": {"ratings": [{"fact": 5}, {"fact": 2}]}, "note": {"text": "B is wrong."}})
    snapshot = frozen(test_share=0)
    [rated], [noted] = rows(snapshot, "ratings_train.jsonl"), rows(snapshot, "texts_train.jsonl")
    assert rated["holds"] == {"ratings": [{"fact": 5}, {"fact": 2}]}
    assert ([one["text"] for one in rated["responses"]], rated["scale"]) == (["A", "B"], 5)
    assert (noted["answers"][0]["text"], noted["holds"]) == ("B is wrong.", None)
    assert rows(snapshot, "preference_train.jsonl") == []


def test_a_retracted_label_is_in_no_later_snapshot(cast, ask, frozen):
    task = ask(TONE, fields=[FIELD], data={"text": "Hm."}, overlap=2)
    wrong, right = (
        answer(one, task, {"tone": {"labels": [label]}})
        for one, label in zip(make_annotators(cast.project, 2), ("rude", "kind"), strict=True)
    )
    before = frozen(test_share=0)
    retract(actor=cast.mona, annotation=wrong, reason="a spammer")
    [row] = rows(frozen(test_share=0), "labels_train.jsonl")
    assert [one["labels"] for one in row["answers"]] == [["kind"]]
    assert rows(before, "labels_train.jsonl")[0]["agreement"] == 0
    assert set(annotations_behind(before)) == {wrong, right}


def test_an_unanswered_optional_question_alone_is_nothing_to_freeze(cast, ask):
    task = ask({**TONE, "required": False}, fields=[FIELD], data={"text": "Hm."})
    answer(cast.bob, task, {})
    with pytest.raises(Invalid):
        write_snapshot(freeze(actor=cast.mona, project=cast.project))


def test_a_snapshot_of_pairs_alone_has_the_files_and_the_manifest_it_always_had(cast, make_task, vote, frozen):
    """Earlier snapshots can be made again to the byte: no file, key or column is there that nothing asked for."""
    vote(make_task(), cast.bob, "first")
    snapshot = frozen(test_share=0)
    manifest = json.loads((Path(snapshot.folder) / files.MANIFEST).read_text())
    assert set(manifest["files"]) == {*files.DATA, files.LINEAGE}
    assert set(manifest["counts"]) == {"judgements", "actors", "judgements_by", "thumbs", "prompts", "dropped"}
    assert set(rows(snapshot, "preference_train.jsonl")[0]) == {"id", "prompt", "chosen", "rejected", "weight"}
    assert {frozenset(line) for line in rows(snapshot, files.LINEAGE)} == {
        frozenset({"file", "line", "digest", "prompt", "judgements"})
    }


def test_freezing_every_kind_twice_gives_the_same_bytes(cast, ask, frozen):
    answer(
        cast.bob,
        ask(RANKING, prompt="A?", candidates=["A", "B", "C"]),
        {"order": {"ranks": [1, 2, 3], "rewrite": {"of": "", "text": "D"}}},
    )
    answer(cast.bob, ask(TONE, fields=[FIELD], data={"text": "Hm."}), {"tone": {"labels": []}})
    one = frozen(seed=5)
    rebuild_preferences(project=cast.project)
    two = frozen(seed=5)
    assert (one.digest, one.files) == (two.digest, two.files)
    assert SnapshotRow.objects.filter(snapshot=one).count() == SnapshotRow.objects.filter(snapshot=two).count()
    assert Annotation.objects.count() == 2
