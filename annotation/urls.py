"""The labeling page and the guidelines."""

from django.urls import path

from annotation import views, views_guideline, views_live

urlpatterns = [
    path("label/", views.label, name="label"),
    path("label/undo", views.undo, name="label-undo"),
    path("label/<str:slot>/submit", views.submit, name="label-submit"),
    path("label/<str:slot>/skip", views.skip, name="label-skip"),
    path("label/<str:slot>/heartbeat", views.heartbeat, name="label-heartbeat"),
    path("label/<str:slot>/draft", views.draft, name="label-draft"),
    path("queue/", views_live.queue, name="queue"),
    path("settings/guidelines/", views_guideline.guidelines, name="guidelines"),
]
