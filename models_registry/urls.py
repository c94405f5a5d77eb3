"""The buttons of a version's page. The page itself looks at runs and judgements, so the top floor brings it."""

from django.urls import path

from models_registry import views

urlpatterns = [
    path("versions/<str:version>/verdict", views.judge, name="version-verdict"),
    path("versions/<str:version>/promote", views.promote, name="version-promote"),
    path("versions/<str:version>/roll-back", views.roll_back, name="version-roll-back"),
    path("versions/<str:version>/deploy", views.deploy, name="version-deploy"),
    path("versions/<str:version>/stop", views.stop_serving, name="version-stop"),
]
