"""What applications reach: the OpenAI-compatible door and feedback, and live chat for the labeling page; no pages."""

from django.urls import include, path

from models_registry.gateway import views

urlpatterns = [
    path("v1/", include("models_registry.gateway.urls")),
    path("v1/", include("feedback.public_urls")),
    path("live/", include("annotation.live_chat.urls")),
    path("healthz", views.healthz),
    path("readyz", views.readyz),
]
handler404 = "models_registry.gateway.refusals.no_such_path"
handler500 = "models_registry.gateway.refusals.our_fault"
