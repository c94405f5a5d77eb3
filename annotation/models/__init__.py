"""The rows of the labeling queue, by noun."""

from annotation.models.chat import ChatReply, ChatTurn, Conversation
from annotation.models.flow import Exposure, GuidelineRead, Note, SensitiveChoice, SensitiveLimit
from annotation.models.gold import GoldKey, GoldScore, Standing
from annotation.models.importing import BulkEdit, SavedView, TaskImport
from annotation.models.queue import Group, GroupMember, Lane, Mark, PastLease, Queue, QueueReset, Slot
from annotation.models.review import Case, Ruling, Watched
from annotation.models.said import Annotation, Draft, Skip, Withdrawal
from annotation.models.task import Batch, Candidate, Guideline, Schema, Task
from annotation.models.text import TaskText
from annotation.models.upload import Upload

__all__ = [
    "Annotation",
    "Batch",
    "BulkEdit",
    "Candidate",
    "Case",
    "ChatReply",
    "ChatTurn",
    "Conversation",
    "Draft",
    "Exposure",
    "GoldKey",
    "GoldScore",
    "Group",
    "GroupMember",
    "Guideline",
    "GuidelineRead",
    "Lane",
    "Mark",
    "Note",
    "PastLease",
    "Queue",
    "QueueReset",
    "Ruling",
    "SavedView",
    "Schema",
    "SensitiveChoice",
    "SensitiveLimit",
    "Skip",
    "Slot",
    "Standing",
    "Task",
    "TaskImport",
    "TaskText",
    "Upload",
    "Watched",
    "Withdrawal",
]
