"""A manager sees every row as the run would read it, is stopped by what is wrong, and starts it with a reason."""

from pathlib import Path

import pytest

from jobs import services
from jobs.inprocess import run_in_process
from jobs.models import Job
from tests.training.conftest import make_snapshot, own_folders, start  # noqa: F401
from tests.training.test_preflight import leaking, snapshot_of, sound, tiny, tiny_folder  # noqa: F401
from training import preflight
from training.models import Run
from training.services import Asked, start_check

pytestmark = [pytest.mark.e2e, pytest.mark.django_db(transaction=True)]


def test_a_check_stops_at_a_leak_and_a_reason_starts_the_run(cast, sign_in, axe, tiny, leaking):  # noqa: F811
    page = sign_in(cast.mona)
    page.goto(f"/p/{cast.project.slug}/runs/new/?method=sft")
    page.get_by_role("button", name="Check the data first").click()
    page.get_by_text("Every row is being read").wait_for()
    assert axe(page) == []
    job = Job.objects.get(kind=preflight.KIND)
    assert not Run.objects.exists()
    run_in_process(services.claim(job=job))
    page.get_by_text("4 of 4 rows will be learned from; what is marked below stops the run.").wait_for()
    row = page.get_by_role("row").filter(has_text="Prompt is held out")
    row.get_by_text("1 of 4").wait_for()
    row.get_by_text("stops the run").wait_for()
    assert page.locator("ins.token.learned").first.inner_text() == "W", "the first learned token begins the response"
    page.get_by_role("button", name="Start it anyway").click()
    assert not Run.objects.exists(), "a reason is required"
    page.get_by_label("Why it may start anyway").fill("The held-out prompt is retired.")
    page.get_by_role("button", name="Start it anyway").click()
    page.get_by_role("heading", name="Run 1:").wait_for()
    assert Run.objects.get().settings["preflight"] == {"override": "The held-out prompt is retired."}


@pytest.mark.parametrize(("dark", "width"), [(False, 1366), (True, 390)])
def test_the_preflight_page_is_clean_by_axe(cast, sign_in, axe, tiny, leaking, dark, width):  # noqa: F811
    asked = Asked(method="sft", base=tiny, snapshot=leaking)
    job = start_check(actor=cast.mona, project=cast.project, asked=asked)
    run_in_process(services.claim(job=job))
    page = sign_in(cast.mona, dark=dark, width=width)
    page.goto(f"/p/{cast.project.slug}/checks/{job.public_id}/")
    assert axe(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.goto(f"/p/{cast.project.slug}/runs/new/?method=sft")
    assert axe(page) == []


def test_a_run_shows_its_preflight_to_reviewers_and_to_nobody_else(cast, sign_in, start, tiny, sound):  # noqa: F811
    run = start("sft", base=tiny, snapshot=sound)
    preflight.inspect(run.job)
    assert (Path(run.folder) / "preflight.json").exists()
    page = sign_in(cast.carol)
    page.goto(f"/p/{cast.project.slug}/runs/{run.public_id}/")
    page.get_by_role("link", name="See what it reads").click()
    page.get_by_text("12 of 12 rows will be learned from; nothing is wrong with them.").wait_for()
    assert page.get_by_role("button", name="Start").count() == 0
    path = f"/p/{cast.project.slug}/runs/{run.public_id}/preflight/"
    for actor, status in ((cast.bob, 403), (cast.mallory, 404)):
        assert sign_in(actor).request.get(path).status == status
