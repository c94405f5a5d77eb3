"""Pre-training from start to version: corpora by name, tasks, and what the version remembers."""

import json
from pathlib import Path

import pytest
from django.urls import reverse

from ground.errors import Invalid
from jobs.errors import JobError
from jobs.kinds import get_kind
from tests.training.conftest import engine_result, finish
from training.engine.files import read_jsonl
from training.engine.spec import load
from training.models import Run

pytestmark = pytest.mark.django_db


@pytest.fixture
def corpus(cast, settings, tmp_path):
    settings.CORPORA = tmp_path / "corpora"
    folder = settings.CORPORA / cast.project.slug / "news"
    (folder / "old").mkdir(parents=True)
    (folder / "old" / "one.txt").write_text("Ein Text.\nZweite Zeile.")
    (folder / "two.jsonl").write_text(json.dumps({"text": "Two"}) + "\n\n" + json.dumps({"text": "Three"}) + "\n")
    (folder / "notes.md").write_text("not read")
    return folder


def texts_of(run):
    get_kind("pretrain").prepare(run.job)
    return list(read_jsonl(Path(run.folder) / "data" / "texts.jsonl"))


def test_a_corpus_is_read_by_its_name(start, base, corpus):
    rows = texts_of(start("pretrain", base=base, texts="corpus:news"))
    assert rows == [
        {"id": "old/one.txt", "text": "Ein Text.\nZweite Zeile."},
        {"id": "two.jsonl:1", "text": "Two"},
        {"id": "two.jsonl:3", "text": "Three"},
    ]


@pytest.mark.parametrize("name", ["nothing", "../news", "news/old", "", "."])
def test_only_the_projects_own_corpora_can_be_named(start, base, corpus, name):
    outside = corpus.parent.parent / "elsewhere"
    outside.mkdir()
    (outside / "secret.txt").write_text("secret")
    with pytest.raises(Invalid, match="There is no corpus") as refused:
        start("pretrain", base=base, texts=f"corpus:{name}")
    assert "Known: news" in refused.value.hint


def test_a_corpus_is_nothing_to_predict(start, make_model, corpus):
    with pytest.raises(Invalid, match="reads tasks"):
        start("predict", base=make_model("classifier"), texts="corpus:news")


def test_a_bad_line_is_named(start, base, corpus):
    (corpus / "two.jsonl").write_text('{"text": "fine"}\n{"txt": 1}\n')
    with pytest.raises(JobError, match="line 2") as refused:
        texts_of(start("pretrain", base=base, texts="corpus:news"))
    assert refused.value.failure.code == "bad_corpus"


def test_the_version_remembers_what_was_read(start, base, corpus):
    run = start("pretrain", base=base, texts="corpus:news", hyperparameters={"tokenizer": "train"}, model_slug="house")
    texts_of(run)
    finish(run, engine_result(run))
    run.refresh_from_db()
    digest = load(Path(run.folder) / "spec.json").data["texts"].sha256
    assert run.output.lineage["texts"] == {"corpus": "news", "digest": digest, "rows": 3}
    assert (run.output.kind, str(run.output)) == ("causal", "house@1")


def test_it_starts_from_its_page_and_by_the_api(cast, client, api, base, corpus):
    client.force_login(cast.mona.user)
    path = reverse("new-run", args=[cast.project.slug])
    form = client.get(path, {"method": "pretrain"}).context["form"]
    shown = {name: form[name].value() for name in form.fields}
    said = {name: value for name, value in shown.items() if value not in (None, "") and value is not False}
    assert said["texts"] == "corpus:news"
    said |= {"method": "pretrain", "par_world_size": 1, "par_zero_stage": 0, "hp_start": "scratch", "hp_layers": 2}
    answer = client.post(path, said)
    assert answer.status_code == 302, answer.context["form"].errors
    run = Run.objects.get()
    assert (run.job.spec["corpus"], run.settings["hyperparameters"]) == ("news", {"start": "scratch", "layers": 2})
    body = {"method": "pretrain", "base": base.public_id, "texts": "corpus:news"}
    assert api(cast.mona).post(f"/api/v1/projects/{cast.project.slug}/runs", body).status_code == 202
