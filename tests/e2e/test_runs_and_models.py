"""A manager starts, watches and stops runs, and lets a version serve, by clicks alone."""

from datetime import timedelta
from pathlib import Path

import pytest
from playwright.sync_api import expect

from accounts.services import add_simulated_annotator
from annotation.services.tasks import create_pairwise_tasks
from feedback.services import project_outbox
from ground import clock
from jobs import services as jobs
from jobs.journal import Journal
from jobs.kinds import get_kind
from jobs.models import Job
from models_registry.models import Alias, Deployment, Verdict
from models_registry.services import move_alias, record_evaluation, record_verdict
from tests.factories import make_completion, make_prompt
from tests.feedback.conftest import vote  # noqa: F401
from tests.training.conftest import base, engine_result, make_model, make_snapshot, own_folders, start  # noqa: F401
from training.models import MlflowRun, Run
from training.verdicts import record_verdict_of_people

pytestmark = [pytest.mark.e2e, pytest.mark.django_db(transaction=True)]

DECIDED = {"estimate": 0.78, "low": 0.69, "high": 0.87, "n": 64, "n_prompts": 64, "enough": True}
BOTH = pytest.mark.parametrize(("dark", "width"), [(False, 1366), (True, 390)])


@pytest.fixture
def at_work(start, base, make_snapshot):  # noqa: F811
    """`at_work()`: a DPO run at step 12 of 24, with what its engine has said so far in the database."""

    def begin(steps=12):
        run = start("dpo", base=base, snapshot=make_snapshot(preference_train=3), hyperparameters={"beta": 0.2})
        job = jobs.claim(job=run.job)
        journal = Journal(job, Path(run.folder) / "events.jsonl")
        journal.store(list(said(steps)), 0)
        jobs.renew(job=job, progress=journal.progress)
        Path(run.folder).mkdir(parents=True, exist_ok=True)
        (Path(run.folder) / "launcher.log").write_text("loading the base\nstep 11 loss 0.52\nstep 12 loss 0.51\n")
        return Run.objects.get(pk=run.pk), job

    return begin


def said(steps):
    began = clock.now() - timedelta(seconds=60)
    rows = [("phase", {"name": "starting"}), ("phase", {"name": "training", "step": 0, "steps": 24})]
    for step in range(1, steps + 1):
        curves = {"loss": 0.7 - step / 60, "rewards/margins": step / 20, "rewards/accuracies": 0.5 + step / 40}
        rates = {"learning_rate": 2e-4 * step / 24, "tokens_per_second": 310.0 + step % 3}
        rows.append(
            ("metric", {"step": step, **curves, **rates, "rewards/chosen": step / 30, "rewards/rejected": -step / 60})
        )
    rows.append(("sample", {"step": steps, "prompt_id": "prm_1", "text": "Ask which clause requires it."}))
    for seq, (kind, data) in enumerate(rows, start=1):
        at = began + timedelta(seconds=60 * seq / len(rows))
        yield {"seq": seq, "at": at.isoformat(), "kind": kind, "data": data}


def finish(run, job):
    """What the supervisor does with a result: files first, then the rows."""
    result = get_kind(job.kind).collect(job, engine_result(run))
    jobs.succeed(job=job, result=result)
    return Run.objects.get(pk=run.pk).output


def crown(cast, version):
    verdict = record_verdict(actor=cast.mona, project=cast.project, version=version, outcome="bootstrap")
    move_alias(
        actor=cast.mona, model=version.model, name="champion", version=version, verdict=verdict, expected_generation=0
    )


def compare(cast, version, baseline, rate=DECIDED):
    accuracy = {"estimate": 0.74, "low": 0.66, "high": 0.82, "n": 120, "enough": True}
    metrics = {
        "win_rate": rate,
        "reward_accuracy": accuracy,
        "length_accuracy": {"estimate": 0.58, "low": 0.5, "high": 0.66},
    }
    metrics["kl"] = {"estimate": 4.9, "low": 4.1, "high": 5.7, "n": 64}
    return record_evaluation(
        project=cast.project,
        version=version,
        baseline=baseline,
        judge="ver_0",
        spec={"schema_version": 1},
        metrics=metrics,
    )


def test_an_empty_project_says_where_a_run_and_a_model_begin(cast, sign_in, axe):
    page = sign_in(cast.mona)
    page.goto(f"/p/{cast.project.slug}/models/")
    page.get_by_role("heading", name="No model yet").wait_for()
    assert axe(page) == []
    page.goto(f"/p/{cast.project.slug}/runs/")
    assert axe(page) == []
    page.get_by_role("link", name="Import a base model").click()
    page.get_by_role("heading", name="New run: base model import").wait_for()
    page.get_by_label("Where it comes from").select_option("tiny")
    page.get_by_role("button", name="Start the run").click()
    page.get_by_role("heading", name="Run 1: base model import").wait_for()
    asked = Job.objects.get(kind="import").spec
    assert asked["hyperparameters"] == {"source": {"kind": "tiny", "family": "causal"}}
    assert asked["model"] == cast.project.slug


def test_a_refusal_stands_beside_its_field_in_the_engine_s_words(cast, sign_in, axe, base, make_snapshot):  # noqa: F811
    """With 2 processes a batch of 7 rows cannot be shared out: 7 is no multiple of 2."""
    make_snapshot(preference_train=3)
    page = sign_in(cast.mona)
    page.goto(f"/p/{cast.project.slug}/runs/new/?method=dpo")
    page.get_by_label("Processes").fill("2")
    page.get_by_label("Batch size", exact=True).fill("7")
    page.get_by_label("β").fill("-1")
    page.get_by_role("button", name="Start the run").click()
    page.get_by_text("must be above 0").wait_for()
    assert Run.objects.count() == 0
    page.get_by_label("β").fill("0.3")
    page.get_by_role("button", name="Start the run").click()
    page.get_by_text("must be a multiple of 2").wait_for()
    assert page.get_by_label("Batch size", exact=True).get_attribute("aria-invalid") == "true"
    assert axe(page) == []
    page.get_by_label("Batch size", exact=True).fill("8")
    page.get_by_role("button", name="Start the run").click()
    page.get_by_role("heading", name="Run 1:").wait_for()
    assert Job.objects.get(kind="dpo").spec["hyperparameters"] == {"beta": 0.3}


def test_a_queued_run_is_stopped_by_two_clicks_and_can_be_started_again(cast, sign_in, start, base, make_snapshot):  # noqa: F811
    run = start("dpo", base=base, snapshot=make_snapshot(preference_train=3))
    page = sign_in(cast.mona)
    page.goto(f"/p/{cast.project.slug}/runs/{run.public_id}/")
    page.get_by_text("Run 1 waits for its turn.").wait_for()
    page.keyboard.press("x")
    page.get_by_text("so nothing is lost").wait_for()
    page.get_by_role("button", name="Take it out of the queue").click()
    page.get_by_text("Run 1 was stopped before it began").wait_for()
    run.job.refresh_from_db()
    assert run.job.state == Job.State.CANCELLED
    page.get_by_role("button", name="Start it again").click()
    page.get_by_role("heading", name="Run 2:").wait_for()
    assert Run.objects.get(number=2).job.spec == run.job.spec


def test_a_run_is_watched_to_its_end_without_a_reload(cast, sign_in, at_work):
    run, job = at_work()
    page = sign_in(cast.mona)
    page.goto(f"/p/{cast.project.slug}/runs/{run.public_id}/")
    page.get_by_text("Run 1 is at step 12 of 24; about 1 minute left.").wait_for()
    page.locator("figcaption").get_by_text("Chosen and rejected move apart").wait_for()
    page.locator("details.numbers > summary").first.click()
    page.evaluate("window.stayed = true")
    jobs.renew(job=job, progress={**run.job.progress, "step": 20, "steps": 24})
    page.get_by_text("Run 1 is at step 20 of 24").wait_for()
    assert page.locator("details.numbers[open]").count() == 1, "what was opened stays open"
    page.get_by_label("Search the log").fill("loading")
    expect(page.locator("#log")).to_have_text("loading the base")
    made = finish(run, job)
    page.get_by_role("heading", name=f"It made {made}").wait_for()
    assert page.evaluate("window.stayed") is True
    page.get_by_role("link", name="Open the model").click()
    page.get_by_role("heading", name=str(made), exact=True).wait_for()


def test_a_failed_run_says_what_happened_and_what_helps(cast, sign_in, at_work, axe):
    from jobs.data import Failure

    run, job = at_work()
    jobs.fail(
        job=job, failure=Failure("non_finite_loss", "The loss is not a number at step 12.", "Lower learning_rate.")
    )
    page = sign_in(cast.carol)
    page.goto(f"/p/{cast.project.slug}/runs/{run.public_id}/")
    page.get_by_text("Run 1 failed at step 12.").wait_for()
    page.get_by_text("The loss is not a number at step 12.").wait_for()
    page.get_by_text("Lower learning_rate.").wait_for()
    assert page.get_by_role("button", name="Start it again").count() == 0, "a reviewer looks on"
    assert axe(page) == []


def test_annotators_and_strangers_do_not_see_runs_or_models(cast, sign_in, at_work, base):  # noqa: F811
    run, _job = at_work()
    paths = ("runs/", "runs/new/", f"runs/{run.public_id}/", "models/", f"versions/{base.public_id}/")
    for actor, status in ((cast.bob, 403), (cast.mallory, 404)):
        page = sign_in(actor)
        for path in paths:
            assert page.request.get(f"/p/{cast.project.slug}/{path}").status == status
    own = f"/p/{cast.mallory.project.slug}"
    assert page.request.get(f"{own}/runs/{run.public_id}/").status == 404
    assert page.request.get(f"{own}/versions/{base.public_id}/").status == 404


@BOTH
def test_run_pages_are_clean_by_axe(cast, sign_in, axe, at_work, dark, width):
    run, _job = at_work()
    page = sign_in(cast.mona, dark=dark, width=width)
    for path in ("runs/", "runs/new/", "runs/new/?method=dpo", "runs/new/?method=evaluate", f"runs/{run.public_id}/"):
        page.goto(f"/p/{cast.project.slug}/{path}")
        assert axe(page) == [], path
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path


@BOTH
def test_model_pages_are_clean_by_axe(cast, sign_in, axe, at_work, base, dark, width):  # noqa: F811
    made = finish(*at_work())
    crown(cast, base)
    compare(cast, made, base)
    compare(cast, made, base, {**DECIDED, "low": 0.4, "high": 0.9, "enough": False})
    page = sign_in(cast.mona, dark=dark, width=width)
    for path in ("models/", f"models/{made.model.slug}/", f"versions/{base.public_id}/"):
        page.goto(f"/p/{cast.project.slug}/{path}")
        assert axe(page) == [], path
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path


def test_a_version_becomes_champion_on_its_evidence_and_goes_back_by_clicks(cast, sign_in, at_work, base):  # noqa: F811
    made = finish(*at_work())
    page = sign_in(cast.mona)
    page.goto(f"/p/{cast.project.slug}/versions/{base.public_id}/")
    page.get_by_role("button", name="Let it serve as the first version").click()
    page.get_by_role("button", name="Make it the champion").click()
    page.get_by_text(f"@champion is now {base}").wait_for()

    compare(cast, made, base)
    page.goto(f"/p/{cast.project.slug}/models/{made.model.slug}/")
    page.get_by_role("button", name="Record the verdict").click()
    page.get_by_role("heading", name=f"{made} is better than {base}.").wait_for()
    page.get_by_text(
        "Preferred in 78.0 % of 64 comparisons on 64 prompts; the interval, 69 to 87 %, does not touch"
    ).wait_for()
    page.get_by_role("button", name="Make it the champion").click()
    page.get_by_text(f"@champion is now {made}").wait_for()
    alias = Alias.objects.get(name="champion")
    assert (alias.version, alias.verdict.outcome, alias.generation) == (made, "better", 2)

    page.get_by_text("Roll back to the champion before").click()
    page.get_by_label("Why (kept in the log)").first.fill("It refuses too much.")
    page.get_by_role("button", name="Roll back", exact=True).click()
    page.get_by_text(f"@champion is {base} again").wait_for()
    page.get_by_role("cell", name="It refuses too much.").wait_for()
    alias.refresh_from_db()
    assert alias.version == base


def test_an_undecided_version_serves_only_by_an_override_with_a_reason(cast, sign_in, at_work, base):  # noqa: F811
    made = finish(*at_work())
    crown(cast, base)
    compare(cast, made, base, {**DECIDED, "low": 0.44, "high": 0.9})
    page = sign_in(cast.mona)
    page.goto(f"/p/{cast.project.slug}/versions/{made.public_id}/")
    page.get_by_role("button", name="Record the verdict").click()
    page.get_by_role("heading", name=f"Too few to tell whether {made} is better than {base}.").wait_for()
    assert page.get_by_role("button", name="Make it the champion").count() == 0
    page.get_by_text("Let it serve without the evidence").click()
    page.get_by_role("button", name="Record the override").click()
    page.get_by_text("An override needs a reason.").wait_for()
    page.get_by_text("Let it serve without the evidence").click()
    page.get_by_label("Why (kept in the log)").fill("The old one is gone.")
    page.get_by_role("button", name="Record the override").click()
    page.get_by_role("button", name="Make it the champion").click()
    page.get_by_text(f"@champion is now {made}").wait_for()
    assert Verdict.objects.get(outcome="override").reason == "The old one is gone."


def test_a_champion_that_moved_meanwhile_is_not_moved_again(cast, sign_in, base, at_work):  # noqa: F811
    """The page was drawn at generation 1; by the time of the click the alias stands at 2."""
    made = finish(*at_work())
    crown(cast, base)
    page = sign_in(cast.mona)
    record_verdict(actor=cast.mona, project=cast.project, version=made, outcome="override", reason="Try it.")
    page.goto(f"/p/{cast.project.slug}/versions/{made.public_id}/")
    again = record_verdict(actor=cast.mona, project=cast.project, version=base, outcome="override", reason="Once more.")
    move_alias(actor=cast.mona, model=base.model, name="champion", version=base, verdict=again, expected_generation=1)
    page.get_by_role("button", name="Make it the champion").click()
    page.get_by_text("Somebody moved this alias first; it stands at generation 2.").wait_for()
    assert Alias.objects.get(name="champion").version == base


def test_serving_starts_and_stops_by_clicks(cast, sign_in, base):  # noqa: F811
    page = sign_in(cast.mona)
    page.goto(f"/p/{cast.project.slug}/versions/{base.public_id}/")
    page.get_by_role("button", name="Serve it").click()
    page.get_by_text("is starting behind the gateway").wait_for()
    assert Deployment.objects.get(version=base).wanted
    page.get_by_role("button", name="Stop serving it").click()
    page.get_by_text("is no longer asked").wait_for()
    assert not Deployment.objects.get(version=base).wanted


@pytest.fixture
def round_by_people(cast, base, at_work, vote):  # noqa: F811
    """Ten pairs, twelve simulated annotators: eleven prefer the new version each time, the twelfth the old one."""
    made = finish(*at_work())
    crown(cast, base)
    evaluation = record_evaluation(
        project=cast.project, version=made, baseline=base, judge="people", spec={"schema_version": 1}, metrics={}
    )
    annotators = [
        add_simulated_annotator(actor=cast.alice, external_id=f"s{n}", pseudonym=f"Simulated {n}") for n in range(12)
    ]
    for _ in range(10):
        prompt = make_prompt(cast.project, held_out=True)
        pair = (make_completion(prompt, version=made), make_completion(prompt, version=base))
        task = create_pairwise_tasks(actor=cast.mona, pairs=[pair], overlap=12, evaluation=evaluation)[0]
        for at, annotator in enumerate(annotators):
            vote(task, annotator, "second" if at == 11 else "first")
    project_outbox()
    return made, evaluation


def test_what_people_said_shows_its_simulated_judges_and_becomes_a_verdict(cast, sign_in, round_by_people):
    """110 of 120 judgements prefer the new version: 91.7 %."""
    made, evaluation = round_by_people
    page = sign_in(cast.mona)
    page.goto(f"/p/{cast.project.slug}/versions/{made.public_id}/")
    page.get_by_text("12 simulated annotators").first.wait_for()
    page.get_by_role("cell", name="91.7 %").wait_for()
    page.get_by_role("button", name="Record the people's verdict").click()
    page.get_by_text("Recorded: better.").wait_for()
    page.get_by_text("Judged by 12 simulated annotators.").wait_for()
    verdict = Verdict.objects.get(outcome="better")
    assert verdict.evaluation.spec["evaluation"] == evaluation.public_id
    assert verdict.evidence["win_rate"]["n"] == 120
    assert record_verdict_of_people(actor=cast.mona, evaluation=evaluation).outcome == "better"


@pytest.mark.parametrize(("dark", "width"), [(False, 1366), (True, 320)])
def test_a_run_leads_to_mlflow_and_says_what_is_missing_there(cast, at_work, sign_in, axe, settings, dark, width):
    settings.MLFLOW_URL = "https://mlflow.example.org"
    run, _job = at_work()
    row = MlflowRun.objects.create(run=run, error="ConnectError: All connection attempts failed")
    page = sign_in(cast.mona, dark=dark, width=width)
    page.goto(f"/p/{cast.project.slug}/runs/{run.public_id}/")
    expect(page.locator("#mlflow-error")).to_contain_text("It is not there yet and is tried again. ConnectError")
    there = {"server": settings.MLFLOW_URL, "experiment_id": "3", "mlflow_id": "d7271db763974a1e8ceb916e99e37c4c"}
    MlflowRun.objects.filter(pk=row.pk).update(**there)
    expect(page.locator("#mlflow-error")).to_contain_text("The rest of it was not sent yet")
    link = page.get_by_role("link", name="The run there")
    expect(link).to_have_attribute("href", f"{settings.MLFLOW_URL}/#/experiments/3/runs/{there['mlflow_id']}")
    assert axe(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
