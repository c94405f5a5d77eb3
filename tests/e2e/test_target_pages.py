"""An owner says where runs may go, and a manager sends one there, by clicks alone."""

import pytest

from tests.training.conftest import base, make_model, make_snapshot, own_folders  # noqa: F401
from training.models import Run, Target

pytestmark = [pytest.mark.e2e, pytest.mark.django_db(transaction=True)]


def test_an_owner_adds_a_cluster_and_a_manager_sends_a_run_there(cast, sign_in, axe, base, make_snapshot):  # noqa: F811
    make_snapshot(sft_train=3)
    page = sign_in(cast.alice)
    page.goto(f"/p/{cast.project.slug}/runs/")
    page.get_by_role("link", name="Where runs may go").click()
    page.get_by_text("None yet: every run goes to this machine.").wait_for()
    page.get_by_role("link", name="Add: hosts over ssh").click()
    page.get_by_label("Name", exact=True).fill("lab")
    page.get_by_label("Hosts").fill("node-a slots=1\nnode-b $(reboot)")
    page.get_by_role("button", name="Keep it").click()
    page.get_by_text("is not `address slots=number`").wait_for()
    assert axe(page) == []
    page.get_by_label("Hosts").fill("node-a slots=1\nnode-b slots=1")
    page.get_by_role("button", name="Keep it").click()
    page.get_by_role("cell", name="node-a slots=1, node-b slots=1").wait_for()
    assert Target.objects.get().settings == {"schema_version": 1, "hosts": ["node-a slots=1", "node-b slots=1"]}

    page = sign_in(cast.mona)
    page.goto(f"/p/{cast.project.slug}/targets/")
    page.get_by_text("Only an owner may add one").wait_for()
    page.goto(f"/p/{cast.project.slug}/runs/new/?method=sft")
    page.get_by_label("Where it runs").select_option(label="lab")
    page.get_by_label("Processes").fill("1")
    page.get_by_role("button", name="Start the run").click()
    page.get_by_text("must be 2, the slots of the target's hosts").wait_for()
    page.get_by_label("Processes").fill("2")
    page.get_by_role("button", name="Start the run").click()
    page.get_by_role("heading", name="Run 1:").wait_for()
    assert Run.objects.get().settings["target"] == Target.objects.get().public_id


@pytest.mark.parametrize(("dark", "width"), [(False, 1366), (True, 390)])
def test_target_pages_are_clean_by_axe(cast, sign_in, axe, dark, width):
    from training.targets import create_target

    create_target(actor=cast.alice, project=cast.project, name="lab", kind="slurm", settings={"nodes": 2, "gpus": 8})
    page = sign_in(cast.alice, dark=dark, width=width)
    for path in ("targets/", "targets/?kind=hosts", "targets/?kind=slurm", "targets/?kind=kubernetes"):
        page.goto(f"/p/{cast.project.slug}/{path}")
        assert axe(page) == [], path
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
    page.goto(f"/p/{cast.project.slug}/targets/")
    page.get_by_role("button", name="Retire lab").click()
    page.get_by_text("No new run goes there.").wait_for()
