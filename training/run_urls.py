"""Pages of runs and of models."""

from django.urls import path

from training import model_views, views

urlpatterns = [
    path("runs/", views.runs, name="runs"),
    path("runs/new/", views.new_run, name="new-run"),
    path("runs/<str:run>/", views.run, name="run"),
    path("runs/<str:run>/live", views.run_live, name="run-live"),
    path("runs/<str:run>/log", views.run_log, name="run-log"),
    path("runs/<str:run>/stop", views.stop_run, name="run-stop"),
    path("runs/<str:run>/again", views.repeat_run, name="run-again"),
    path("models/", model_views.models, name="models"),
    path("models/<slug:model>/", model_views.model, name="model"),
    path("versions/<str:version>/", model_views.version, name="version"),
    path("versions/<str:version>/people-verdict", model_views.judge_by_people, name="version-people-verdict"),
]
