"""Pages that belong to no floor: the API's documentation and the health checks."""

from typing import Any

from csp.decorators import csp_update
from django.db import DatabaseError, connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils.decorators import method_decorator
from django.views.defaults import page_not_found
from drf_spectacular.views import SpectacularSwaggerSplitView


# Swagger UI writes style attributes; only this page allows them.
@method_decorator(csp_update({"style-src": ["'unsafe-inline'"], "img-src": ["data:"]}), name="dispatch")
class ApiDocs(SpectacularSwaggerSplitView):
    authentication_classes: list[Any] = []
    permission_classes: list[Any] = []


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """An address nobody serves: a problem for programs, a page for people."""
    if request.path.startswith(("/api/", "/v1/")):
        body = {
            "type": "about:blank",
            "status": 404,
            "code": "not_found",
            "detail": "There is nothing at this address.",
        }
        body["hint"] = "The addresses are listed at /api/docs/."
        return JsonResponse(body, status=404, content_type="application/problem+json")
    return page_not_found(request, exception)


def healthz(request: HttpRequest) -> HttpResponse:
    """The process answers."""
    return JsonResponse({"ok": True})


def readyz(request: HttpRequest) -> HttpResponse:
    """The process answers and reaches its database."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError as error:
        return JsonResponse({"ok": False, "database": str(error)}, status=503)
    return JsonResponse({"ok": True, "database": connection.vendor})
