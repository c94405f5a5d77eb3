"""Webhooks of a project: every write, and the gated reads. Owners name addresses, managers see and try them."""

import base64
import secrets
from collections.abc import Sequence

from django.db import transaction
from django.db.models import QuerySet
from django.utils.translation import gettext as _

from accounts.models import Actor, Project, Role
from accounts.services import MANAGERS, record_event, require_role
from ground import clock
from ground.errors import Conflict, Invalid, NotFound
from jobs import notices
from jobs.models import Delivery, Webhook
from jobs.posting import check_url

MOST = 20


def webhooks_of(project: Project) -> QuerySet[Webhook]:
    return Webhook.objects.filter(project=project, retired_at=None).order_by("pk")


def get_webhook_for(actor: Actor, public_id: str) -> Webhook:
    """Errors: NotFound, for another project's and a retired one too."""
    found = webhooks_of(actor.project).filter(public_id=public_id).first()
    if found is None:
        raise NotFound(_("There is no webhook %s here.") % public_id)
    return found


def deliveries_of(project: Project) -> QuerySet[Delivery]:
    """Newest first."""
    return Delivery.objects.filter(webhook__project=project).select_related("webhook").order_by("-pk")


def get_delivery_for(actor: Actor, public_id: str) -> Delivery:
    """Errors: NotFound."""
    found = deliveries_of(actor.project).filter(public_id=public_id).first()
    if found is None:
        raise NotFound(_("There is no delivery %s here.") % public_id)
    return found


@transaction.atomic
def create_webhook(*, actor: Actor, url: str, events: Sequence[str]) -> Webhook:
    """Owners only: a webhook carries what happens here to somewhere else. Its secret is made here. Errors: Invalid, Conflict."""
    require_role(actor, Role.OWNER)
    check_url(url)
    _check_events(events)
    Project.objects.select_for_update().get(pk=actor.project_id)  # two at once would both find room for one more
    if webhooks_of(actor.project).count() >= MOST:
        raise Conflict(_("A project has up to %d webhooks.") % MOST, hint=_("Remove one that nobody needs."))
    hook = Webhook.objects.create(
        project=actor.project, actor=actor, url=url, events=_in_order(events), secret=new_secret()
    )
    _log(actor, hook, "webhook.created")
    return hook


@transaction.atomic
def change_webhook(
    *,
    actor: Actor,
    webhook: Webhook,
    url: str | None = None,
    events: Sequence[str] | None = None,
    paused: bool | None = None,
) -> Webhook:
    """What is not None. While paused it is told nothing, and what waits for it waits on. Owners only. Errors: Invalid."""
    require_role(actor, Role.OWNER)
    if url is not None:
        check_url(url)
        webhook.url = url
    if events is not None:
        _check_events(events)
        webhook.events = _in_order(events)
    webhook.paused = webhook.paused if paused is None else paused
    webhook.save(update_fields=["url", "events", "paused"])
    _log(actor, webhook, "webhook.changed")
    return webhook


@transaction.atomic
def retire_webhook(*, actor: Actor, webhook: Webhook) -> None:
    """It is told nothing more; what waits for it is given up. Owners only."""
    require_role(actor, Role.OWNER)
    Webhook.objects.filter(pk=webhook.pk, retired_at=None).update(retired_at=clock.now())
    waiting = Delivery.objects.filter(webhook=webhook, state=Delivery.State.WAITING)
    waiting.update(state=Delivery.State.FAILED, error=_("The webhook was removed."))
    _log(actor, webhook, "webhook.retired")


@transaction.atomic
def send_test(*, actor: Actor, webhook: Webhook) -> Delivery:
    """A message that says only that it is a test. Errors: Forbidden, Conflict while paused."""
    require_role(actor, *MANAGERS)
    _check_at_work(webhook)
    data = {"project": webhook.project.slug, "webhook": webhook.public_id}
    notice = notices.Notice(event=notices.TEST, project_id=webhook.project_id, data=data)
    return Delivery.objects.create(webhook=webhook, event=notices.TEST, body=notices.body_of(notice))


@transaction.atomic
def resend(*, actor: Actor, delivery: Delivery) -> Delivery:
    """Once more at once, under the same id, delivered or not. Errors: Forbidden, Conflict."""
    require_role(actor, *MANAGERS)
    _check_at_work(delivery.webhook)
    fresh = {"state": Delivery.State.WAITING, "attempts": 0, "due_at": clock.now(), "error": "", "status": None}
    Delivery.objects.filter(pk=delivery.pk).update(**fresh)
    delivery.refresh_from_db()
    return delivery


def new_secret() -> str:
    return "whsec_" + base64.b64encode(secrets.token_bytes(24)).decode()


def _check_at_work(webhook: Webhook) -> None:
    if webhook.retired_at or webhook.paused:
        raise Conflict(_("This webhook is paused or removed."), hint=_("Let it go on first."))


def _check_events(events: Sequence[str]) -> None:
    known = notices.events()
    unknown = sorted(set(events) - set(known))
    if unknown or not events:
        problem = _("%s is no event") % unknown[0] if unknown else _("name at least one event")
        raise Invalid(
            _("This webhook cannot be kept: %s.") % problem,
            hint=_("Events: %s.") % ", ".join(known),
            problems={"events": problem},
        )


def _in_order(events: Sequence[str]) -> list[str]:
    return [name for name in notices.events() if name in events]


def _log(actor: Actor, hook: Webhook, verb: str) -> None:
    data = {"url": hook.url, "events": hook.events, "paused": hook.paused}
    record_event(project=hook.project, actor=actor, verb=verb, object_id=hook.public_id, data=data)
