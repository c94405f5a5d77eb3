"""Shapes of imports, the data browser, bulk edits and saved views."""

from typing import Any

from rest_framework import serializers

from annotation.browsing import LONGEST_SEARCH, MOST_PAGE, PAGE, SORTS
from annotation.models import BulkEdit, SavedView
from annotation.services.views import MOST_COLUMNS
from ground.api import StrictSerializer

TEMPLATES = ("labels", "pairwise")


class ImportOptionsSerializer(StrictSerializer):
    """Either `schema`, the name of one the project has, or `template` with its question (and options, for labels)."""

    schema = serializers.CharField(max_length=80, required=False)
    template = serializers.ChoiceField(TEMPLATES, required=False)
    question = serializers.CharField(max_length=500, required=False)
    options = serializers.ListField(child=serializers.CharField(max_length=80), required=False, max_length=200)
    multiple = serializers.BooleanField(default=False, help_text="labels: more than one may hold")
    overlap = serializers.IntegerField(min_value=1, max_value=64, default=1)
    priority = serializers.IntegerField(min_value=0, max_value=9, default=5)
    batch = serializers.CharField(max_length=60, required=False, help_text="batch id")
    filename = serializers.CharField(max_length=200, required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if ("schema" in attrs) == ("template" in attrs):
            raise serializers.ValidationError("Send either schema or template.")
        return attrs


class UploadSerializer(ImportOptionsSerializer):
    file = serializers.FileField(help_text="JSON lines")


class ImportSerializer(serializers.Serializer):
    id = serializers.CharField()
    job = serializers.CharField(allow_null=True)
    state = serializers.CharField()
    error = serializers.JSONField(allow_null=True)
    filename = serializers.CharField(allow_blank=True)
    schema = serializers.CharField()
    batch = serializers.CharField(allow_null=True)
    overlap = serializers.IntegerField()
    priority = serializers.IntegerField()
    bytes = serializers.IntegerField()
    bytes_read = serializers.IntegerField()
    lines = serializers.IntegerField()
    made = serializers.IntegerField()
    known = serializers.IntegerField(help_text="their external id has a task already")
    wrong = serializers.IntegerField()
    can_resume = serializers.BooleanField()
    created_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField(allow_null=True)


class BrowseSerializer(StrictSerializer):
    """How tasks are asked for in a URL. `filter` is JSON: `[{"field", "op", "value"}, …]`."""

    filter = serializers.CharField(default="", allow_blank=True, max_length=20_000)
    search = serializers.CharField(max_length=LONGEST_SEARCH, default="", allow_blank=True)
    sort = serializers.ChoiceField(SORTS, default="-id")
    after = serializers.CharField(max_length=60, default="", allow_blank=True, help_text="the cursor `next` of a page")
    before = serializers.CharField(max_length=60, default="", allow_blank=True, help_text="the cursor `previous`")
    limit = serializers.IntegerField(min_value=1, max_value=MOST_PAGE, default=PAGE)
    count = serializers.BooleanField(default=False, help_text="count them too, at a bounded cost")


class TaskRowSerializer(serializers.Serializer):
    id = serializers.CharField()
    external_id = serializers.CharField(allow_blank=True)
    title = serializers.CharField()
    state = serializers.CharField()
    purpose = serializers.CharField()
    resolution = serializers.CharField()
    queue = serializers.CharField()
    batch = serializers.CharField(allow_null=True)
    schema = serializers.CharField()
    priority = serializers.IntegerField()
    overlap = serializers.IntegerField()
    done = serializers.IntegerField()
    agreement = serializers.FloatField(allow_null=True)
    score = serializers.FloatField(allow_null=True)
    metadata = serializers.JSONField()
    created_at = serializers.DateTimeField()


class BoundSerializer(serializers.Serializer):
    number = serializers.IntegerField()
    more = serializers.BooleanField(help_text="there are more than that")
    among = serializers.IntegerField(help_text="0: of all; else only of the newest this many")


class TaskPageSerializer(serializers.Serializer):
    results = TaskRowSerializer(many=True)
    next = serializers.CharField(allow_null=True, help_text="cursor for `after`")
    previous = serializers.CharField(allow_null=True, help_text="cursor for `before`")
    incomplete = serializers.BooleanField(help_text="the time was up before the page was full; `next` looks on")
    count = BoundSerializer(allow_null=True)
    not_searchable = serializers.IntegerField(help_text="new tasks whose words are not found yet")


class AnswerSerializer(serializers.Serializer):
    id = serializers.CharField()
    who = serializers.CharField(help_text="a pseudonym for managers, a number for reviewers")
    actor_kind = serializers.CharField()
    at = serializers.DateTimeField()
    answers = serializers.JSONField()
    display_order = serializers.JSONField()
    seconds = serializers.FloatField(allow_null=True)
    guideline = serializers.CharField(allow_null=True)
    counted = serializers.BooleanField()
    settlement = serializers.BooleanField()
    standing = serializers.CharField(help_text="counted, surplus, undo, retraction, review, settlement, replaced")
    why = serializers.CharField(allow_blank=True)


class TaskSerializer(TaskRowSerializer):
    """A task with everything about it."""

    assigned_to = serializers.CharField(allow_null=True)
    deletion = serializers.CharField(allow_null=True)
    data = serializers.JSONField()  # type: ignore[assignment]
    prompt = serializers.JSONField()
    candidates = serializers.JSONField()
    gold_answers = serializers.JSONField(allow_null=True)
    answers = AnswerSerializer(many=True)
    drafts = serializers.IntegerField()
    skips = serializers.IntegerField()
    slots = serializers.JSONField()
    claims = serializers.JSONField()
    cases = serializers.JSONField()


class QuerySerializer(StrictSerializer):
    query = serializers.JSONField(help_text="`{all: conditions, search}` or `{ids: [task ids]}`")


class NewEditSerializer(QuerySerializer):
    kind = serializers.ChoiceField(BulkEdit.Kind.choices)
    value = serializers.JSONField(required=False, allow_null=True, default=None)


class CountSerializer(serializers.Serializer):
    count = serializers.IntegerField()


class EditSerializer(serializers.Serializer):
    id = serializers.CharField()
    job = serializers.CharField(allow_null=True)
    state = serializers.CharField()
    error = serializers.JSONField(allow_null=True)
    kind = serializers.CharField()
    value = serializers.JSONField(allow_null=True)
    query = serializers.JSONField()
    changed = serializers.IntegerField()
    kept = serializers.IntegerField(help_text="could not be changed as far as asked")
    can_undo = serializers.BooleanField()
    created_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField(allow_null=True)
    undone_at = serializers.DateTimeField(allow_null=True)
    purged_at = serializers.DateTimeField(allow_null=True)


class RetractSerializer(StrictSerializer):
    reason = serializers.CharField(max_length=2000)


class NewViewSerializer(StrictSerializer):
    name = serializers.CharField(max_length=80)
    query = serializers.JSONField(default=dict)
    sort = serializers.ChoiceField(SORTS, default="-id")
    columns = serializers.ListField(
        child=serializers.CharField(max_length=200), default=list, max_length=MOST_COLUMNS, help_text="metadata keys"
    )
    shared = serializers.BooleanField(default=False)


class ViewSerializer(serializers.ModelSerializer[SavedView]):
    id = serializers.CharField(source="public_id")
    by = serializers.CharField(source="actor.pseudonym")

    class Meta:
        model = SavedView
        fields = ["id", "name", "query", "shared", "by", "created_at"]
