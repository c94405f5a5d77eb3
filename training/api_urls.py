"""This floor's part of the API."""

from django.urls import path

from training import api

RUNS = "projects/<slug:slug>/runs"

urlpatterns = [
    path("methods", api.Methods.as_view(), name="api-methods"),
    path("projects/<slug:slug>/loop", api.Loop.as_view(), name="api-loop"),
    path(RUNS, api.Runs.as_view(), name="api-runs"),
    path(f"{RUNS}/<slug:run>:cancel", api.RunCancel.as_view(), name="api-run-cancel"),
    path(f"{RUNS}/<slug:run>/metrics", api.RunMetrics.as_view(), name="api-run-metrics"),
    path(f"{RUNS}/<slug:run>/log", api.RunLog.as_view(), name="api-run-log"),
    path(f"{RUNS}/<slug:run>", api.OneRun.as_view(), name="api-run"),
]
