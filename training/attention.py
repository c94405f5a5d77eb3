"""What needs a person, beside the next step: each a finding, why it matters, and where to go."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from accounts.models import Actor, Membership, Role
from annotation.models import Task
from annotation.selectors.queue import current_guideline
from jobs.models import Job
from models_registry.models import Deployment
from training.models import Run
from training.next_steps import Look


@dataclass(frozen=True, kw_only=True)
class Attention:
    """`kind`: bad, wait or good."""

    kind: str
    title: str
    text: str
    action: str
    url: str


def needs_a_person(look: Look, judges: list[dict[str, Any]]) -> list[Attention]:
    """`judges` as annotation.selectors.judges gives them. What is broken comes first."""
    return [
        *_failed_runs(look),
        *_failed_freeze(look),
        *_failed_servers(look),
        *_lost_feedback(look),
        *_waits_for_review(look),
        *_no_guidelines(look),
        *_only_simulated(look, judges),
    ]


def _failed_runs(look: Look) -> list[Attention]:
    """The last run of a method, when it failed: one that went well since makes the failure history."""
    latest: dict[str, Run] = {}
    for run in Run.objects.filter(project=look.project).select_related("job").order_by("number"):
        latest[run.method] = run
    return [_failed_run(look, run) for run in latest.values() if run.job.state == Job.State.FAILED]


def _failed_run(look: Look, run: Run) -> Attention:
    error = run.job.error or {}
    return Attention(
        kind="bad",
        title=_("Run %(number)d failed: %(method)s.") % {"number": run.number, "method": run.get_method_display()},
        text=" ".join(str(error[name]) for name in ("message", "hint") if error.get(name)) or _("Its log says why."),
        action=_("Look at run %d") % run.number,
        url=look.room("run", run.public_id),
    )


def _failed_freeze(look: Look) -> list[Attention]:
    last = Job.objects.filter(project=look.project, kind="freeze").order_by("-pk").first()
    if last is None or last.state != Job.State.FAILED:
        return []
    error = last.error or {}
    text = " ".join(str(error[name]) for name in ("message", "hint") if error.get(name))
    return [
        Attention(
            kind="bad",
            title=_("The last snapshot could not be written."),
            text=text,
            action=_("Open the data"),
            url=look.room("data", end="#freeze"),
        )
    ]


def _failed_servers(look: Look) -> list[Attention]:
    failed = Deployment.objects.filter(project=look.project, wanted=True, state=Deployment.State.FAILED)
    return [
        Attention(
            kind="bad",
            title=_("No server answers for %s.") % (deployment.version or deployment.url),
            text=deployment.error[:300] or _("Its log says why."),
            action=_("Open the models"),
            url=look.room("models"),
        )
        for deployment in failed.select_related("version__model")
    ]


def _lost_feedback(look: Look) -> list[Attention]:
    pending = look.numbers["settle"]["pending"]
    if not pending:
        return []
    return [
        Attention(
            kind="wait",
            title=ngettext(
                "%d piece of feedback names a response that is not here.",
                "%d pieces of feedback name responses that are not here.",
                pending,
            )
            % pending,
            text=_("They are kept, and counted as soon as the responses come in."),
            action=_("Look at the counts"),
            url=look.room("data", end="#feedback"),
        )
    ]


def _waits_for_review(look: Look) -> list[Attention]:
    waits = Task.objects.filter(project=look.project, resolution=Task.Resolution.WAITING)
    count = waits.exclude(state=Task.State.ARCHIVED).count()
    if not count:
        return []
    return [
        Attention(
            kind="wait",
            title=ngettext("%d task waits for a reviewer.", "%d tasks wait for a reviewer.", count) % count,
            text=_("People disagree there, or somebody wants a second look."),
            action=_("Review"),
            url=look.room("review"),
        )
    ]


def _no_guidelines(look: Look) -> list[Attention]:
    if not look.numbers["judge"]["tasks"] or current_guideline(look.project):
        return []
    return [
        Attention(
            kind="wait",
            title=_("People judge without guidelines."),
            text=_("A page that says what a good answer is makes them agree more."),
            action=_("Write guidelines"),
            url=look.room("guidelines"),
        )
    ]


def _only_simulated(look: Look, judges: list[dict[str, Any]]) -> list[Attention]:
    if not judges or any(judge["actor__kind"] == Actor.Kind.PERSON for judge in judges):
        return []
    people = Membership.objects.filter(project=look.project, actor__kind=Actor.Kind.PERSON, role=Role.ANNOTATOR)
    count = people.count()
    return [
        Attention(
            kind="wait",
            title=_("Only simulated annotators have judged so far."),
            text=ngettext("%d person may label here.", "%d people may label here.", count) % count,
            action=_("See the members"),
            url=look.room("settings"),
        )
    ]
