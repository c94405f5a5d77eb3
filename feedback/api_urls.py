"""This floor's part of the API."""

from django.urls import path

from feedback import api

PROJECT = "projects/<slug:slug>"

urlpatterns = [
    path(f"{PROJECT}/snapshots", api.Snapshots.as_view(), name="api-snapshots"),
    path(f"{PROJECT}/snapshots/<str:snapshot>:verify", api.SnapshotVerify.as_view(), name="api-snapshot-verify"),
    path(f"{PROJECT}/snapshots/<str:snapshot>/rows", api.SnapshotRows.as_view(), name="api-snapshot-rows"),
    path(f"{PROJECT}/snapshots/<str:snapshot>/files/<str:name>", api.SnapshotFile.as_view(), name="api-snapshot-file"),
    path(f"{PROJECT}/snapshots/<str:snapshot>", api.SnapshotOne.as_view(), name="api-snapshot"),
    path(f"{PROJECT}/feedback", api.SentFeedback.as_view(), name="api-feedback"),
    path(f"{PROJECT}/evaluations/<str:evaluation>/win-rate", api.HumanWinRate.as_view(), name="api-win-rate"),
]
