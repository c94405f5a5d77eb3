"""This floor's pages."""

from django.urls import path

from training import run_urls
from training.views import data, loop

urlpatterns: list[object] = [
    path("", loop.project, name="project"),
    path("now/", loop.project_now, name="project-now"),
    path("loop/", loop.loop, name="loop"),
    path("loop/now/", loop.loop_now, name="loop-now"),
    path("data/", data.data, name="data"),
    path("data/prompts", data.add_prompts, name="data-prompts"),
    path("data/tasks", data.make_tasks, name="data-tasks"),
    path("data/freeze", data.freeze, name="data-freeze"),
    path("data/snapshots/", data.snapshots_now, name="data-snapshots"),
    path("data/snapshots/<str:snapshot>/verify", data.verify, name="data-verify"),
    *run_urls.urlpatterns,
]
