"""Which versions should be served. The manager of servers (`manage.py serve_models`) makes it so."""

import ipaddress
from urllib.parse import urlsplit

from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from accounts.models import Actor, Project
from accounts.services import MANAGERS, record_event, require_role
from ground.errors import Forbidden, Invalid, NotFound
from models_registry.models import Deployment, ModelVersion

MANAGED = (Deployment.Backend.TRANSFORMERS, Deployment.Backend.VLLM)


@transaction.atomic
def deploy(
    *,
    actor: Actor,
    project: Project,
    backend: str,
    version: ModelVersion | None = None,
    url: str = "",
    remote_model: str = "",
    api_key: str = "",
) -> Deployment:
    """Want this version served. A wanted one is given back as it is; a failed one makes room for a fresh start."""
    require_role(actor, *MANAGERS)
    if actor.project_id != project.pk:
        raise Forbidden(_("That actor belongs to another project."))
    _check(project, backend, version, url, remote_model)
    if version is not None:
        found = Deployment.objects.filter(project=project, version=version, backend=backend, wanted=True).first()
        if found is not None and found.state != Deployment.State.FAILED:
            return found
        if found is not None:
            Deployment.objects.filter(pk=found.pk, wanted=True).update(wanted=False)
    deployment = _create(project, backend, version, url, remote_model, api_key)
    record_event(project=project, actor=actor, verb="deployment.wanted", object_id=deployment.public_id)
    return deployment


def _create(
    project: Project, backend: str, version: ModelVersion | None, url: str, remote_model: str, api_key: str
) -> Deployment:
    managed = backend in MANAGED
    try:
        with transaction.atomic():
            return Deployment.objects.create(
                project=project,
                version=version,
                backend=backend,
                url="" if managed else url.rstrip("/"),
                remote_model="" if managed else remote_model,
                api_key="" if managed else api_key,
            )
    except IntegrityError:
        # Somebody deployed the same version in the same moment.
        return Deployment.objects.get(project=project, version=version, backend=backend, wanted=True)


@transaction.atomic
def stop_deployment(*, actor: Actor, deployment: Deployment) -> Deployment:
    """Want it no longer: the gateway stops asking it at once, the manager ends its process soon after."""
    require_role(actor, *MANAGERS)
    if deployment.project_id != actor.project_id:
        raise NotFound(_("There is no such deployment here."))
    changed = Deployment.objects.filter(pk=deployment.pk, wanted=True).update(wanted=False)
    Deployment.objects.filter(pk=deployment.pk, process={}).update(state=Deployment.State.STOPPED)
    if changed:
        record_event(project=deployment.project, actor=actor, verb="deployment.stopped", object_id=deployment.public_id)
    deployment.refresh_from_db()
    return deployment


def _check(project: Project, backend: str, version: ModelVersion | None, url: str, remote_model: str) -> None:
    if backend not in Deployment.Backend.values:
        raise Invalid(_("A backend is one of: %s.") % ", ".join(Deployment.Backend.values))
    if version is not None and version.model.project_id not in (None, project.pk):
        raise NotFound(_("There is no such version here."))
    if version is not None and version.kind != ModelVersion.Kind.CAUSAL:
        raise Invalid(_("%s is a reward model: it scores, it does not answer.") % version)
    if backend in MANAGED:
        if version is None:
            raise Invalid(_("Name the version to serve."))
        if url or remote_model:
            raise Invalid(_("url and remote_model belong to the backend url; this one gets its own address."))
        return
    if not remote_model:
        raise Invalid(_("remote_model: the name by which that address knows the model."))
    check_address(url)


def check_address(url: str) -> None:
    """An http(s) address that may be asked. Link-local addresses are refused: cloud machines keep secrets there."""
    try:
        parts = urlsplit(url)
        host, _port = parts.hostname or "", parts.port
    except ValueError as error:
        raise Invalid(_("url: %s.") % error) from error
    if parts.scheme not in ("http", "https") or not host or parts.username or parts.query or parts.fragment:
        raise Invalid(_("url: an address like https://host:port/v1, with no user, query or fragment."))
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return
    if address.is_link_local or address.is_multicast or address.is_unspecified:
        raise Invalid(_("url: this address cannot be asked."))
