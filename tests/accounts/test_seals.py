"""The audit trail is sealed into a chain; whoever changes or removes a sealed event breaks it."""

from typing import Any

import pytest

from accounts.models import Event, EventSeal
from accounts.services import record_event, seal_events, verify_seals

pytestmark = [pytest.mark.store, pytest.mark.django_db]


@pytest.fixture
def chain(cast: Any) -> list[EventSeal]:
    """Two links: what making the cast left, then three events more."""
    first = seal_events()
    for number in range(3):
        record_event(
            project=cast.project, actor=cast.mona, verb="test.done", object_id=f"x{number}", data={"n": number}
        )
    second = seal_events()
    assert first is not None
    assert second is not None
    return [first, second]


def test_an_untouched_chain_has_no_flaw(chain: list[EventSeal]) -> None:
    assert verify_seals() == []
    assert [seal.count for seal in chain[1:]] == [3]
    assert chain[1].previous == chain[0]


def test_nothing_new_makes_no_seal(chain: list[EventSeal]) -> None:
    assert seal_events() is None


def test_a_changed_event_breaks_its_seal(chain: list[EventSeal]) -> None:
    Event.objects.filter(object_id="x1").update(data={"n": 99})
    assert [sentence for sentence in verify_seals() if f"Seal {chain[1].pk} is broken" in sentence]


def test_a_removed_event_breaks_its_seal(chain: list[EventSeal]) -> None:
    Event.objects.filter(object_id="x1").delete()
    assert verify_seals() == [f"Seal {chain[1].pk} was put on 3 events; 2 are there."]


def test_a_link_made_anew_breaks_the_next(chain: list[EventSeal]) -> None:
    EventSeal.objects.filter(pk=chain[0].pk).update(digest="sha256:forged")
    assert len(verify_seals()) == 2


def test_an_event_without_a_seal_is_no_flaw(chain: list[EventSeal], cast: Any) -> None:
    record_event(project=cast.project, actor=cast.mona, verb="test.later", object_id="x9")
    assert verify_seals() == []
