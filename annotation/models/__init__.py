"""The rows of the labeling queue, by noun."""

from annotation.models.gold import GoldKey, GoldScore, Standing
from annotation.models.importing import BulkEdit, SavedView, TaskImport
from annotation.models.queue import Group, GroupMember, Lane, Mark, PastLease, Queue, QueueReset, Slot
from annotation.models.review import Case, Ruling, Watched
from annotation.models.said import Annotation, Draft, Skip, Withdrawal
from annotation.models.task import Batch, Candidate, Guideline, Schema, Task
from annotation.models.text import TaskText

__all__ = [
    "Annotation",
    "Batch",
    "BulkEdit",
    "Candidate",
    "Case",
    "Draft",
    "GoldKey",
    "GoldScore",
    "Group",
    "GroupMember",
    "Guideline",
    "Lane",
    "Mark",
    "PastLease",
    "Queue",
    "QueueReset",
    "Ruling",
    "SavedView",
    "Schema",
    "Skip",
    "Slot",
    "Standing",
    "Task",
    "TaskImport",
    "TaskText",
    "Watched",
    "Withdrawal",
]
