"""What this process handed out to holders of tokens a moment ago, with everything an answer to it needs.

Nothing here is trusted: the statement that writes the answer looks by itself whether token, lease and task still stand.
"""

from collections import OrderedDict
from datetime import datetime
from typing import Any

from accounts.authentication import LAST_USED_PRECISION
from accounts.models import ApiToken
from annotation.data import Claim
from annotation.models import Slot, Task
from ground import clock
from ground.dialect import is_postgresql

MOST_REMEMBERED = 10_000


class Handed:
    """A slot in the hands of a token's actor, as it was when it was handed out."""

    __slots__ = ("access", "actor", "lease", "slot", "until")

    def __init__(self, access: ApiToken, claim: Claim, until: datetime) -> None:
        content = claim.content
        assert content is not None
        self.access, self.actor, self.lease, self.until = access, access.actor, claim.token, until
        known = {
            "id": claim.task_id,
            "public_id": content.task_id,
            "project_id": access.project_id,
            "schema_id": content.schema_id,
            "prompt_id": content.prompt_id,
            "purpose": Task.Purpose.PRODUCTION,
            "state": Task.State.OPEN,
        }
        # What is not known stays deferred, so nobody takes a field's default for the truth.
        self.slot = Slot.from_db("default", ["id"], [claim.slot_id])
        self.slot.task = Task.from_db("default", list(known), list(known.values()))


_handed: OrderedDict[tuple[str, str], Handed] = OrderedDict()


def remember(access: Any, slot_id: str, claim: Claim, until: datetime | None = None) -> None:
    """Note what a token was given. Gold comes without content and is not: its answers need a second look."""
    if not isinstance(access, ApiToken) or claim.content is None or not is_postgresql():
        return
    # No longer than a token's last use may go unnoted.
    _handed[access.digest, slot_id] = Handed(access, claim, until or clock.now() + LAST_USED_PRECISION)
    while len(_handed) > MOST_REMEMBERED:
        _handed.popitem(last=False)


def recall(digest: str, slot_id: str) -> Handed | None:
    found = _handed.get((digest, slot_id))
    return found if found is not None and found.until > clock.now() else None


def forget(digest: str, slot_id: str) -> None:
    _handed.pop((digest, slot_id), None)


def forget_all() -> None:
    _handed.clear()
