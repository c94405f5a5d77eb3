"""What can go wrong between a person and a slot."""

from ground.errors import Conflict, DomainError, Forbidden, Gone, Invalid


class LeaseLost(Conflict):
    """The lease ended and the slot is no longer this actor's."""

    code = "lease_lost"


class NothingToUndo(Conflict):
    code = "nothing_to_undo"


class SchemaChanged(Conflict):
    """The task stands under a newer schema than the one that was answered."""

    code = "schema_changed"


class SchemaOutdated(Conflict):
    """Somebody published another version of the schema that was being edited."""

    code = "schema_outdated"


class Barred(Forbidden):
    """The actor's gold answers were so wrong that a queue hands it nothing."""

    code = "barred"


class KeyReused(Invalid):
    """An idempotency key that stands for something else."""

    code = "key_reused"


class TooLarge(DomainError):
    """A file over the limit of its kind."""

    code = "too_large"
    status = 413


class ChatMoved(Conflict):
    """The conversation went on elsewhere, or does not stand where this request expects it."""

    code = "chat_moved"


class TaskGone(Gone):
    """The task was archived while it was open."""

    code = "task_gone"


class CaseTaken(Conflict):
    """Another reviewer was first, or the case was settled or fell away."""

    code = "case_taken"


class CaseChanged(Conflict):
    """The answers changed while the reviewer looked at them."""

    code = "case_changed"


class OwnWork(Forbidden):
    """Nobody reviews a task they answered."""

    code = "own_work"


class NoRoom(DomainError):
    """The disk is full; nothing of the request was kept."""

    code = "no_room"
    status = 507
