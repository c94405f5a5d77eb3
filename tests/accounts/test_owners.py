"""A project never loses its owner, and managers cannot make or unmake one."""

import pytest

from accounts.models import Membership, Role
from accounts.services import add_member
from ground.errors import Conflict, Forbidden

pytestmark = [pytest.mark.django_db, pytest.mark.store]


def test_a_manager_cannot_take_an_owners_role_away(cast):
    with pytest.raises(Forbidden):
        add_member(actor=cast.mona, user=cast.alice.user, role=Role.ANNOTATOR)
    assert Membership.objects.get(actor=cast.alice).role == Role.OWNER


def test_the_last_owner_stays_one_until_there_is_another(cast):
    with pytest.raises(Conflict):
        add_member(actor=cast.alice, user=cast.alice.user, role=Role.MANAGER)
    add_member(actor=cast.alice, user=cast.mona.user, role=Role.OWNER)
    add_member(actor=cast.alice, user=cast.alice.user, role=Role.MANAGER)
    assert Membership.objects.get(actor=cast.alice).role == Role.MANAGER
