"""The queue's part of the API."""

from django.urls import path, register_converter

from annotation import api, api_live
from ground.converters import PublicId

register_converter(PublicId, "public_id")

urlpatterns = [
    path("projects/<slug:slug>/tasks", api.Tasks.as_view(), name="api-tasks"),
    path("projects/<slug:slug>/guidelines", api.Guidelines.as_view(), name="api-guidelines"),
    path("projects/<slug:slug>/queue:next", api.QueueNext.as_view(), name="api-queue-next"),
    path("projects/<slug:slug>/queue:live", api_live.QueueLive.as_view(), name="api-queue-live"),
    path("projects/<slug:slug>/export.jsonl", api.Export.as_view(), name="api-export"),
    path("projects/<slug:slug>/annotations/<public_id:annotation>:undo", api.Undo.as_view(), name="api-undo"),
    path("slots/<public_id:slot>:submit", api.Submit.as_view(), name="api-submit"),
    path("slots/<public_id:slot>:skip", api.Skip.as_view(), name="api-skip"),
    path("slots/<public_id:slot>:release", api.Release.as_view(), name="api-release"),
    path("slots/<public_id:slot>:heartbeat", api.Heartbeat.as_view(), name="api-heartbeat"),
]
