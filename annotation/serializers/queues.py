"""Shapes of the API of queues, groups, assignments, scores and claims."""

from typing import Any

from rest_framework import serializers

from annotation.models import Group, Queue
from ground.api import StrictSerializer

MOST_TASKS = 10_000
_SHARE: dict[str, Any] = {"min_value": 0, "max_value": 1}


class QueueInSerializer(StrictSerializer):
    """Settings of a queue. Groups are named by id; null takes one away."""

    name = serializers.SlugField(max_length=80)
    position = serializers.IntegerField(
        min_value=0, max_value=32_767, help_text="queues are tried in this order, low first"
    )
    filter = serializers.JSONField(help_text='{"schema_version": 1, "all": [{"field", "op", "value"}]}')
    group = serializers.CharField(max_length=60, allow_null=True, help_text="only its members may work here")
    order = serializers.ChoiceField(choices=Queue.Order.choices)
    order_key = serializers.CharField(
        max_length=80, allow_blank=True, help_text="the metadata value tasks are ordered by"
    )
    descending = serializers.BooleanField()
    breadth_first = serializers.BooleanField(help_text="every task's first answer before any task's second")
    reserved_group = serializers.CharField(max_length=60, allow_null=True)
    reserved_slots = serializers.IntegerField(min_value=0, max_value=64)
    gold_rate = serializers.FloatField(**_SHARE)
    gold_feedback = serializers.BooleanField()
    judged_over = serializers.IntegerField(min_value=1, max_value=1000)
    warn_below = serializers.FloatField(allow_null=True, **_SHARE)
    pause_below = serializers.FloatField(allow_null=True, **_SHARE)
    block_below = serializers.FloatField(allow_null=True, **_SHARE)
    qualifies_for = serializers.CharField(max_length=60, allow_null=True, help_text="joined by whoever passes the test")
    pass_after = serializers.IntegerField(min_value=1, max_value=1000)
    pass_share = serializers.FloatField(**_SHARE)
    review_below = serializers.FloatField(allow_null=True, **_SHARE)
    review_flags = serializers.BooleanField()
    review_rate = serializers.FloatField(**_SHARE)


class QueueOutSerializer(QueueInSerializer):
    id = serializers.CharField()
    state = serializers.CharField(help_text="running, paused or archived")
    warnings = serializers.ListField(child=serializers.CharField(), help_text="what keeps tasks or people waiting")


class QueueChangedSerializer(QueueOutSerializer):
    refiling = serializers.BooleanField(help_text="a job files waiting tasks anew")


class GroupInSerializer(StrictSerializer):
    name = serializers.CharField(max_length=80)
    kind = serializers.ChoiceField(choices=Group.Kind.choices, default=Group.Kind.TEAM)


class GroupRenameSerializer(StrictSerializer):
    name = serializers.CharField(max_length=80)


class GroupOutSerializer(serializers.ModelSerializer[Group]):
    id = serializers.CharField(source="public_id")
    members = serializers.SerializerMethodField(help_text="ids of actors")

    class Meta:
        model = Group
        fields = ["id", "name", "kind", "members", "created_at"]

    def get_members(self, group: Group) -> list[str]:
        return [row.actor.public_id for row in group.members.all()]


class MemberSerializer(StrictSerializer):
    actor = serializers.CharField(max_length=60, help_text="id of somebody who works in the project")


class AssignSerializer(StrictSerializer):
    """`person` or `group`, by id; neither gives the tasks back to everybody."""

    tasks = serializers.ListField(child=serializers.CharField(max_length=60), min_length=1, max_length=MOST_TASKS)
    person = serializers.CharField(max_length=60, required=False, allow_null=True)
    group = serializers.CharField(max_length=60, required=False, allow_null=True)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if attrs.get("person") and attrs.get("group"):
            raise serializers.ValidationError("Send a person or a group, not both.")
        return attrs


class AssignedSerializer(serializers.Serializer):
    moved = serializers.IntegerField()
    short = serializers.IntegerField(help_text="tasks that want more answers than there are people to give them")


class ScoreSerializer(StrictSerializer):
    task = serializers.CharField(max_length=60)
    score = serializers.FloatField(allow_null=True, help_text="how much an answer would teach; greater comes first")


class ScoresSerializer(StrictSerializer):
    scores = ScoreSerializer(many=True, max_length=MOST_TASKS)  # type: ignore[call-arg]


class ScoredSerializer(serializers.Serializer):
    scored = serializers.IntegerField()


class WhySerializer(serializers.Serializer):
    queue = serializers.CharField()
    order = serializers.ChoiceField(choices=Queue.Order.choices)
    priority = serializers.IntegerField()
    round = serializers.IntegerField(help_text="breadth first: how many answers come before this one")
    returned = serializers.BooleanField(help_text="somebody had it before and it came back")
    pool = serializers.ChoiceField(choices=["own", "group", "everybody"])
    group = serializers.CharField(allow_null=True)
    batch = serializers.CharField(allow_null=True)
    sentence = serializers.CharField()
    place = serializers.IntegerField(allow_null=True, help_text="number in its lane; managers only")


class ClaimSerializer(serializers.Serializer):
    slot = serializers.CharField()
    actor = serializers.CharField(allow_null=True, help_text="managers only")
    leased_at = serializers.DateTimeField(allow_null=True)
    ending = serializers.ChoiceField(
        choices=["in_hand", "kept", "answered", "expired", "skipped", "released", "retracted"]
    )
    ended_at = serializers.DateTimeField(allow_null=True)
    queue = serializers.CharField()
