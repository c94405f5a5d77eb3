"""Live chat: what a person and one or two models said to each other inside a task."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from accounts.models import Actor, Project
from annotation.models.task import Task
from ground.fields import PublicIdField
from ground.models import Row
from models_registry.models import Completion, ModelVersion, Prompt


class Conversation(Row):
    """A person's talk for one question of one task. There is one, whatever happens to the slot meanwhile."""

    public_id = PublicIdField(prefix="cnv")
    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="conversations")
    task = models.ForeignKey(Task, on_delete=models.CASCADE, related_name="conversations")
    actor = models.ForeignKey(Actor, on_delete=models.PROTECT, related_name="conversations")
    question = models.CharField(max_length=80)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["task", "actor", "question"], name="conversation_once")]

    def __str__(self) -> str:
        return self.public_id


class ChatTurn(Row):
    """What the person said, and which reply the talk goes on from. `prompt` is the whole conversation up to here."""

    conversation = models.ForeignKey(Conversation, on_delete=models.CASCADE, related_name="turns")
    index = models.PositiveSmallIntegerField()
    key = models.CharField(max_length=80, help_text="client-made: a retry is the same turn")
    text = models.TextField()
    prompt = models.ForeignKey(Prompt, on_delete=models.PROTECT, related_name="chat_turns")
    choice = models.PositiveSmallIntegerField(null=True, blank=True, help_text="ordinal of the chosen reply")
    strength = models.PositiveSmallIntegerField(null=True, blank=True, help_text="1 slightly, 2 clearly, 3 much")
    chosen_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["conversation", "index"], name="chat_turn_once"),
            models.UniqueConstraint(fields=["conversation", "key"], name="chat_turn_once_per_key"),
            models.CheckConstraint(
                condition=Q(strength=None) | Q(strength__in=[1, 2, 3], choice__isnull=False),
                name="chat_strength_1_to_3_of_a_choice",
            ),
        ]
        ordering = ["index"]


class ChatReply(models.Model):
    """One model's reply to a turn. `ordinal` is the model's place in the question, `place` where the person saw it.

    A gateway that writes it holds `claim` and renews `beat_at`; one that stopped doing so has died, and another may begin anew.
    """

    class State(models.IntegerChoices):
        WAITING = 0, _("waiting")
        WRITING = 1, _("being written")
        DONE = 2, _("done")
        FAILED = 3, _("failed")

    turn = models.ForeignKey(ChatTurn, on_delete=models.CASCADE, related_name="replies")
    ordinal = models.PositiveSmallIntegerField()
    place = models.PositiveSmallIntegerField()
    model = models.CharField(max_length=300, help_text="the name it was asked by")
    sampling = models.JSONField(default=dict)
    version = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    state = models.PositiveSmallIntegerField(choices=State.choices, default=State.WAITING)
    text = models.TextField(blank=True, help_text="what has come so far")
    trouble = models.CharField(max_length=20, blank=True, help_text="why it failed")
    stopping = models.BooleanField(default=False, help_text="the person wants no more of it")
    claim = models.UUIDField(null=True, blank=True)
    beat_at = models.DateTimeField(null=True, blank=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    completion = models.OneToOneField(
        Completion, on_delete=models.PROTECT, null=True, blank=True, related_name="chat_reply"
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["turn", "ordinal"], name="chat_reply_once"),
            models.UniqueConstraint(fields=["turn", "place"], name="chat_reply_once_per_place"),
            models.CheckConstraint(
                condition=Q(state=2, completion__isnull=False) | (~Q(state=2) & Q(completion=None)),
                name="chat_reply_done_iff_completion",
            ),
            models.CheckConstraint(
                condition=Q(state=1, claim__isnull=False, beat_at__isnull=False) | (~Q(state=1) & Q(claim=None)),
                name="chat_reply_claimed_iff_written",
            ),
        ]
        ordering = ["place"]
