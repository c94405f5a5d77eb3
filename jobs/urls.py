"""This floor's pages."""

from django.urls import path

from jobs import views

urlpatterns = [
    path("webhooks/", views.webhooks, name="webhooks"),
    path("webhooks/<slug:webhook>/pause", views.pause, name="webhook-pause"),
    path("webhooks/<slug:webhook>/remove", views.remove, name="webhook-remove"),
    path("webhooks/<slug:webhook>/test", views.test, name="webhook-test"),
    path("webhooks/deliveries/<slug:delivery>/resend", views.resend, name="delivery-resend"),
]
