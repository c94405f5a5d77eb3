"""The life of a slot: leased, answered, skipped, parked, given back, undone."""

from annotation.services.slots.answering import answer_handed, submit_answer
from annotation.services.slots.claiming import take_next
from annotation.services.slots.leases import expire_leases, heartbeat, keep_waiting, release, save_draft
from annotation.services.slots.returning import REVIEWED, UPSETTING, retract, skip, undo, unskip

__all__ = [
    "REVIEWED",
    "UPSETTING",
    "answer_handed",
    "expire_leases",
    "heartbeat",
    "keep_waiting",
    "release",
    "retract",
    "save_draft",
    "skip",
    "submit_answer",
    "take_next",
    "undo",
    "unskip",
]
