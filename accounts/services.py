"""Writes about people, projects and tokens."""

import hashlib
import secrets
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.utils.translation import gettext as _

from accounts.keymap import check_keys
from accounts.locales import is_language, is_zone, languages
from accounts.models import Actor, ApiToken, Event, EventSeal, IdempotencyKey, Membership, Project, Role, Scope, User
from ground import clock
from ground.digests import digest_of
from ground.errors import Conflict, Forbidden, Invalid

MANAGERS = (Role.OWNER, Role.MANAGER)
REVIEWERS = (*MANAGERS, Role.REVIEWER)
EVERYBODY = (*REVIEWERS, Role.ANNOTATOR)
SECRETS_BEGIN_WITH = "plb_"


def role_of(actor: Actor) -> str:
    """The actor's role in its project; empty for end users, imports and models."""
    membership = getattr(actor, "membership", None)
    return membership.role if membership else ""


def require_role(actor: Actor, *roles: str) -> None:
    if role_of(actor) not in roles:
        names = ", ".join(str(Role(role).label) for role in roles)
        raise Forbidden(_("This needs the role %(roles)s.") % {"roles": names}, hint=_("Ask a project manager."))


def record_event(
    *, project: Project | None, actor: Actor | None, verb: str, object_id: str, data: dict[str, Any] | None = None
) -> Event:
    """An audit event, in the caller's transaction, unchained: the sealer chains committed rows later."""
    return Event.objects.create(project=project, actor=actor, verb=verb, object_id=object_id, data=data or {})


@transaction.atomic
def create_project(*, user: User, slug: str, name: str, description: str = "") -> Project:
    """A project owned by `user`. Errors: Conflict when the slug is taken."""
    if Project.objects.filter(slug=slug).exists():
        raise Conflict(_("The address %(slug)s is taken.") % {"slug": slug}, hint=_("Choose another slug."))
    project = Project.objects.create(slug=slug, name=name, description=description)
    owner = _add_member(project, user, Role.OWNER)
    record_event(project=project, actor=owner, verb="project.created", object_id=project.public_id)
    return project


@transaction.atomic
def add_member(*, actor: Actor, user: User, role: str) -> Actor:
    """Make `user` an actor of the project with `role`; a second call changes the role."""
    require_role(actor, *MANAGERS)
    owners = Membership.objects.filter(project=actor.project, role=Role.OWNER)
    is_owner = owners.filter(actor__user=user).exists()
    if (role == Role.OWNER or is_owner) and role_of(actor) != Role.OWNER:
        raise Forbidden(_("Only an owner can make another owner, or change an owner's role."))
    if is_owner and role != Role.OWNER and owners.count() == 1:
        raise Conflict(_("A project needs an owner."), hint=_("Make somebody else an owner first."))
    member = _add_member(actor.project, user, role)
    record_event(
        project=actor.project, actor=actor, verb="member.added", object_id=member.public_id, data={"role": role}
    )
    return member


def _add_member(project: Project, user: User, role: str) -> Actor:
    actor, _made = Actor.objects.get_or_create(
        project=project, user=user, defaults={"kind": Actor.Kind.PERSON, "pseudonym": str(user)[:80]}
    )
    Membership.objects.update_or_create(actor=actor, defaults={"project": project, "role": role})
    return actor


@transaction.atomic
def add_simulated_annotator(*, actor: Actor, external_id: str, pseudonym: str) -> Actor:
    """A simulated annotator: marked as such wherever its answers show."""
    require_role(actor, *MANAGERS)
    simulated, _made = Actor.objects.get_or_create(
        project=actor.project,
        kind=Actor.Kind.SIMULATED,
        external_id=external_id,
        defaults={"pseudonym": pseudonym},
    )
    Membership.objects.get_or_create(actor=simulated, defaults={"project": actor.project, "role": Role.ANNOTATOR})
    record_event(project=actor.project, actor=actor, verb="actor.simulated", object_id=simulated.public_id)
    return simulated


def set_locale(*, user: User, locale: str, time_zone: str) -> None:
    """The language and time zone a person reads in; empty leaves it to their browser. Errors: Invalid."""
    if locale and not is_language(locale):
        raise Invalid(
            _("There is no language %(code)s here.") % {"code": locale[:20]},
            hint=_("The languages are %s.") % ", ".join(code for code, _own_name in languages()),
        )
    if time_zone and not is_zone(time_zone):
        raise Invalid(
            _("There is no time zone %(name)s.") % {"name": time_zone[:64]}, hint=_("Write it as Europe/Berlin or UTC.")
        )
    User.objects.filter(pk=user.pk).update(locale=locale, time_zone=time_zone)
    user.locale, user.time_zone = locale, time_zone


def set_keys(*, user: User, keys: dict[str, Any]) -> dict[str, Any]:
    """The whole map of a person's keys, as `keymap.check_keys` has it. Errors: Invalid with the path."""
    try:
        checked = check_keys(keys)
    except ValueError as error:
        raise Invalid(str(error)) from error
    User.objects.filter(pk=user.pk).update(keys=checked)
    user.keys = checked
    return checked


def end_user(project: Project, external_id: str) -> Actor:
    """The actor that stands for an application's end user, made on first sight."""
    actor, _made = Actor.objects.get_or_create(
        project=project,
        kind=Actor.Kind.END_USER,
        external_id=external_id[:200],
        defaults={"pseudonym": f"end user {hashlib.sha256(external_id.encode()).hexdigest()[:6]}"},
    )
    return actor


@transaction.atomic
def issue_token(
    *, actor: Actor, subject: Actor, name: str, scopes: Iterable[str], expires_at: datetime | None = None
) -> tuple[ApiToken, str]:
    """A token that acts as `subject`, and its secret: the only time anyone sees it.

    Managers issue for anyone in their project; everybody else for themselves.
    """
    if subject != actor:
        require_role(actor, *MANAGERS)
    if subject.project_id != actor.project_id:
        raise Forbidden(_("That actor belongs to another project."))
    wanted = sorted(set(scopes))
    unknown = [scope for scope in wanted if scope not in Scope.values]
    if unknown or not wanted:
        raise Invalid(_("Name one or more scopes of: %s.") % ", ".join(Scope.values))
    secret = SECRETS_BEGIN_WITH + secrets.token_urlsafe(32)
    token = ApiToken.objects.create(
        project=subject.project,
        actor=subject,
        name=name,
        prefix=secret[:10],
        digest=digest_of_token(secret),
        scopes=wanted,
        expires_at=expires_at,
    )
    record_event(
        project=subject.project, actor=actor, verb="token.issued", object_id=token.public_id, data={"scopes": wanted}
    )
    return token, secret


@transaction.atomic
def revoke_token(*, actor: Actor, token: ApiToken) -> None:
    if token.actor_id != actor.pk:
        require_role(actor, *MANAGERS)
    if ApiToken.objects.filter(pk=token.pk, revoked_at=None).update(revoked_at=clock.now()):
        record_event(project=token.project, actor=actor, verb="token.revoked", object_id=token.public_id)


def digest_of_token(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def begin_keyed(*, actor: Actor, key: str, request: Any) -> IdempotencyKey | None:
    """None when this (actor, key) is new and now ours to answer; else the row that holds the first answer.

    Errors: Invalid (422) for the same key with another body, Conflict (409) while the first is in flight. Must run inside the
    transaction that does the work, so that a failure forgets the key with everything else.
    """
    fingerprint = digest_of(request)
    try:
        with transaction.atomic():
            IdempotencyKey.objects.create(project=actor.project, actor=actor, key=key, fingerprint=fingerprint)
            return None
    except IntegrityError:
        first = IdempotencyKey.objects.get(actor=actor, key=key)
    if first.fingerprint != fingerprint:
        raise Invalid(
            _("This Idempotency-Key was used with another body."), hint=_("Send a new key with a new request.")
        )
    if first.status is None:
        raise Conflict(
            _("The first request with this Idempotency-Key is still running."), hint=_("Ask again in a moment.")
        )
    return first


def finish_keyed(*, actor: Actor, key: str, status: int, body: Any) -> None:
    IdempotencyKey.objects.filter(actor=actor, key=key).update(status=status, body=body)


SEAL_AT_MOST = 5000
FIRST_SEAL = "sha256:" + "0" * 64


@transaction.atomic
def seal_events() -> EventSeal | None:
    """Chain committed events that no seal holds yet. None when there are none, or when another sealer was first.

    An event whose transaction commits late simply joins a later segment. Two sealers at once would both follow the same link; its
    uniqueness lets one of them win.
    """
    last = EventSeal.objects.filter(following=None).order_by("-pk").first() or _first_seal()
    events = list(_sealable(Event.objects.filter(seal=None))[:SEAL_AT_MOST])
    if not events:
        return None
    try:
        with transaction.atomic():
            seal = EventSeal.objects.create(previous=last, count=len(events), digest=_seal_digest(last.digest, events))
    except IntegrityError:
        return None
    Event.objects.filter(pk__in=[event.pk for event in events]).update(seal=seal)
    return seal


def _first_seal() -> EventSeal:
    return EventSeal.objects.get_or_create(digest=FIRST_SEAL, defaults={"previous": None, "count": 0})[0]


def _sealable(events: QuerySet[Event]) -> QuerySet[Event]:
    return events.select_related("project", "actor").order_by("pk")


def _seal_digest(previous: str, events: Iterable[Event]) -> str:
    return digest_of({"previous": previous, "events": [_sealed_form(event) for event in events]})


def _sealed_form(event: Event) -> dict[str, Any]:
    return {
        "id": event.public_id,
        "at": event.created_at.astimezone(UTC).isoformat(timespec="microseconds"),
        "project": event.project.public_id if event.project else None,
        "actor": event.actor.public_id if event.actor else None,
        "verb": event.verb,
        "object": event.object_id,
        "data": event.data,
    }


def verify_seals() -> list[str]:
    """What is wrong with the chain, one sentence a link; empty when every sealed event is as it was written."""
    return [
        sentence for seal in EventSeal.objects.order_by("pk").select_related("previous") if (sentence := _flaw(seal))
    ]


def _flaw(seal: EventSeal) -> str:
    if seal.previous is None:
        return "" if seal.digest == FIRST_SEAL and seal.count == 0 else f"Seal {seal.pk} follows nothing."
    events = list(_sealable(seal.events.all()))
    if len(events) != seal.count:
        return f"Seal {seal.pk} was put on {seal.count} events; {len(events)} are there."
    good = _seal_digest(seal.previous.digest, events) == seal.digest
    return "" if good else f"Seal {seal.pk} is broken: an event under it, or the link before it, was changed."
