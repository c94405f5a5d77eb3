"""Which completions stand against each other."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from django.utils.translation import gettext as _

from accounts.models import Actor
from ground.errors import Invalid, NotFound
from jobs.models import Job
from models_registry.models import Completion

Pair = tuple[Completion, Completion]


def pairs_from_ids(actor: Actor, ids: Iterable[dict[str, str]]) -> list[Pair]:
    """The named completions of the actor's project. Errors: Invalid naming the first unknown one."""
    wanted = [(pair["first"], pair["second"]) for pair in ids]
    names = {name for pair in wanted for name in pair}
    found = {row.public_id: row for row in Completion.objects.filter(project=actor.project, public_id__in=names)}
    unknown = sorted(names - set(found))
    if unknown:
        raise Invalid(_("There is no completion %(id)s in this project.") % {"id": unknown[0]})
    return [(found[first], found[second]) for first, second in wanted]


def pairs_from_job(actor: Actor, public_id: str) -> list[Pair]:
    """Two different samples of every prompt of a generation. Prompts whose samples all read alike teach nothing: left out."""
    job = Job.objects.filter(project=actor.project, public_id=public_id, kind="generate").first()
    if job is None:
        raise NotFound(_("There is no generation %(id)s in this project.") % {"id": public_id})
    if job.state != Job.State.SUCCEEDED:
        raise Invalid(
            _("This generation is %(state)s.") % {"state": job.get_state_display()}, hint=_("Wait until it succeeded.")
        )
    return two_of_each(Completion.objects.filter(job=job).order_by("pk"))


def two_of_each(completions: Iterable[Completion]) -> list[Pair]:
    """The first two samples with different texts of each prompt, in the prompts' order."""
    by_prompt: dict[int, dict[str, Completion]] = defaultdict(dict)
    for completion in completions:
        by_prompt[completion.prompt_id].setdefault(completion.digest, completion)
    return [_first_two(different) for different in by_prompt.values() if len(different) > 1]


def _first_two(different: dict[str, Any]) -> Pair:
    first, second = list(different.values())[:2]
    return first, second
