"""The labeling page."""

from django.urls import path

from annotation import views

urlpatterns = [
    path("label/", views.label, name="label"),
    path("label/undo", views.undo, name="label-undo"),
    path("label/<str:slot>/submit", views.submit, name="label-submit"),
    path("label/<str:slot>/skip", views.skip, name="label-skip"),
    path("label/<str:slot>/heartbeat", views.heartbeat, name="label-heartbeat"),
    path("label/<str:slot>/draft", views.draft, name="label-draft"),
]
