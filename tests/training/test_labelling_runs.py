"""Classifiers and token classifiers from start to use: what may start, what is registered, what is read and told."""

from pathlib import Path

import pytest
from django.urls import reverse

from annotation.models import BulkEdit, Task
from ground import clock
from ground.errors import Invalid, NotFound
from jobs.kinds import get_kind
from jobs.models import Job
from tests.e2e.asking import make_schema, make_task
from tests.factories import make_prompt
from tests.training.conftest import engine_result, finish
from training.engine.files import read_jsonl, write_jsonl
from training.engine.spec import load
from training.models import Run

pytestmark = pytest.mark.django_db
TONE = {
    "name": "tone",
    "kind": "labels",
    "text": "Tone?",
    "options": [{"value": "kind", "text": "Kind"}, {"value": "rude", "text": "Rude"}],
}
MEASURES = {
    "n": 24,
    "accuracy": 0.875,
    "interval": [0.69, 0.957],
    "majority_share": 0.5,
    "macro_f1": 0.87,
    "labels": ["kind", "rude"],
    "confusion": [[11, 1], [2, 10]],
    "per_class": {
        "kind": {"precision": 0.846, "recall": 0.917, "f1": 0.88, "predicted": 13, "support": 12},
        "rude": {"precision": 0.909, "recall": 0.833, "f1": 0.87, "predicted": 11, "support": 12},
    },
}


@pytest.fixture
def encoder(make_model):
    return make_model("encoder", "reader")


@pytest.fixture
def classifier(start, encoder, make_snapshot):
    run = start("classify", base=encoder, snapshot=make_snapshot(labels_train=3))
    metrics = {"question": "tone", "measured_on": "test", "measures": MEASURES}
    finish(run, engine_result(run, metrics=metrics))
    run.refresh_from_db()
    return run.output


@pytest.fixture
def tasks(cast):
    schema = make_schema(
        cast.project, TONE, fields=[{"name": "title", "text": "Title"}, {"name": "text", "text": "Text"}]
    )
    return [make_task(schema, data={"title": f"No {at}", "text": f"Text {at}"}) for at in range(3)]


@pytest.mark.parametrize(("method", "kind"), [("classify", "labels"), ("tag", "spans")])
def test_both_halves_of_the_snapshot_are_read(start, encoder, make_snapshot, method, kind):
    files = {f"{kind}_train": 3, f"{kind}_test": 2}
    run = start(method, base=encoder, snapshot=make_snapshot(**files), hyperparameters={"question": "tone"})
    get_kind(method).prepare(run.job)
    spec = load(Path(run.folder) / "spec.json")
    assert {role: ref.rows for role, ref in spec.data.items()} == {"train": 3, "test": 2}
    assert spec.hyperparameters.question == "tone"


def test_a_language_model_is_no_encoder_and_an_encoder_no_language_model(start, base, encoder, make_snapshot):
    with pytest.raises(Invalid, match="A classifier needs an encoder to start from") as refused:
        start("classify", base=base, snapshot=make_snapshot(labels_train=1))
    assert "language model" in refused.value.hint
    with pytest.raises(Invalid, match="SFT needs a language model"):
        start("sft", base=encoder, snapshot=make_snapshot(sft_train=1))


def test_a_snapshot_without_labels_teaches_no_classifier(start, encoder, make_snapshot):
    with pytest.raises(Invalid, match="A classifier needs a snapshot with rows of labels"):
        start("classify", base=encoder, snapshot=make_snapshot(preference_train=9))


def test_a_classifier_is_registered_as_one_and_can_be_taught_more(start, classifier, make_snapshot):
    assert (classifier.kind, classifier.number) == ("classifier", 1)
    assert classifier.model.slug.endswith("-classifier")
    run = start("classify", base=classifier, snapshot=make_snapshot(labels_train=3))
    finish(run, engine_result(run))
    run.refresh_from_db()
    assert (run.output.model, run.output.number, run.output.parent) == (classifier.model, 2, classifier)


def test_a_prediction_reads_of_a_task_what_training_read(start, classifier, tasks):
    """Two text fields are one text, with an empty line between them: as `feedback.classified` freezes them."""
    run = start("predict", base=classifier)
    get_kind("predict").prepare(run.job)
    rows = list(read_jsonl(Path(run.folder) / "data" / "texts.jsonl"))
    assert rows == [{"id": task.public_id, "text": f"No {at}\n\nText {at}"} for at, task in enumerate(tasks)]
    assert load(Path(run.folder) / "spec.json").data["texts"].rows == 3


def test_a_second_attempt_reads_what_the_first_one_read(start, classifier, tasks):
    run = start("predict", base=classifier)
    get_kind("predict").prepare(run.job)
    Task.objects.filter(pk=tasks[0].pk).update(data={"schema_version": 1, "title": "new", "text": "new"})
    before = (Path(run.folder) / "spec.json").read_bytes()
    get_kind("predict").prepare(run.job)
    assert (Path(run.folder) / "spec.json").read_bytes() == before


def test_tasks_are_read_by_their_state_or_by_name(cast, start, classifier, tasks):
    Task.objects.filter(pk=tasks[0].pk).update(state=Task.State.COMPLETE)
    edit = BulkEdit.objects.create(project=cast.project, actor=cast.mona, kind="delete", query={})
    Task.objects.filter(pk=tasks[1].pk).update(deletion=edit)
    named = lambda **asked: start("predict", base=classifier, **asked).job.spec["texts"]  # noqa: E731
    assert named() == [tasks[2].public_id]
    assert named(texts="all") == [tasks[0].public_id, tasks[2].public_id]
    assert named(texts=[tasks[0].public_id]) == [tasks[0].public_id]
    with pytest.raises(NotFound):
        named(texts=["tsk_nowhere"])
    with pytest.raises(Invalid, match="open, all"):
        named(texts="some")


def test_a_language_model_predicts_no_labels(start, base, tasks):
    with pytest.raises(Invalid, match="needs a classifier or token classifier"):
        start("predict", base=base)


def test_predictions_are_read_page_by_page(cast, api, start, classifier, tasks):
    client, runs = api(cast.mona), f"/api/v1/projects/{cast.project.slug}/runs"
    started = client.post(runs, {"method": "predict", "base": str(classifier), "texts": "open"})
    assert started.status_code == 202, started.content
    run = Run.objects.get(public_id=started.json()["id"])
    told = [{"id": task.public_id, "labels": ["kind"], "scores": {"kind": 0.9, "rude": 0.1}} for task in tasks]
    write_jsonl(Path(run.folder) / "output" / "predictions.jsonl", told)
    path = f"{runs}/{run.public_id}/predictions"
    assert client.get(path).json() == {"results": [], "next": None}, "nothing before it is done"
    result = finish(run, {"state": "succeeded", "metrics": {"texts": 3}})
    assert len(result["predictions"]) == 64
    Job.objects.filter(pk=run.job_id).update(state=Job.State.SUCCEEDED, result=result, finished_at=clock.now())
    first = client.get(path, {"limit": 2}).json()
    assert (first["results"], first["next"]) == (told[:2], 2)
    assert client.get(path, {"after": 2}).json() == {"results": told[2:], "next": None}
    assert api(cast.mallory).get(path.replace(cast.project.slug, cast.mallory.project.slug)).status_code == 404


def test_a_run_of_another_method_has_no_predictions(cast, api, start, encoder, make_snapshot):
    run = start("classify", base=encoder, snapshot=make_snapshot(labels_train=1))
    answer = api(cast.mona).get(f"/api/v1/projects/{cast.project.slug}/runs/{run.public_id}/predictions")
    assert answer.status_code == 422


def test_the_page_of_a_classifier_tells_it_label_by_label(cast, client, classifier):
    client.force_login(cast.mona.user)
    page = client.get(reverse("version", args=[cast.project.slug, classifier.public_id])).content.decode()
    assert "it does not serve" in page
    for said in (
        "Right in 88 % of 24 texts",
        "the most frequent label alone, in 50 %",
        "On held-out texts",
        "taken for rude",
    ):
        assert said.replace(" %", "\u202f%") in page.replace("\xa0%", "\u202f%").replace(" %", "\u202f%"), said


@pytest.mark.parametrize("method", ["classify", "predict"])
def test_a_run_starts_from_its_page(cast, client, encoder, classifier, make_snapshot, tasks, method):
    client.force_login(cast.mona.user)
    snapshot = make_snapshot(labels_train=2)
    path = reverse("new-run", args=[cast.project.slug])
    assert "disabled" not in client.get(path).content.decode()
    form = client.get(path, {"method": method}).context["form"]
    said = {
        name: field.value()
        for name in form.fields
        if (field := form[name]).value() not in (None, "") and field.value() is not False
    }
    said |= {"method": method, "par_world_size": 1, "par_zero_stage": 0}
    if method == "classify":
        said |= {"snapshot": snapshot.public_id, "base": encoder.public_id, "hp_question": "tone"}
    answer = client.post(path, said)
    assert answer.status_code == 302, answer.context["form"].errors
    run = Run.objects.filter(method=method).latest("pk")
    assert client.get(answer.url).status_code == 200
    assert run.base == (encoder if method == "classify" else classifier)


def test_an_encoder_decoder_is_fine_tuned_and_stays_one(start, make_model, make_snapshot):
    base = make_model("seq2seq", "reader-writer")
    run = start("sft", base=base, snapshot=make_snapshot(sft_train=2))
    finish(run, engine_result(run))
    run.refresh_from_db()
    assert (run.output.kind, run.output.model) == ("seq2seq", base.model)
    with pytest.raises(Invalid, match="DPO needs a language model"):
        start("dpo", base=base, snapshot=make_snapshot(preference_train=2))


def test_an_imported_encoder_is_registered_as_one(start):
    run = start("import", hyperparameters={"source": {"kind": "tiny", "family": "encoder"}})
    finish(run, engine_result(run, metrics={"source": "tiny", "id": "tiny-encoder", "kind": "encoder"}))
    run.refresh_from_db()
    assert (run.output.kind, run.output.model.slug) == ("encoder", "tiny-encoder")


def test_an_encoder_decoder_answers_prompts_and_is_measured(cast, start, base, make_model):
    """KL is asked for against what it was taught from, not against a language model, which writes other tokens."""
    taught_from = make_model("seq2seq", "reader-writer")
    taught = make_model("seq2seq", "taught", parent=taught_from)
    make_prompt(cast.project, held_out=True)
    judge = make_model("reward", "judge")
    assert start("generate", base=taught, prompts="held_out").job.spec["version"] == taught.public_id
    asked = {"base": taught, "reward": judge, "prompts": "held_out"}
    models = start("evaluate", baseline=base, **asked).job.spec["models"]
    assert models == {
        "base": taught.public_id,
        "reward_model": judge.public_id,
        "baseline": base.public_id,
        "reference": taught_from.public_id,
    }
    assert start("evaluate", baseline=taught_from, **asked).job.spec["models"]["baseline"] == taught_from.public_id
    assert "reference" not in start("evaluate", base=taught_from, baseline=base).job.spec["models"]
    with pytest.raises(Invalid, match="needs a language model"):
        start("dpo", base=taught)
