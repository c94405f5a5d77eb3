"""Who acts, where, and what they may do."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from accounts.keymap import check_keys, no_changes
from ground import clock
from ground.fields import PublicIdField, VersionedJSONField
from ground.models import Row


class UserManager(BaseUserManager["User"]):
    def create_user(self, email: str, password: str | None = None, **fields: Any) -> User:
        user = self.model(email=email.strip().lower(), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> User:
        return self.create_user(email, password, is_staff=True, is_superuser=True, **fields)

    def get_by_natural_key(self, username: str | None) -> User:
        return self.get(email=(username or "").strip().lower())


class User(AbstractBaseUser, PermissionsMixin):
    """A person who can sign in. What they judge belongs to an Actor, never to this row, so that erasure keeps the arithmetic."""

    public_id = PublicIdField(prefix="usr")
    email = models.EmailField(_("email"), unique=True)
    name = models.CharField(_("name"), max_length=200, blank=True)
    locale = models.CharField(max_length=12, blank=True, help_text="a language code; empty: as the browser asks")
    time_zone = models.CharField(max_length=64, blank=True, help_text="an IANA name; empty: as the browser says")
    keys = VersionedJSONField(
        check=check_keys, default=no_changes, help_text="what differs from the keys it comes with"
    )
    is_active = models.BooleanField(default=True)
    is_staff = models.BooleanField(default=False)
    created_at = models.DateTimeField(default=clock.now, editable=False)

    objects: ClassVar[UserManager] = UserManager()

    USERNAME_FIELD = "email"

    def __str__(self) -> str:
        return self.name or self.email

    @property
    def initials(self) -> str:
        words = (self.name or self.email).replace("@", " ").split()
        return "".join(word[0] for word in words[:2]).upper()


class ProjectQuerySet(models.QuerySet["Project"]):
    def open(self) -> ProjectQuerySet:
        return self.filter(archived_at=None)

    def for_user(self, user: User) -> ProjectQuerySet:
        return self.filter(memberships__actor__user=user)


class Project(Row):
    """The boundary: every row that holds user data belongs to exactly one."""

    public_id = PublicIdField(prefix="prj")
    slug = models.SlugField(max_length=80, unique=True)
    name = models.CharField(max_length=200)
    description = models.TextField(blank=True)
    archived_at = models.DateTimeField(null=True, blank=True)

    objects = ProjectQuerySet.as_manager()

    def __str__(self) -> str:
        return self.name


class Actor(Row):
    """Whoever judged, wrote or decided something: a person, a simulation, an import, a model, an application's end user."""

    class Kind(models.TextChoices):
        PERSON = "person", _("person")
        SIMULATED = "simulated", _("simulated")
        IMPORTED = "imported", _("imported")
        MODEL = "model", _("model")
        END_USER = "end_user", _("end user")

    public_id = PublicIdField(prefix="act")
    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="actors")
    kind = models.CharField(max_length=12, choices=Kind.choices)
    external_id = models.CharField(max_length=200, blank=True)
    pseudonym = models.CharField(max_length=80)
    user = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, blank=True, related_name="actors")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["project", "user"], condition=Q(user__isnull=False), name="actor_once_per_user"
            ),
            models.UniqueConstraint(
                fields=["project", "kind", "external_id"],
                condition=~Q(external_id=""),
                name="actor_once_per_external_id",
            ),
            models.CheckConstraint(condition=Q(user=None) | Q(kind="person"), name="actor_with_user_is_person"),
        ]

    def __str__(self) -> str:
        return self.pseudonym

    @property
    def is_simulated(self) -> bool:
        return self.kind == self.Kind.SIMULATED


class Role(models.TextChoices):
    OWNER = "owner", _("owner")
    MANAGER = "manager", _("manager")
    REVIEWER = "reviewer", _("reviewer")
    ANNOTATOR = "annotator", _("annotator")


class Membership(Row):
    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="memberships")
    actor = models.OneToOneField(Actor, on_delete=models.PROTECT, related_name="membership")
    role = models.CharField(max_length=12, choices=Role.choices)

    def __str__(self) -> str:
        return f"{self.actor} ({self.role})"


class Scope(models.TextChoices):
    """What a token may do. A token never does more than its actor's role allows."""

    ANNOTATE = "annotate", _("claim and answer tasks")
    FEEDBACK = "feedback", _("send feedback")
    INVOKE = "invoke", _("ask models through the gateway")
    READ = "read", _("read the project")
    MANAGE = "manage", _("manage the project")


class ApiToken(Row):
    """A bearer token. Only its SHA-256 rests here; the secret is shown once, when it is made."""

    public_id = PublicIdField(prefix="tok")
    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="tokens")
    actor = models.ForeignKey(Actor, on_delete=models.PROTECT, related_name="tokens")
    name = models.CharField(max_length=120)
    prefix = models.CharField(max_length=16)
    digest = models.CharField(max_length=64, unique=True)
    scopes = models.JSONField(default=list)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"

    def is_live(self) -> bool:
        return self.revoked_at is None and (self.expires_at is None or self.expires_at > clock.now())


class IdempotencyKey(Row):
    """The first answer to a keyed request, so that a retry gets the same one (IETF draft, Idempotency-Key)."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="+")
    actor = models.ForeignKey(Actor, on_delete=models.CASCADE, related_name="+")
    key = models.CharField(max_length=255)
    fingerprint = models.CharField(max_length=80)
    status = models.PositiveSmallIntegerField(null=True)
    body = models.JSONField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["actor", "key"], name="idempotency_key_once_per_actor")]


class Event(Row):
    """The audit trail: one row for every change that is not itself an append-only record. Sealed into a chain afterwards."""

    public_id = PublicIdField(prefix="evt")
    project = models.ForeignKey(Project, on_delete=models.PROTECT, null=True, related_name="events")
    actor = models.ForeignKey(Actor, on_delete=models.PROTECT, null=True, related_name="events")
    verb = models.CharField(max_length=60)
    object_id = models.CharField(max_length=60)
    data = models.JSONField(default=dict)
    seal = models.ForeignKey("EventSeal", on_delete=models.PROTECT, null=True, related_name="events")

    class Meta:
        indexes = [models.Index(fields=["project", "-id"], name="event_by_project")]


class EventSeal(Row):
    """One link of the chain: the digest of a segment of events and of the link before it. A changed event breaks the chain."""

    previous = models.OneToOneField("self", on_delete=models.PROTECT, null=True, related_name="following")
    count = models.PositiveIntegerField()
    digest = models.CharField(max_length=80, unique=True)
