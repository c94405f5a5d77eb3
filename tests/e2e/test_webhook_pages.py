"""An owner makes a webhook, tries it and reads what came of it, by clicks alone."""

import ipaddress

import pytest

from jobs import delivering
from jobs.dispatch import wake
from jobs.models import Delivery, Job, Webhook
from tests.jobs.receiver import receiving

pytestmark = [pytest.mark.e2e, pytest.mark.django_db(transaction=True)]


def send():
    delivering.start_if_due()
    for job in Job.objects.waiting():
        wake(job.public_id)


@pytest.fixture
def sent():
    """Django's sending in a thread of its own: the browser's driver holds this one's event loop."""
    from concurrent.futures import ThreadPoolExecutor

    def in_thread():
        from django.db import connection

        try:
            send()
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        yield lambda: pool.submit(in_thread).result()


@pytest.mark.parametrize(("dark", "width"), [(False, 1366), (True, 320)])
def test_an_owner_makes_tries_pauses_and_removes_a_webhook(cast, sign_in, axe, settings, sent, dark, width):
    settings.WEBHOOK_NETWORKS = [ipaddress.ip_network("127.0.0.1/32")]
    page = sign_in(cast.alice, dark=dark, width=width)

    def clean():
        assert axe(page) == []
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")

    page.goto(f"/p/{cast.project.slug}/settings/")
    page.get_by_role("link", name="Webhooks").click()
    page.get_by_text("None yet: nobody outside is told.").wait_for()
    page.get_by_label("Address").fill("https://192.168.0.1/hook")
    page.get_by_role("button", name="Make the webhook").click()
    page.get_by_text("is in a private network").wait_for()
    clean()
    with receiving() as receiver:
        page.get_by_label("Address").fill(receiver.url)
        page.get_by_role("button", name="Make the webhook").click()
        assert page.get_by_label("Secret", exact=True).input_value() == Webhook.objects.get().secret
        clean()
        receiver.statuses = [500]
        page.get_by_role("button", name="Send a test").click()
        page.get_by_text("A test is on its way.").wait_for()
        sent()
        page.reload()
        page.get_by_text("The receiver answered 500.").wait_for()
        clean()
        page.get_by_role("button", name=f"Send {Delivery.objects.get().public_id} again").click()
        page.get_by_text("It is sent again under the same id.").wait_for()
        sent()
        page.reload()
        page.get_by_text("delivered", exact=True).wait_for()
    page.get_by_role("button", name=f"Pause {receiver.url}").click()
    page.get_by_text("It is told nothing until it goes on.").wait_for()
    clean()
    page.get_by_role("button", name=f"Remove {receiver.url}").click()
    page.get_by_text("None yet: nobody outside is told.").wait_for()
    assert page.get_by_label("Secret", exact=True).count() == 0


def test_a_manager_sees_webhooks_and_cannot_make_one(cast, sign_in):
    page = sign_in(cast.mona)
    page.goto(f"/p/{cast.project.slug}/webhooks/")
    page.get_by_text("Only an owner may add one").wait_for()
    assert page.get_by_role("button", name="Make the webhook").count() == 0
