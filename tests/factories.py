"""Rows in the shapes that tests need. Defaults are valid; name only what the test is about."""

import itertools
from typing import Any

from accounts.models import Actor, Project, Role, User
from accounts.services import add_member, create_project
from ground.digests import digest_of
from models_registry.models import Completion, Model, ModelVersion, Prompt
from tests.conftest import Cast

_count = itertools.count(1)
PASSWORD = "a-long-enough-password"


def make_user(name: str = "", **fields: Any) -> User:
    name = name or f"person{next(_count)}"
    return User.objects.create_user(f"{name}@example.org", PASSWORD, name=name.title(), **fields)


def make_cast(slug: str = "household") -> Cast:
    owner = make_user(f"alice{next(_count)}")
    project = create_project(user=owner, slug=f"{slug}-{next(_count)}", name="Household help")
    alice = Actor.objects.get(project=project, user=owner)
    member = lambda name, role: add_member(actor=alice, user=make_user(f"{name}{next(_count)}"), role=role)  # noqa: E731
    outside = create_project(
        user=make_user(f"mallory{next(_count)}"), slug=f"elsewhere-{next(_count)}", name="Elsewhere"
    )
    return Cast(
        project=project,
        alice=alice,
        mona=member("mona", Role.MANAGER),
        carol=member("carol", Role.REVIEWER),
        bob=member("bob", Role.ANNOTATOR),
        mallory=Actor.objects.get(project=outside),
    )


def make_annotators(project: Project, count: int) -> list[Actor]:
    owner = Actor.objects.filter(project=project, membership__role=Role.OWNER).get()
    return [add_member(actor=owner, user=make_user(), role=Role.ANNOTATOR) for _ in range(count)]


def make_prompt(project: Project, text: str = "", **fields: Any) -> Prompt:
    messages = [{"role": "user", "content": text or f"Question {next(_count)}?"}]
    return Prompt.objects.create(project=project, messages=messages, digest=digest_of(messages), **fields)


def make_completion(prompt: Prompt, text: str = "", version: ModelVersion | None = None, **fields: Any) -> Completion:
    text = text or f"Answer {next(_count)}."
    source = Completion.Source.VERSION if version else Completion.Source.IMPORTED
    return Completion.objects.create(
        project=prompt.project,
        prompt=prompt,
        text=text,
        digest=digest_of(text),
        source=source,
        version=version,
        **fields,
    )


def make_version(project: Project | None = None, model: Model | None = None, **fields: Any) -> ModelVersion:
    model = model or Model.objects.create(project=project, slug=f"model-{next(_count)}", name="A model")
    number = model.versions.count() + 1
    defaults = {"kind": "causal", "artifact": "/nowhere", "digest": f"sha256:{next(_count):064x}"}
    return ModelVersion.objects.create(
        model=model, number=number, lineage={"schema_version": 1}, **{**defaults, **fields}
    )
