"""A manager closes the loop by clicks and keys alone, with a real worker, real supervisors and the real launcher.

The overview's button leads from each step to the next, so the test also holds that it never leads astray. The model is
tiny and untrained: whether it gets better is not the question here.
"""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from annotation.models import Annotation, Task
from feedback.models import Snapshot
from jobs.models import Job
from models_registry.models import Alias, Deployment, Prompt
from tests.jobs.processes import Fleet, wait_for
from training.models import Run

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 480_000
"""Milliseconds for a run on a slow machine; on two idle cores the longest takes half a minute."""
THINGS = ["a lamp", "rain", "bread", "a door", "a song", "the sea", "a hill", "ink"]
PROMPTS = [f"Write one sentence about {thing}." for thing in THINGS]
pytestmark = [
    pytest.mark.e2e,
    pytest.mark.launcher,
    pytest.mark.timeout(1500),
    pytest.mark.django_db(transaction=True),
]


@pytest.fixture
def house(transactional_db):
    """Tick and worker on the test's database."""
    fleet = Fleet(OMP_NUM_THREADS="1", PLUMBLINE_JOB_LEASE_SECONDS="20", TEST_BROKER_URL="filesystem://")
    fleet.manage("tick")
    fleet.manage("worker", "--concurrency=2")
    yield fleet
    fleet.end()


@pytest.fixture
def tiny(tmp_path):
    subprocess.run([sys.executable, "-m", "training.engine.tiny", str(tmp_path / "tiny")], check=True, cwd=ROOT)
    return tmp_path / "tiny"


class Manager:
    """Mona at her browser. `follow("Freeze a snapshot")` waits until the overview offers that, then presses it."""

    def __init__(self, page, slug):
        self.page, self.slug = page, slug
        page.set_default_timeout(60_000)

    def follow(self, action):
        self.page.goto(f"/p/{self.slug}/")
        offer = self.page.locator("#next-step", has_text=action)
        offer.wait_for(timeout=PATIENCE)
        with self.page.expect_navigation():
            offer.click()

    def fill(self, **fields):
        closed = self.page.locator("form details:not([open]) > summary")
        while closed.count():
            closed.first.click()
        for name, value in fields.items():
            self.page.locator(f"[name={name}]").fill(str(value))

    def start(self, **fields):
        """Fill the form of a new run, start it, and watch it succeed."""
        self.fill(**fields)
        self.page.locator("#start").click()
        self.page.wait_for_url(re.compile("/runs/run_"))
        self.page.locator("[data-state=succeeded], [data-state=failed]").wait_for(timeout=PATIENCE)
        run = Run.objects.select_related("job").latest("number")
        assert run.job.state == Job.State.SUCCEEDED, run.job.error
        return run

    def press(self, name):
        self.page.get_by_role("button", name=name).click()


def test_a_manager_closes_the_loop_by_clicks_alone(cast, sign_in, house, tiny):
    mona = Manager(sign_in(cast.mona), cast.project.slug)
    bring_prompts(mona)
    bring_base(mona, tiny)
    write_and_judge(mona)
    freeze(mona)
    policy = train(mona)
    decide(mona, policy)
    serve(mona, policy)
    judge_the_next_round(mona)


def bring_prompts(mona):
    """Every second prompt is held out: four and four."""
    mona.follow("Import prompts")
    mona.fill(rows="\n".join(PROMPTS), every_nth=2)
    mona.press("Import")
    mona.page.get_by_text("8 new prompts.").wait_for()
    assert Prompt.objects.filter(held_out=True).count() == 4


def bring_base(mona, tiny):
    mona.follow("Bring in a base model")
    mona.page.locator("[name=source]").select_option("path")
    mona.start(source_path=tiny, model_slug="assistant")
    mona.follow("Make it the champion")
    mona.page.locator("#bootstrap").click()
    mona.page.locator("#promote").click()
    mona.page.get_by_text("assistant@champion is now assistant@1.").wait_for()


def write_and_judge(mona):
    """Two responses to the four training prompts make four pairs, each judged once, by key."""
    mona.follow("Write responses")
    mona.start(hp_samples_per_prompt=2, hp_max_new_tokens=12)
    mona.follow("Make tasks")
    mona.fill(overlap=1)
    mona.press("Make tasks")
    mona.page.get_by_text("4 tasks are in the queue.").wait_for()
    mona.follow("Label")
    label(mona.page, 4)


def label(page, count):
    for done in range(1, count + 1):
        page.keyboard.press("1")
        page.keyboard.press("e")
        page.wait_for_function("n => document.querySelector('[data-count]').textContent === String(n)", arg=done)
    assert Annotation.objects.counted().count() == count


def freeze(mona):
    """Two of the four prompts are for testing: which ones follows from their texts and the seed alone."""
    mona.follow("Freeze a snapshot")
    mona.fill(test_share=50, seed=2)
    mona.press("Freeze a snapshot")
    mona.page.get_by_role("heading", name="Snapshot 1").wait_for(timeout=PATIENCE)
    rows = {name: entry["rows"] for name, entry in Snapshot.objects.get().files.items()}
    assert rows["preference_train.jsonl"] == 2
    assert rows["preference_test.jsonl"] == 2


def train(mona):
    """DPO with two processes under DeepSpeed, the reward model with one.

    The large steps make the new version write other words than its base: of equal texts no pair is made.
    """
    mona.follow("Train with DPO")
    run = mona.start(hp_max_steps=4, hp_batch_size=2, hp_lora_r=0, hp_learning_rate=0.01, par_world_size=2)
    assert (run.job.result["launcher"], run.job.result["world_size"]) == ("deepspeed", 2)
    mona.follow("Train a reward model")
    mona.start(hp_max_steps=2, hp_batch_size=2, par_world_size=1, model_slug="judge")
    return run.output


def decide(mona, policy):
    """Measured on four held-out prompts, which is too few to tell: she overrides, with a reason."""
    mona.follow("Evaluate it")
    mona.start(hp_max_new_tokens=12)
    mona.follow("Decide")
    mona.page.locator("#record-verdict").click()
    mona.page.get_by_text("Recorded:").wait_for()
    assert policy.verdicts.count() == 1
    if not mona.page.locator("#promote").is_visible():
        mona.page.locator("#override").click()
        mona.page.locator("#why-override").fill("To let people judge it.")
        mona.page.locator("#override-now").click()
        mona.page.get_by_text("Recorded: overridden.").wait_for()
    mona.page.locator("#promote").click()
    mona.page.get_by_text(f"assistant@champion is now {policy}.").wait_for()
    assert Alias.objects.get(name="champion").version == policy


def serve(mona, policy):
    mona.follow("Serve it")
    mona.page.locator("#deploy").click()
    mona.page.get_by_text(f"{policy} is starting behind the gateway.").wait_for()
    assert Deployment.objects.get(wanted=True).version == policy


def judge_the_next_round(mona):
    """The move of the champion made both write again; blind pairs of the two come into the queue by themselves."""
    wait_for(lambda: Task.objects.filter(evaluation__judge="people").exists(), PATIENCE / 1000)
    mona.page.goto(f"/p/{mona.slug}/label/")
    mona.page.keyboard.press("1")
    mona.page.keyboard.press("e")
    wait_for(lambda: Annotation.objects.counted().filter(task__evaluation__judge="people").exists())
    mona.page.goto(f"/p/{mona.slug}/loop/")
    mona.page.get_by_role("row", name="assistant@2 assistant@1").wait_for()
