"""The pages before any project."""

from django.urls import path

from accounts import views

urlpatterns = [
    path("", views.home, name="home"),
    path("new/", views.new_project, name="new-project"),
]
