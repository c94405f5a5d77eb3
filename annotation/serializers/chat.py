"""Shapes of live chat."""

from django.utils.translation import gettext as _
from rest_framework import serializers

from annotation.questions.chat import LONGEST_MESSAGE, PLACES
from ground.api import StrictSerializer

NEXT = ("opening", "message", "replies", "retry", "choice", "full", "closed")


class Message(serializers.CharField):
    """Text, as it was sent: a number is not turned into it."""

    def to_internal_value(self, data: object) -> str:
        if not isinstance(data, str):
            raise serializers.ValidationError(_("Expected text."))
        return super().to_internal_value(data)


class NewConversationSerializer(StrictSerializer):
    question = serializers.CharField(max_length=80, help_text="name of the chat question")


class SendSerializer(StrictSerializer):
    """`after` and `seen` guard against a second window: how many turns the client knows, and which reply it goes on from."""

    text = Message(
        max_length=LONGEST_MESSAGE,
        default="",
        allow_blank=True,
        trim_whitespace=False,
        help_text="empty for the first turn of a task with a prompt: that is its last message",
    )
    after = serializers.IntegerField(min_value=0, required=False)
    seen = serializers.ChoiceField(PLACES, required=False, allow_null=True)


class TurnSerializer(StrictSerializer):
    turn = serializers.IntegerField(min_value=0, max_value=1000)


class ChooseSerializer(TurnSerializer):
    choice = serializers.ChoiceField(PLACES, help_text="the place of the reply the conversation goes on from")
    strength = serializers.IntegerField(min_value=1, max_value=3, required=False, allow_null=True, default=None)
    was = serializers.ChoiceField(
        PLACES, required=False, allow_null=True, help_text="the choice the client knows; null: none yet"
    )


class ReplySerializer(serializers.Serializer):
    """`ticket` stands on a reply that is not there yet: POST it as the body of `gateway`, and it streams as server-sent events."""

    place = serializers.ChoiceField(PLACES)
    state = serializers.ChoiceField(["waiting", "writing", "done", "failed"])
    text = serializers.CharField(help_text="what has come so far")
    trouble = serializers.ChoiceField(
        ["", "down", "busy", "refused", "interrupted", "stopped"], help_text="why it failed, the same for every model"
    )
    cut_off = serializers.BooleanField(help_text="it ends before the model was done")
    ticket = serializers.CharField(required=False, help_text="short-lived; the conversation gives a new one")
    ordinal = serializers.IntegerField(required=False, help_text="to managers: the model's place in the question")
    model = serializers.CharField(required=False, help_text="to managers")
    sampling = serializers.JSONField(required=False, help_text="to managers")
    completion = serializers.CharField(required=False, allow_null=True, help_text="to managers")
    version = serializers.CharField(required=False, allow_null=True, help_text="to managers")
    finish_reason = serializers.CharField(required=False, help_text="to managers")
    milliseconds = serializers.IntegerField(required=False, allow_null=True, help_text="to managers")


class ChatTurnSerializer(serializers.Serializer):
    index = serializers.IntegerField()
    user = serializers.CharField()
    choice = serializers.ChoiceField(PLACES, allow_null=True)
    strength = serializers.IntegerField(allow_null=True)
    replies = ReplySerializer(many=True)


class ConversationSerializer(serializers.Serializer):
    """Models stand nowhere by name while the person talks."""

    id = serializers.CharField()
    task = serializers.CharField()
    question = serializers.CharField()
    sides = serializers.IntegerField(help_text="how many models reply")
    next = serializers.ChoiceField(NEXT, help_text="what the conversation waits for")
    turns_min = serializers.IntegerField()
    turns_max = serializers.IntegerField()
    gateway = serializers.CharField(help_text="where tickets are taken")
    turns = ChatTurnSerializer(many=True)
