"""Queues and their lanes, the slots that make overlap a fact, and who may take them."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from accounts.models import Actor, Project
from annotation.filters import check_conditions
from annotation.models.task import Batch, Task
from ground.fields import PublicIdField, VersionedJSONField
from ground.models import Row


class Group(Row):
    """A named set of people: a team, or everybody with a skill or a language. Its id is a pool that lanes can be kept for."""

    class Kind(models.TextChoices):
        TEAM = "team", _("team")
        SKILL = "skill", _("skill")
        LANGUAGE = "language", _("language")

    public_id = PublicIdField(prefix="grp")
    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="groups")
    kind = models.CharField(max_length=10, choices=Kind.choices, default=Kind.TEAM)
    name = models.CharField(max_length=80)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "kind", "name"], name="group_name_once")]
        ordering = ["kind", "name"]

    def __str__(self) -> str:
        return self.name


class GroupMember(Row):
    group = models.ForeignKey(Group, on_delete=models.CASCADE, related_name="members", db_index=False)
    actor = models.ForeignKey(Actor, on_delete=models.CASCADE, related_name="groups")
    by_queue = models.ForeignKey(
        "annotation.Queue", on_delete=models.SET_NULL, null=True, blank=True, related_name="+", db_index=False
    )

    class Meta:
        constraints = [models.UniqueConstraint(fields=["group", "actor"], name="group_member_once")]


def no_conditions() -> dict[str, object]:
    return {"schema_version": 1, "all": []}


class Queue(Row):
    """Which tasks are offered to whom, in which order, and how those who answer are checked.

    A task is filed in the first queue, by position, whose filter it passes. What it asks of people (who may work here, what
    gold must be right) is read when a slot is claimed; what it asks of tasks when they are filed.
    """

    class State(models.IntegerChoices):
        RUNNING = 0, _("running")
        PAUSED = 1, _("paused")
        ARCHIVED = 2, _("archived")

    class Order(models.TextChoices):
        FIFO = "fifo", _("first in, first out")
        RANDOM = "random", _("random")
        METADATA = "metadata", _("by a metadata value")
        SCORE = "score", _("by how much an answer would teach")

    MAIN = "main"

    public_id = PublicIdField(prefix="que")
    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="queues")
    name = models.SlugField(max_length=80)
    position = models.PositiveSmallIntegerField(default=100, help_text="queues are tried in this order, low first")
    filter = VersionedJSONField(check=check_conditions, default=no_conditions)
    group = models.ForeignKey(Group, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    order = models.CharField(max_length=10, choices=Order.choices, default=Order.FIFO)
    order_key = models.CharField(max_length=80, blank=True, help_text="the metadata value tasks are ordered by")
    descending = models.BooleanField(default=True, help_text="greatest value first")
    breadth_first = models.BooleanField(default=True, help_text="every task's first answer before any task's second")
    reserved_group = models.ForeignKey(Group, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    reserved_slots = models.PositiveSmallIntegerField(default=0, help_text="slots of each task kept for that group")

    gold_rate = models.FloatField(default=0, help_text="share of gold tasks among those handed out")
    gold_feedback = models.BooleanField(default=False, help_text="say at once whether a gold answer was right")
    judged_over = models.PositiveSmallIntegerField(default=20, help_text="latest gold answers that are looked at")
    warn_below = models.FloatField(null=True, blank=True)
    pause_below = models.FloatField(null=True, blank=True)
    block_below = models.FloatField(null=True, blank=True)
    qualifies_for = models.ForeignKey(
        Group, on_delete=models.PROTECT, null=True, blank=True, related_name="+", help_text="joined by whoever passes"
    )
    pass_after = models.PositiveSmallIntegerField(default=10, help_text="gold answers that make the test")
    pass_share = models.FloatField(default=0.8, help_text="share of them that must be right")

    review_below = models.FloatField(null=True, blank=True, help_text="agreement below which a task is reviewed")
    review_flags = models.BooleanField(default=True, help_text="review tasks that somebody flagged")
    review_rate = models.FloatField(default=0, help_text="share of complete tasks that are reviewed anyhow")
    state = models.PositiveSmallIntegerField(choices=State.choices, default=State.RUNNING)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["project", "name"], name="queue_name_once"),
            models.CheckConstraint(
                condition=Q(gold_rate__gte=0, gold_rate__lte=1, review_rate__gte=0, review_rate__lte=1),
                name="queue_rates_0_to_1",
            ),
            models.CheckConstraint(
                condition=Q(reserved_group=None, reserved_slots=0) | Q(reserved_group__isnull=False),
                name="queue_reserves_for_a_group",
            ),
        ]
        ordering = ["position", "id"]

    def __str__(self) -> str:
        return self.name

    @property
    def is_test(self) -> bool:
        """Whether this queue exists to let people in elsewhere: it hands out gold alone."""
        return self.qualifies_for_id is not None


class Lane(models.Model):
    """A coarse rank of slots. Inside a lane `seq` only grows, so what lies behind an annotator's mark needs no second look.

    A lane never changes, so it tells for ever why a slot stood where it stood.
    """

    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="lanes")
    queue = models.ForeignKey(Queue, on_delete=models.PROTECT, related_name="lanes")
    batch = models.ForeignKey(Batch, on_delete=models.PROTECT, null=True, blank=True, related_name="lanes")
    pool_id = models.BigIntegerField(default=0, help_text="0 everybody, a group's id, minus an actor's id")
    order = models.CharField(max_length=10, default=Queue.Order.FIFO)
    priority = models.PositiveSmallIntegerField(default=5)
    returned = models.BooleanField(default=False, help_text="holds slots that came back")
    round = models.PositiveSmallIntegerField(default=0, help_text="breadth first: the how-manieth answers of its tasks")
    sort = models.PositiveIntegerField(help_text="lanes of a queue are tried in this order")
    sensitive = models.BooleanField(default=False, help_text="holds tasks that nobody meets unasked")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["queue", "batch", "pool_id", "order", "sort", "sensitive"],
                condition=Q(batch__isnull=False),
                name="lane_once_in_batch",
            ),
            models.UniqueConstraint(
                fields=["queue", "pool_id", "order", "sort", "sensitive"], condition=Q(batch=None), name="lane_once"
            ),
        ]


class Slot(models.Model):
    """One of the `overlap` places of a task. Its public id is the task's with the ordinal behind it."""

    class State(models.IntegerChoices):
        OPEN = 0, _("open")
        LEASED = 1, _("leased")
        DONE = 2, _("done")
        PARKED = 3, _("parked")
        HELD = 4, _("held")
        CLOSED = 5, _("closed")

    task = models.ForeignKey(Task, on_delete=models.CASCADE, related_name="slots", db_index=False)
    lane = models.ForeignKey(Lane, on_delete=models.PROTECT, related_name="+", db_index=False)
    ordinal = models.PositiveSmallIntegerField()
    seq = models.BigIntegerField(help_text="fresh each time the slot opens")
    state = models.PositiveSmallIntegerField(choices=State.choices, default=State.OPEN)
    actor = models.ForeignKey(
        Actor, on_delete=models.PROTECT, null=True, blank=True, related_name="slots", db_index=False
    )
    lease_token = models.UUIDField(null=True, blank=True)
    lease_expires_at = models.DateTimeField(
        null=True, blank=True, help_text="of a parked slot: kept for its actor till then"
    )
    leased_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["task", "ordinal"], name="slot_once"),
            models.UniqueConstraint(
                fields=["task", "actor"], condition=Q(actor__isnull=False), name="slot_once_per_actor"
            ),
            models.CheckConstraint(
                condition=Q(state__in=[0, 4], actor=None) | Q(state__in=[1, 2, 3], actor__isnull=False) | Q(state=5),
                name="slot_open_iff_no_actor",
            ),
            models.CheckConstraint(
                condition=Q(state=1, lease_token__isnull=False, lease_expires_at__isnull=False)
                | (~Q(state=1) & Q(lease_token=None)),
                name="slot_lease_iff_leased",
            ),
        ]
        indexes = [
            models.Index(fields=["lane", "seq"], condition=Q(state=0), name="slot_open"),
            models.Index(fields=["lease_expires_at"], condition=Q(state__in=[1, 3]), name="slot_lease_expiry"),
            models.Index(fields=["actor"], condition=Q(state__in=[1, 3]), name="slot_held"),
            models.Index(fields=["lane", "seq"], condition=Q(state=4), name="slot_beyond_budget"),
        ]

    @property
    def public_id(self) -> str:
        return f"slt_{self.task.public_id.removeprefix('tsk_')}_{self.ordinal}"


class PastLease(models.Model):
    """A lease that ended without an answer that counts. With the slot's own row it tells of every claim there ever was."""

    class Ending(models.TextChoices):
        EXPIRED = "expired", _("expired")
        SKIPPED = "skipped", _("skipped")
        UPSET = "upset", _("set aside because it upset them")
        RELEASED = "released", _("given back")
        RETRACTED = "retracted", _("answered, then retracted")

    slot = models.ForeignKey(Slot, on_delete=models.CASCADE, related_name="past")
    actor = models.ForeignKey(Actor, on_delete=models.CASCADE, related_name="+")
    lane = models.ForeignKey(Lane, on_delete=models.PROTECT, related_name="+", db_index=False)
    seq = models.BigIntegerField()
    leased_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField()
    ending = models.CharField(max_length=10, choices=Ending.choices)


class Mark(models.Model):
    """How far an actor has come in a lane."""

    actor = models.ForeignKey(Actor, on_delete=models.CASCADE, related_name="+", db_index=False)
    lane = models.ForeignKey(Lane, on_delete=models.CASCADE, related_name="+")
    seq = models.BigIntegerField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["actor", "lane"], name="mark_once")]


class QueueReset(models.Model):
    """When an actor's marks were last put back to the start: at most once a minute, when the queue seemed empty."""

    actor = models.OneToOneField(Actor, on_delete=models.CASCADE, related_name="+", primary_key=True)
    at = models.DateTimeField()
