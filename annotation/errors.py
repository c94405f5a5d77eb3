"""What can go wrong between a person and a slot."""

from ground.errors import Conflict, Forbidden, Gone, Invalid


class LeaseLost(Conflict):
    """The lease ended and the slot is no longer this actor's."""

    code = "lease_lost"


class NothingToUndo(Conflict):
    code = "nothing_to_undo"


class Barred(Forbidden):
    """The actor's gold answers were so wrong that a queue hands it nothing."""

    code = "barred"


class KeyReused(Invalid):
    """An idempotency key that stands for something else."""

    code = "key_reused"


class TaskGone(Gone):
    """The task was archived while it was open."""

    code = "task_gone"
