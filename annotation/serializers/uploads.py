"""Shapes of uploads."""

from rest_framework import serializers

from ground.api import StrictSerializer


class NewUploadSerializer(StrictSerializer):
    file = serializers.FileField(allow_empty_file=True, help_text="a picture, a sound, a film, or WebVTT captions")
    name = serializers.CharField(max_length=200, required=False, help_text="else the file's own")


class KeptUploadSerializer(serializers.Serializer):
    id = serializers.CharField(help_text="what a task's data names")
    kind = serializers.CharField()
    media_type = serializers.CharField(help_text="what the bytes are, whatever the sender called them")
    name = serializers.CharField(allow_blank=True)
    bytes = serializers.IntegerField()
    sha256 = serializers.CharField()
    width = serializers.IntegerField(allow_null=True, help_text="pixels")
    height = serializers.IntegerField(allow_null=True, help_text="pixels")
    seconds = serializers.FloatField(allow_null=True)
    by = serializers.CharField()
    created_at = serializers.DateTimeField()
