"""What can go wrong between a person and a slot."""

from ground.errors import Conflict, Gone


class LeaseLost(Conflict):
    """The lease ended and the slot is no longer this actor's."""

    code = "lease_lost"


class NothingToUndo(Conflict):
    code = "nothing_to_undo"


class TaskGone(Gone):
    """The task was archived while it was open."""

    code = "task_gone"
