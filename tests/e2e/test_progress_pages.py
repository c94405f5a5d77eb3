"""Every page of something at work says how much of it is done and about how long the rest takes."""

import json
import os
from datetime import timedelta
from pathlib import Path

import pytest

from ground import clock
from jobs import services as jobs
from jobs.models import Job
from tests.e2e.test_runs_and_models import at_work  # noqa: F401
from tests.training.conftest import base, make_model, make_snapshot, own_folders, start  # noqa: F401
from training import preflight, sweeps
from training.models import Run
from training.services import Asked, start_check
from training.sweeps import start_sweep

pytestmark = [pytest.mark.e2e, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def sweeping(cast, start, base, make_snapshot):  # noqa: F811
    """Two of four trials: one took 100 s, one is at work for 40 s."""
    run = start("dpo", base=base, snapshot=make_snapshot(preference_train=3))
    space = {"learning_rate": [1e-4, 1e-3], "epochs": [1.0, 2.0]}
    job = start_sweep(actor=cast.mona, run=run, space=space, budget_device_seconds=3600)
    ago = lambda seconds: clock.now() - timedelta(seconds=seconds)  # noqa: E731
    first, second = (sweeps._child(job, number) for number in (1, 2))
    Job.objects.filter(pk=first.job_id).update(state="succeeded", started_at=ago(200), finished_at=ago(100))
    jobs.claim(job=second.job)
    Job.objects.filter(pk=second.job_id).update(started_at=ago(40))
    jobs.claim(job=job)
    return job


@pytest.fixture
def checking(cast, base, make_snapshot):  # noqa: F811
    """A quarter of the rows was read in a minute."""
    asked = Asked(method="dpo", base=base, snapshot=make_snapshot(preference_train=3))
    job = start_check(actor=cast.mona, project=cast.project, asked=asked)
    folder = preflight.folder_of(job)
    folder.mkdir(parents=True)
    (folder / preflight.PROGRESS).write_text(json.dumps({"read": 250, "rows": 1000, "seconds": 60.0}))
    return job


@pytest.mark.parametrize(("dark", "width"), [(False, 1366), (True, 320)])
def test_what_is_at_work_says_how_far_it_is(cast, sign_in, axe, at_work, sweeping, checking, dark, width):  # noqa: F811
    """12 of 24 steps in a minute leave one; trials of 100 s leave 60 + 100 + 100 s; 750 rows of 1,000 leave three minutes."""
    run, _job = at_work()
    page = sign_in(cast.mona, dark=dark, width=width)
    assert Run.objects.count() == 4
    for path, share, left in (
        ("runs/", "12 / 24", "about 1 minute left"),
        (f"runs/{run.public_id}/", "50 %", "about 1 minute left"),
        ("loop/", "50 %", "about 1 minute left"),
        (f"sweeps/{sweeping.public_id}/", "1 / 4 trials", "about 4 minutes left if all trials run"),
        (f"checks/{checking.public_id}/", "25 %", "about 3 minutes left"),
    ):
        page.goto(f"/p/{cast.project.slug}/{path}")
        page.get_by_text(left).first.wait_for()
        page.get_by_text(share).first.wait_for()
        assert page.locator("main progress").first.bounding_box()["width"] > 40, path
        assert axe(page) == [], path
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
        if os.environ.get("PLUMBLINE_SHOTS"):
            name = f"progress-{path.split('/')[0]}-{len(path)}-{width}.png"
            page.screenshot(path=Path(os.environ["PLUMBLINE_SHOTS"]) / name, full_page=True)
