"""The gateway's few looks into the database, each in a thread of its own pool so that no request waits for another's."""

import ipaddress
import socket
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urlsplit

from asgiref.sync import sync_to_async
from django.conf import settings
from django.db import connection
from django.db.models import Case, IntegerField, Q, Value, When
from django.utils.translation import gettext as _

from accounts.authentication import find_token
from accounts.models import ApiToken, Project, Scope
from accounts.services import end_user
from models_registry.data import Answer
from models_registry.gateway.body import ChatRequest
from models_registry.gateway.refusals import Refusal
from models_registry.models import Completion, Deployment, ModelVersion
from models_registry.selectors import resolve_model, resolve_reference
from models_registry.services import record_exchange
from models_registry.services.deployments import MANAGED

T = TypeVar("T")
_threads = ThreadPoolExecutor(max_workers=settings.GATEWAY_DATABASE_THREADS, thread_name_prefix="gateway-database")


@dataclass(frozen=True, kw_only=True)
class Route:
    """Where a request goes: a ready deployment, and the immutable version behind the name it was asked by."""

    deployment: str
    managed: bool
    understands_penalties: bool
    url: str
    remote_model: str
    api_key: str
    version: ModelVersion | None
    alias: str


async def in_database(work: Callable[..., T], *args: Any) -> T:
    def run() -> T:
        try:
            return work(*args)
        finally:
            # Back to the pool (PostgreSQL) or shut (SQLite): a thread that idles holds nothing.
            connection.close()

    return await sync_to_async(run, thread_sensitive=False, executor=_threads)()


def caller(header: str) -> ApiToken:
    """The token that may invoke models. Errors: Refusal 401 or 403."""
    scheme, _space, secret = header.partition(" ")
    token = find_token(secret.strip()) if scheme.lower() == "bearer" and secret.strip() else None
    if token is None:
        raise Refusal(401, "invalid_api_key", _("Send `Authorization: Bearer` with a live token of your project."))
    if Scope.INVOKE not in token.scopes:
        raise Refusal(403, "insufficient_scope", _("This token lacks the scope %s.") % Scope.INVOKE.value)
    if token.project.archived_at is not None:
        raise Refusal(403, "project_archived", _("This project is archived."))
    return token


def route(project: Project, name: str) -> Route:
    """Errors: Refusal 404 that names the models there are; 503 when the right one is not ready."""
    version = resolve_reference(project, name)
    found = _wanted(project)
    found = (
        found.filter(version=version)
        if version
        else found.filter(Q(public_id=name) | Q(version=None, remote_model=name))
    )
    ready_first = Case(When(state=Deployment.State.READY, then=Value(0)), default=Value(1), output_field=IntegerField())
    deployment = found.order_by(ready_first, "-id").first()
    if deployment is None:
        raise _unknown(project, name, known=version is not None)
    if deployment.state != Deployment.State.READY:
        raise _not_ready(deployment)
    if deployment.backend == Deployment.Backend.URL and is_managed_address(deployment.url):
        raise Refusal(503, "backend_refused", _("This deployment points at a server that Plumbline manages itself."))
    return Route(
        deployment=deployment.public_id,
        managed=deployment.backend in MANAGED,
        understands_penalties=deployment.backend != Deployment.Backend.TRANSFORMERS,
        url=deployment.url,
        remote_model=deployment.remote_model,
        api_key=deployment.api_key,
        version=deployment.version,
        alias=name,
    )


def _wanted(project: Project) -> Any:
    return Deployment.objects.filter(project=project, wanted=True).select_related("version__model")


def _unknown(project: Project, name: str, *, known: bool) -> Refusal:
    names = [row["id"] for row in catalogue(project)][:50]
    there = _("There are: %s.") % ", ".join(names) if names else _("No model is deployed in this project yet.")
    what = _("%s is not deployed.") if known else _("There is no model %s.")
    return Refusal(404, "model_not_found", f"{what % name[:200]} {there}", param="model")


def _not_ready(deployment: Deployment) -> Refusal:
    what = deployment.version or deployment.remote_model
    if deployment.state == Deployment.State.FAILED:
        message = _("%(model)s could not be started: %(error)s") % {"model": what, "error": deployment.error[-300:]}
        return Refusal(503, "model_failed", message)
    hint = deployment.error or _("Is `manage.py serve_models` running?")
    message = _("%(model)s is starting. Try again in a few seconds. %(hint)s") % {"model": what, "hint": hint}
    return Refusal(503, "model_starting", message, retry_after=5)


def is_managed_address(url: str) -> bool:
    """Whether an outside address is one of our own servers: they answer whoever asks, so only their own row may."""
    parts = urlsplit(url)
    processes = Deployment.objects.filter(backend__in=MANAGED).exclude(process={}).values_list("process", flat=True)
    if parts.port not in {process.get("port") for process in processes}:
        return False
    try:
        addresses = {str(row[4][0]) for row in socket.getaddrinfo(parts.hostname, parts.port)}
    except OSError:
        return False
    return any(ipaddress.ip_address(address.partition("%")[0]).is_loopback for address in addresses)


def catalogue(project: Project) -> list[dict[str, Any]]:
    """The names by which this project's deployments can be asked, in OpenAI's form."""
    rows: dict[str, dict[str, Any]] = {}
    for deployment in _wanted(project).order_by("version__model__slug", "version__number", "id"):
        for name in _names(project, deployment):
            version = deployment.version
            rows[name] = {
                "id": name,
                "object": "model",
                "created": int((version or deployment).created_at.timestamp()),
                "owned_by": project.slug,
                "model_version": version.public_id if version else None,
                "state": deployment.state,
            }
    return list(rows.values())


def _names(project: Project, deployment: Deployment) -> list[str]:
    version = deployment.version
    if version is None:
        return [deployment.remote_model]
    if resolve_model(project, version.model.slug) != version.model:
        return [version.public_id]
    aliases = version.aliases.order_by("name").values_list("name", flat=True)
    return [f"{version.model.slug}@{name}" for name in (*aliases, version.number)]


def keep(token: ApiToken, request: ChatRequest, chosen: Route, answers: Sequence[Answer]) -> None:
    """Commit prompt and completions. Whatever fails here is told to the client instead of an answer."""
    asker = end_user(token.project, request.user) if request.user else None
    record_exchange(
        project=token.project,
        messages=request.messages,
        version=chosen.version,
        alias=chosen.alias,
        sampling=request.sampling,
        answers=answers,
        asker=asker,
    )


def kept(token: ApiToken, public_id: str) -> Completion:
    """Errors: Refusal 404."""
    rows = Completion.objects.filter(project=token.project).select_related("version__model", "prompt")
    completion = rows.filter(public_id=public_id).first()
    if completion is None:
        raise Refusal(404, "not_found", _("There is no completion %s here.") % public_id[:80])
    return completion
