"""Prompts: once per project by content."""

from collections.abc import Sequence
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from accounts.models import Actor, Project
from accounts.services import MANAGERS, record_event, require_role
from ground.digests import digest_of
from ground.errors import Forbidden, Invalid
from models_registry.data import ImportedPrompt
from models_registry.models import Prompt
from models_registry.texts import check_json, check_messages, check_text, shown

MOST_ROWS = 10_000
FIELDS = ("external_id", "held_out", "messages", "metadata", "prompt")
_BATCH = 400


@transaction.atomic
def import_prompts(*, actor: Actor, project: Project, rows: Sequence[Any]) -> list[ImportedPrompt]:
    """Store prompts, once by content; one result per row, in order. A wrong row spoils none of the others.

    A row is {prompt: text | messages: [{role, content}], external_id?, held_out?, metadata?}. A prompt that is here
    already keeps its external id, metadata and held-out mark.
    """
    require_role(actor, *MANAGERS)
    if actor.project_id != project.pk:
        raise Forbidden(_("That actor belongs to another project."))
    if len(rows) > MOST_ROWS:
        raise Invalid(_("More than %d rows at once.") % MOST_ROWS, hint=_("Send them in several requests."))
    results: list[ImportedPrompt] = []
    parsed: dict[int, Prompt] = {}
    for index, row in enumerate(rows):
        try:
            parsed[index] = _parse(project, row)
        except ValueError as error:
            results.append(ImportedPrompt(index=index, status="invalid", error=str(error)))
    results += _store(project, parsed)
    made = sum(result.status == "created" for result in results)
    if made:
        record_event(
            project=project, actor=actor, verb="prompts.imported", object_id=project.public_id, data={"count": made}
        )
    return sorted(results, key=lambda result: result.index)


def keep_prompt(
    *,
    project: Project,
    messages: list[dict[str, str]],
    metadata: dict[str, Any] | None = None,
    held_out: bool = False,
) -> Prompt:
    """The project's prompt with these (checked) messages, made on first sight."""
    made = {"messages": messages, "metadata": metadata or {}, "held_out": held_out}
    prompt, _made = Prompt.objects.get_or_create(project=project, digest=digest_of(messages), defaults=made)
    return prompt


def _parse(project: Project, row: Any) -> Prompt:
    if not isinstance(row, dict):
        raise ValueError(_("Expected an object."))
    unknown = sorted(set(row) - set(FIELDS))
    if unknown:
        raise ValueError(
            _("%(name)s: unknown field. Known: %(known)s.") % {"name": shown(unknown[0]), "known": ", ".join(FIELDS)}
        )
    if ("prompt" in row) == ("messages" in row):
        raise ValueError(_("Give either prompt or messages."))
    messages = check_messages(row["messages"] if "messages" in row else [{"role": "user", "content": row["prompt"]}])
    held_out, metadata = row.get("held_out", False), row.get("metadata", {})
    external_id = check_text(row.get("external_id", ""), "external_id")
    if not isinstance(held_out, bool):
        raise ValueError(_("held_out: true or false."))
    if not isinstance(metadata, dict):
        raise ValueError(_("metadata: expected an object."))
    if len(external_id) > 200:
        raise ValueError(_("external_id: longer than 200 characters."))
    return Prompt(
        project=project,
        messages=messages,
        digest=digest_of(messages),
        external_id=external_id,
        held_out=held_out,
        metadata=check_json(metadata, "metadata"),
    )


def _store(project: Project, parsed: dict[int, Prompt]) -> list[ImportedPrompt]:
    """Insert what is new. Which rows won is read back by public id, so a concurrent import cannot be miscounted."""
    firsts: dict[str, Prompt] = {}
    for prompt in parsed.values():
        firsts.setdefault(prompt.digest, prompt)
    Prompt.objects.bulk_create(firsts.values(), ignore_conflicts=True, batch_size=_BATCH)
    stored: dict[str, str] = {}
    digests = list(firsts)
    for start in range(0, len(digests), _BATCH):
        found = Prompt.objects.filter(project=project, digest__in=digests[start : start + _BATCH])
        stored.update(found.values_list("digest", "public_id"))
    return [
        ImportedPrompt(
            index=index,
            status="created" if stored[prompt.digest] == prompt.public_id else "existing",
            id=stored[prompt.digest],
        )
        for index, prompt in parsed.items()
    ]
