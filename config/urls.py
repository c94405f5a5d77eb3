"""Where everything is. Each app brings its own pages (`urls.py`) and its own API (`api_urls.py`)."""

from django.contrib import admin
from django.contrib.auth.views import LoginView, LogoutView
from django.urls import include, path
from drf_spectacular.views import SpectacularAPIView

from annotation.views import preview
from config.views import ApiDocs, healthz, readyz

urlpatterns = [
    # Most requests answer tasks, and resolving an address reads from the top.
    path("api/v1/", include("annotation.api_urls")),
    path("", include("accounts.urls")),
    path("sign-in/", LoginView.as_view(redirect_authenticated_user=True), name="sign-in"),
    path("sign-out/", LogoutView.as_view(), name="sign-out"),
    path("markdown", preview.markdown, name="markdown"),
    path("p/<slug:slug>/", include("jobs.urls")),
    path("p/<slug:slug>/", include("annotation.urls")),
    path("p/<slug:slug>/", include("models_registry.urls")),
    path("p/<slug:slug>/", include("training.urls")),
    path("api/v1/", include("accounts.api_urls")),
    path("api/v1/", include("jobs.api_urls")),
    path("api/v1/", include("models_registry.api_urls")),
    path("api/v1/", include("feedback.api_urls")),
    path("api/v1/", include("training.api_urls")),
    path("v1/", include("feedback.public_urls")),
    path("api/schema/", SpectacularAPIView.as_view(), name="api-schema"),
    path("api/docs/", ApiDocs.as_view(url_name="api-schema"), name="api-docs"),
    path("healthz", healthz, name="healthz"),
    path("readyz", readyz, name="readyz"),
    path("admin/", admin.site.urls),
]

handler404 = "config.views.not_found"
