"""The pages before any project, and a project's settings."""

from django.urls import path

from accounts import person_views, settings_views, views

SETTINGS = "p/<slug:slug>/settings/"

urlpatterns = [
    path("", views.home, name="home"),
    path("new/", views.new_project, name="new-project"),
    path("me/", person_views.person, name="person"),
    path("me/keys/", person_views.keys, name="person-keys"),
    path(SETTINGS, settings_views.settings, name="settings"),
    path(f"{SETTINGS}members", settings_views.add_member, name="settings-members"),
    path(f"{SETTINGS}simulated", settings_views.add_simulated, name="settings-simulated"),
    path(f"{SETTINGS}tokens", settings_views.issue_token, name="settings-tokens"),
    path(f"{SETTINGS}tokens/<str:token>/revoke", settings_views.revoke_token, name="settings-revoke"),
]
