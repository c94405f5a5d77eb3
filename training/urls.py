"""This floor's pages."""

from django.urls import path

from training import data_views, loop_views, run_urls

urlpatterns: list[object] = [
    path("", loop_views.project, name="project"),
    path("now/", loop_views.project_now, name="project-now"),
    path("loop/", loop_views.loop, name="loop"),
    path("loop/now/", loop_views.loop_now, name="loop-now"),
    path("data/", data_views.data, name="data"),
    path("data/prompts", data_views.add_prompts, name="data-prompts"),
    path("data/tasks", data_views.make_tasks, name="data-tasks"),
    path("data/freeze", data_views.freeze, name="data-freeze"),
    path("data/snapshots/", data_views.snapshots_now, name="data-snapshots"),
    path("data/snapshots/<str:snapshot>/verify", data_views.verify, name="data-verify"),
    *run_urls.urlpatterns,
]
