"""The OpenAI-compatible part of /v1/."""

from django.urls import path

from models_registry.gateway import views

urlpatterns = [
    path("chat/completions", views.chat, name="gateway-chat"),
    path("chat/completions/<slug:public_id>", views.completion, name="gateway-completion"),
    path("models", views.models, name="gateway-models"),
    path("models/<path:name>", views.model, name="gateway-model"),
]
