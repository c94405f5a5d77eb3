"""Runs are ticked in the list and shown beside one another."""

import pytest

from jobs import services as jobs
from tests.e2e.test_every_page import keep
from tests.e2e.test_runs_and_models import at_work  # noqa: F401
from tests.training.conftest import base, make_model, make_snapshot, own_folders, start  # noqa: F401

pytestmark = [pytest.mark.e2e, pytest.mark.django_db(transaction=True)]


def test_ticked_runs_are_compared_and_ticks_outlive_the_renewal_of_the_list(cast, sign_in, axe, at_work):  # noqa: F811
    (first, job), (second, _job) = at_work(12), at_work(8)
    page = sign_in(cast.mona)
    page.goto(f"/p/{cast.project.slug}/runs/")
    page.get_by_label("Compare run 1").check()
    page.evaluate("document.querySelector('#runs-live tbody').dataset.old = 'yes'")
    jobs.renew(job=job, progress={**first.job.progress, "step": 20, "steps": 24})
    page.locator("#runs-live tbody:not([data-old])").wait_for()
    assert page.get_by_label("Compare run 1").is_checked()
    page.get_by_label("Compare run 2").check()
    page.get_by_role("button", name="Compare the ticked runs").click()
    page.get_by_role("heading", name="Runs compared").wait_for()
    page.locator("figcaption").get_by_text("Loss", exact=True).wait_for()
    page.get_by_role("heading", name="Settings that differ").wait_for()
    for dark, width in ((False, 1366), (True, 1366), (False, 390), (True, 390)):
        page.emulate_media(color_scheme="dark" if dark else "light", reduced_motion="reduce")
        page.set_viewport_size({"width": width, "height": 900})
        assert axe(page) == []
        assert not page.evaluate("document.documentElement.scrollWidth > innerWidth + 1")
        keep(page, f"compare-{'dark' if dark else 'light'}-{width}")
    page.get_by_role("link", name="Leave out run 2").click()
    assert page.locator(f"input[value={first.public_id}]").is_checked()
    assert not page.locator(f"input[value={second.public_id}]").is_checked()
