"""Refusals in the shape that OpenAI's clients read."""

from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase

View = Callable[..., Coroutine[Any, Any, HttpResponseBase]]


class Refusal(Exception):
    """`code` is stable; `retry_after` is in seconds and only for what passes by itself."""

    def __init__(self, status: int, code: str, message: str, *, retry_after: int = 0, param: str | None = None) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message
        self.retry_after, self.param = retry_after, param

    def body(self) -> dict[str, Any]:
        kind = "invalid_request_error" if self.status < 500 else "server_error"
        kind = "rate_limit_error" if self.status == 429 else kind
        return {"error": {"message": self.message, "type": kind, "param": self.param, "code": self.code}}

    def response(self) -> HttpResponse:
        answer = JsonResponse(self.body(), status=self.status)
        if self.retry_after:
            answer["Retry-After"] = str(self.retry_after)
        if self.status == 401:
            answer["WWW-Authenticate"] = "Bearer"
        return answer


def answers(method: str) -> Callable[[View], View]:
    """Lets only `method` through, and turns a Refusal into its response."""

    def around(view: View) -> View:
        @wraps(view)
        async def inner(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            try:
                if request.method != method:
                    raise Refusal(405, "method_not_allowed", f"Use {method} here.")
                return await view(request, *args, **kwargs)
            except Refusal as refusal:
                return refusal.response()

        return inner

    return around


def no_such_path(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    return Refusal(404, "not_found", f"There is nothing at {request.path[:200]}.").response()


def our_fault(request: HttpRequest) -> HttpResponse:
    return Refusal(500, "internal_error", "The gateway failed. Its log says why.").response()
