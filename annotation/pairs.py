"""Which completions are judged together."""

from collections import defaultdict
from collections.abc import Iterable, Sequence

from django.utils.translation import gettext as _

from accounts.models import Actor
from ground.errors import Invalid, NotFound
from jobs.models import Job
from models_registry.models import Completion

Pair = tuple[Completion, Completion]


def pairs_from_ids(actor: Actor, ids: Iterable[dict[str, str]]) -> list[Pair]:
    """The named completions of the actor's project. Errors: Invalid naming the first unknown one."""
    groups = groups_from_ids(actor, [(pair["first"], pair["second"]) for pair in ids])
    return [(first, second) for first, second in groups]


def groups_from_ids(actor: Actor, groups: Sequence[Sequence[str]]) -> list[list[Completion]]:
    """The named completions of the actor's project, in the order named. Errors: Invalid naming the first unknown one."""
    names = {name for group in groups for name in group}
    found = {row.public_id: row for row in Completion.objects.filter(project=actor.project, public_id__in=names)}
    unknown = sorted(names - set(found))
    if unknown:
        raise Invalid(_("There is no completion %(id)s in this project.") % {"id": unknown[0]})
    return [[found[name] for name in group] for group in groups]


def pairs_from_job(actor: Actor, public_id: str) -> list[Pair]:
    """Two different samples of every prompt of a generation. Prompts whose samples all read alike teach nothing: left out."""
    return [(first, second) for first, second in groups_from_job(actor, public_id, least=2, most=2)]


def groups_from_job(actor: Actor, public_id: str, *, least: int, most: int) -> list[list[Completion]]:
    """Up to `most` different samples of every prompt of a generation; prompts with fewer than `least` are left out."""
    job = Job.objects.filter(project=actor.project, public_id=public_id, kind="generate").first()
    if job is None:
        raise NotFound(_("There is no generation %(id)s in this project.") % {"id": public_id})
    if job.state != Job.State.SUCCEEDED:
        raise Invalid(
            _("This generation is %(state)s.") % {"state": job.get_state_display()}, hint=_("Wait until it succeeded.")
        )
    return some_of_each(Completion.objects.filter(job=job).order_by("pk"), least=least, most=most)


def some_of_each(completions: Iterable[Completion], *, least: int, most: int) -> list[list[Completion]]:
    """The first samples with different texts of each prompt, in the prompts' order."""
    by_prompt: dict[int, dict[str, Completion]] = defaultdict(dict)
    for completion in completions:
        by_prompt[completion.prompt_id].setdefault(completion.digest, completion)
    return [list(different.values())[:most] for different in by_prompt.values() if len(different) >= least]
