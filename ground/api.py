"""The API's manners: problem+json (RFC 9457), cursors, strict serializers."""

from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import Http404
from django.utils.translation import gettext as _
from rest_framework import serializers
from rest_framework.exceptions import APIException, NotAuthenticated, ParseError, Throttled, ValidationError
from rest_framework.pagination import CursorPagination
from rest_framework.parsers import JSONParser
from rest_framework.renderers import JSONRenderer
from rest_framework.response import Response
from rest_framework.views import exception_handler, set_rollback

from ground.errors import DomainError, Forbidden, NotFound


class Cursor(CursorPagination):
    page_size = 50
    max_page_size = 1000
    page_size_query_param = "limit"
    ordering = "-id"


class JSONBody(JSONParser):
    """A body nested past the interpreter's patience is a wrong body, not a broken server."""

    def parse(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().parse(*args, **kwargs)
        except RecursionError as error:
            raise ParseError(_("The body is nested too deeply.")) from error


class EscapedJSON(JSONRenderer):
    ensure_ascii = True


class JSONAnswer(JSONRenderer):
    """An answer that quotes half a surrogate pair back is escaped: it has no UTF-8 form."""

    def render(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().render(*args, **kwargs)
        except UnicodeEncodeError:
            return EscapedJSON().render(*args, **kwargs)


class StrictSerializer(serializers.Serializer):
    """Refuses fields it does not know, naming those it does: a misspelt setting is never silently ignored."""

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, dict):
            unknown = sorted(set(data) - set(self.fields))
            if unknown:
                known = ", ".join(sorted(name for name, field in self.fields.items() if not field.read_only))
                raise ValidationError({name: [_("Unknown field. Known fields: %s.") % known] for name in unknown})
        return super().to_internal_value(data)


def problem(error: Exception, context: dict[str, Any]) -> Response | None:
    """DRF's exception handler: every refusal is `application/problem+json` with a stable `code`."""
    if isinstance(error, Http404):
        error = NotFound(_("No such object here."))
    elif isinstance(error, PermissionDenied):
        error = Forbidden(str(error) or _("You may not do this."))
    if isinstance(error, DomainError):
        set_rollback()
        return _answer(error.status, error.code, error.detail, hint=error.hint, **error.extra)
    response = exception_handler(error, context)
    if response is None or not isinstance(error, APIException):
        return None
    return _from_drf(error, response)


def _from_drf(error: APIException, response: Response) -> Response:
    headers = {name: response[name] for name in ("WWW-Authenticate", "Retry-After") if response.has_header(name)}
    if isinstance(error, ValidationError):
        answer = _answer(response.status_code, "invalid", _("Some fields are wrong."), errors=error.detail)
    else:
        code = "unauthenticated" if isinstance(error, NotAuthenticated) else str(error.get_codes())
        code = "rate_limited" if isinstance(error, Throttled) else code
        answer = _answer(response.status_code, code, str(error.detail))
    for name, value in headers.items():
        answer[name] = value
    return answer


def _answer(status: int, code: str, detail: str, **more: Any) -> Response:
    body = {"type": "about:blank", "status": status, "code": code, "detail": detail}
    body.update({key: value for key, value in more.items() if value})
    return Response(body, status=status, content_type="application/problem+json")
