"""Projects, members and tokens in the API."""

from django.urls import path

from accounts import api

urlpatterns = [
    path("me", api.Me.as_view(), name="api-me"),
    path("projects", api.Projects.as_view(), name="api-projects"),
    path("projects/<slug:slug>", api.OneProject.as_view(), name="api-project"),
    path("projects/<slug:slug>/members", api.Members.as_view(), name="api-members"),
    path("projects/<slug:slug>/actors", api.SimulatedAnnotators.as_view(), name="api-actors"),
    path("projects/<slug:slug>/tokens", api.Tokens.as_view(), name="api-tokens"),
    path("projects/<slug:slug>/tokens/<slug:token>", api.OneToken.as_view(), name="api-token"),
]
