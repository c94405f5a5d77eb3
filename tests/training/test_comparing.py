"""Runs beside one another: only what differs, what ended where, and curves under one look each."""

import pytest
from django.urls import reverse

from ground import clock
from ground.charts import Line
from jobs.models import Job, JobEvent
from training import comparing
from training.pages.runs import spread
from training.panels import MEASURES, panels, together

pytestmark = pytest.mark.django_db


@pytest.fixture
def pair(start, base, make_snapshot):
    """Two DPO runs on one snapshot; the second asks for another β and for the default learning rate by name."""
    snapshot = make_snapshot(preference_train=3)
    first = start("dpo", base=base, snapshot=snapshot)
    second = start("dpo", base=base, snapshot=snapshot, hyperparameters={"beta": 0.3, "epochs": None})
    for run, losses in ((first, (0.7, 0.6)), (second, (0.7, 0.5, 0.4))):
        for step, loss in enumerate(losses, 1):
            say(run, step, "metric", step=step, loss=loss, **{"rewards/margins": step / 10})
    return first, second


def say(run, seq, kind, **data):
    JobEvent.objects.create(job=run.job, seq=seq, at=clock.now(), kind=kind, step=data.get("step"), data=data)


def api_path(cast):
    return f"/api/v1/projects/{cast.project.slug}/runs:compare"


def test_only_settings_that_differ_are_shown_defaults_included(pair):
    """β is 0.1 by default; epochs were asked for as their default, so they are no difference."""
    rows = comparing.differences([comparing.compared(run) for run in pair])
    assert [(row.name, row.values) for row in rows] == [("hyperparameters.beta", [0.1, 0.3])]


def test_a_setting_that_one_method_does_not_have_is_a_difference(pair, start, base, make_snapshot):
    other = start("sft", base=base, snapshot=make_snapshot(sft_train=3))
    found = {
        row.name: row.values for row in comparing.differences([comparing.compared(run) for run in (pair[0], other)])
    }
    assert found["method"] == ["dpo", "sft"]
    assert found["hyperparameters.beta"] == [0.1, None]
    assert found["snapshot"] == [pair[0].snapshot.public_id, other.snapshot.public_id]
    assert "seed" not in found


def test_the_end_is_what_a_run_reported_else_its_last_value(pair):
    Job.objects.filter(pk=pair[1].job_id).update(result={"metrics": {"loss": 0.35, "held": {"n": 4, "ok": True}}})
    pair[1].job.refresh_from_db()
    rows = {row.name: row.values for row in comparing.finals([comparing.compared(run) for run in pair])}
    assert rows == {"loss": [0.6, 0.35], "rewards/margins": [0.2, 0.3], "held.n": [None, 4]}


def test_each_run_keeps_its_line_where_another_has_none():
    """The second run logs no KL and the first no reward: their lines keep place and name."""
    found = together([("Run 1", {"loss": [(1, 0.5)], "kl": [(1, 0.1)]}), ("Run 2", {"loss": [(1, 0.4)]})])
    assert [panel.title for panel in found] == ["Loss", "KL divergence"]
    assert [[line.name for line in panel.chart.legend] for panel in found] == [["Run 1", "Run 2"]] * 2
    assert [column.title for column in found[1].chart.numbers.columns] == ["step", "Run 1", "Run 2"]
    assert found[1].chart.numbers.rows == (("1", "0.1", "–"),)


@pytest.mark.parametrize("measure", MEASURES, ids=lambda measure: measure.names[0])
def test_every_measure_is_drawn_under_each_of_its_names(measure):
    for name in measure.names:
        (panel,) = panels({name: [(step, 0.25 * step) for step in range(1, 4)]})
        assert panel.title
        assert "%s" not in panel.title
        assert len(panel.chart.numbers.rows) == 3


def test_a_small_learning_rate_is_drawn_in_millionths():
    """2e-5 is 20 millionths, which the labels can write."""
    measure = next(one for one in MEASURES if one.names == ("learning_rate",))
    panel = measure.draw("Learning rate", [Line("a", [(1, 2e-5), (2, None)])])
    assert panel.chart.numbers.rows == (("1", "20"), ("2", "–"))
    assert panel.subtitle == "In millionths, a step."


def test_the_api_compares_in_the_order_asked_for(cast, api, pair):
    first, second = (run.public_id for run in pair)
    answer = api(cast.mona).get(api_path(cast), {"runs": f"{second},{first},{second}"}).json()
    assert answer["runs"] == [second, first]
    assert answer["differences"] == [{"name": "hyperparameters.beta", "values": [0.3, 0.1]}]
    assert answer["finals"][0] == {"name": "loss", "values": [0.4, 0.6]}
    assert answer["series"][first]["loss"] == [[1, 0.7], [2, 0.6]]


def test_seven_runs_and_somebody_elses_are_refused(cast, api, pair):
    client = api(cast.mona)
    refused = client.get(api_path(cast), {"runs": ",".join(f"run_{n}" for n in range(7))})
    assert (refused.status_code, refused.json()["hint"]) == (422, "Compare up to 6.")
    theirs = f"/api/v1/projects/{cast.mallory.project.slug}/runs:compare"
    assert api(cast.mallory).get(theirs, {"runs": pair[0].public_id}).status_code == 404
    assert client.get(api_path(cast)).status_code == 400


def test_the_page_shows_names_for_ids_and_lets_choose_with_fewer_than_two(
    cast, client, pair, start, make_model, make_snapshot
):
    client.force_login(cast.carol.user)
    path = reverse("runs-compare", args=[cast.project.slug])
    other = start("dpo", base=make_model(name="other"), snapshot=make_snapshot(preference_train=2))
    page = client.get(path, {"runs": [pair[0].public_id, other.public_id]}).content.decode()
    assert str(other.base) in page
    assert other.base.public_id not in page.split("Settings that differ")[1]
    assert "Leave out run 1" in page
    choosing = client.get(path, {"runs": pair[0].public_id}).content.decode()
    assert f'value="{pair[0].public_id}" checked' in choosing
    assert f'value="{other.public_id}">' in choosing
    assert client.get(path, {"runs": [f"run_{n}" for n in range(7)]}).status_code == 422


def test_the_list_and_the_page_of_a_run_lead_to_the_comparison(cast, client, pair):
    client.force_login(cast.carol.user)
    path = reverse("runs-compare", args=[cast.project.slug])
    assert f'action="{path}"' in client.get(reverse("runs", args=[cast.project.slug])).content.decode()
    page = client.get(reverse("run", args=[cast.project.slug, pair[0].public_id])).content.decode()
    assert f'href="{path}?runs={pair[0].public_id}"' in page


def test_texts_at_the_same_prompts_stand_by_prompt_and_step(cast, client, api, pair):
    """Step 2 was run again after a resume: its second account counts."""
    run = pair[0]
    for seq, (step, text) in enumerate([(0, "Before."), (2, "Lost."), (2, "Kept."), (4, "Last")], 10):
        say(run, seq, "sample", step=step, prompt="Bread?", text=text, fixed=True, ended=text.endswith("."))
    say(run, 20, "sample", step=4, prompt="Other", text="Free.")
    (told,) = api(cast.mona).get(f"/api/v1/projects/{cast.project.slug}/runs/{run.public_id}/samples").json()["results"]
    assert told["prompt"] == "Bread?"
    assert [(one["step"], one["text"], one["ended"]) for one in told["texts"]] == [
        (0, "Before.", True), (2, "Kept.", True), (4, "Last", False),
    ]  # fmt: skip
    client.force_login(cast.carol.user)
    page = client.get(reverse("run", args=[cast.project.slug, run.public_id])).content.decode()
    same, free = page.split("The same prompts as it learns")[1].split("What it writes")
    assert "Kept." in same
    assert "Last…" in same
    assert "Free." not in same
    assert "Free." in free
    assert "Kept." not in free.split("</section>")[0]


def test_of_many_texts_the_first_the_last_and_some_between_are_shown():
    texts = spread({"Bread?": list(range(22))})["Bread?"]
    assert texts == [0, 3, 6, 9, 12, 15, 18, 21]
