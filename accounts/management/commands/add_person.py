"""An operator lets a person in."""

import getpass
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.models import Actor, Project, Role, User
from accounts.services import MANAGERS, add_member
from ground.errors import DomainError


class Command(BaseCommand):
    help = "Make a person who can sign in, or give one who already can a role in a project."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("email")
        parser.add_argument("--name", default="")
        parser.add_argument("--password", help="asked for when left out")
        parser.add_argument("--project", help="slug of a project to join")
        parser.add_argument("--role", choices=Role.values, default=Role.ANNOTATOR)
        parser.add_argument("--admin", action="store_true", help="may open /admin/")

    def handle(self, **options: Any) -> None:
        email = options["email"].strip().lower()
        user = User.objects.filter(email=email).first()
        if user is None:
            password = options["password"] or getpass.getpass("Password: ")
            user = User.objects.create_user(
                email, password, name=options["name"], is_staff=options["admin"], is_superuser=options["admin"]
            )
            self.stdout.write(f"{email} can sign in.")
        if options["project"]:
            self._join(user, options["project"], options["role"])

    def _join(self, user: User, slug: str, role: str) -> None:
        project = Project.objects.filter(slug=slug).first()
        if project is None:
            raise CommandError(f"There is no project {slug}.")
        manager = Actor.objects.filter(project=project, membership__role__in=MANAGERS).order_by("pk").first()
        assert manager is not None, "a project always has an owner"
        try:
            add_member(actor=manager, user=user, role=role)
        except DomainError as error:
            raise CommandError(error.detail) from error
        self.stdout.write(f"{user.email} is {role} in {slug}.")
