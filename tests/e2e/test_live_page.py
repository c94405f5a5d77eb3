"""The queue as it is now, in the browser."""

import pytest

from annotation.services.slots import take_next
from annotation.services.tasks import create_pairwise_tasks
from tests.factories import make_completion, make_prompt

pytestmark = [pytest.mark.e2e, pytest.mark.django_db(transaction=True)]


@pytest.mark.parametrize(("dark", "width"), [(False, 1366), (True, 390)])
def test_a_manager_sees_who_holds_what_and_what_waits(cast, live_server, sign_in, axe, dark, width):
    prompts = [make_prompt(cast.project) for _ in range(3)]
    pairs = [(make_completion(prompt), make_completion(prompt)) for prompt in prompts]
    create_pairwise_tasks(actor=cast.mona, pairs=pairs, overlap=2)
    take_next(actor=cast.bob)
    page = sign_in(cast.mona, dark=dark, width=width)
    page.goto(f"{live_server.url}/p/{cast.project.slug}/queue/")
    assert "1 task is in somebody’s hands" in page.inner_text("main")
    assert page.locator("table tbody tr").first.inner_text().startswith(str(cast.bob))
    assert axe(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
