"""Review: what waits, a case side by side, and the rulings that go back to annotators."""

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from accounts.models import Actor
from accounts.selectors import get_member_for
from accounts.services import EVERYBODY, MANAGERS, REVIEWERS, role_of
from annotation.answer_words import in_words, shown_in, summary_of
from annotation.errors import OwnWork
from annotation.forms.review import OWN, WatchForm, decision_from
from annotation.models import Case
from annotation.page_form import can_be_asked, controls_of
from annotation.selectors import reviews as selectors
from annotation.services import reviews
from annotation.services.settling import reopen_case, settle
from ground.digests import digest_of
from ground.errors import DomainError, NotFound

PAGE = 50
LATEST = 10
RULINGS = 25
MOST_PAGES = 10_000


@login_required
def review(request: HttpRequest, slug: str) -> HttpResponse:
    """What waits for a reviewer, and what was settled last."""
    return _list(request, get_member_for(request, slug, *REVIEWERS))


def _list(request: HttpRequest, actor: Actor, *, form: WatchForm | None = None) -> HttpResponse:
    project = actor.project
    reason = request.GET.get("reason", "")
    reason = reason if reason in Case.Reason.values else ""
    waits = selectors.cases_of(project, state="waiting", reason=reason).order_by("pk")
    after = request.GET.get("after", "")
    if after:
        waits = waits.filter(pk__gt=selectors.get_case_for(actor, after).pk)
    rows = list(waits[: PAGE + 1])
    settled = selectors.cases_of(project, state="settled").order_by("-settled_at", "-pk")[:LATEST]
    context = {
        "project": project,
        "place": "queue",
        "manages": role_of(actor) in MANAGERS,
        "counts": selectors.waiting_counts(actor),
        "reason": reason,
        "reasons": Case.Reason.choices,
        "cases": selectors.listed(actor, rows[:PAGE]),
        "next_url": f"?reason={reason}&after={rows[PAGE - 1].public_id}" if len(rows) > PAGE else "",
        "settled": [selectors.summary(case, case.created_at) | {"cause_text": _cause(case)} for case in settled],
    }
    if context["manages"]:
        context |= {"watched": selectors.watched_in(project), "watch_form": form or _watch_form(actor)}
    return render(request, "annotation/review.html", context, status=422 if form else 200)


def _cause(case: Case) -> str:
    return str(Case.Cause(case.cause).label) if case.cause else ""


def _watch_form(actor: Actor, data: Any = None) -> WatchForm:
    known = selectors.annotators_of(actor.project)
    return WatchForm(data, annotators=[(row.public_id, str(row)) for row in known])


@require_POST
@login_required
def watch(request: HttpRequest, slug: str) -> HttpResponse:
    """Have a share of somebody's answers reviewed from now on, or none any more."""
    actor = get_member_for(request, slug, *MANAGERS)
    form = _watch_form(actor, request.POST)
    if not form.is_valid():
        return _list(request, actor, form=form)
    asked = form.cleaned_data
    annotator = selectors.get_annotator_for(actor, asked["annotator"])
    try:
        row = reviews.watch(actor=actor, annotator=annotator, rate=asked["share"] / 100, reason=asked["reason"])
    except DomainError as error:
        form.refuse(error)
        return _list(request, actor, form=form)
    done = (
        _("From now on %(share)d %% of the answers of %(name)s are reviewed.")
        if row
        else _("%(name)s is reviewed no more.")
    )
    messages.success(request, done % {"share": asked["share"], "name": annotator})
    return redirect(reverse("review", args=[slug]) + "#watched")


@require_POST
@login_required
def next_case(request: HttpRequest, slug: str) -> HttpResponse:
    """The case in hand or the oldest one; `after` passes over it."""
    actor = get_member_for(request, slug, *REVIEWERS)
    after = request.POST.get("after", "")
    return _go_on(request, actor, selectors.get_case_for(actor, after) if after else None)


def _go_on(request: HttpRequest, actor: Actor, after: Case | None = None) -> HttpResponse:
    found = reviews.next_case(actor=actor, after=after)
    if found is not None:
        return redirect("review-case", actor.project.slug, found.public_id)
    messages.info(request, _("No other case waits for you."))
    return redirect("review", actor.project.slug)


@login_required
def case(request: HttpRequest, slug: str, case: str) -> HttpResponse:
    """One case: looked at, or (POST) settled; then the next one is there."""
    actor = get_member_for(request, slug, *REVIEWERS)
    found = selectors.get_case_for(actor, case)
    if request.method != "POST":
        return _page(request, actor, found)
    try:
        settle(actor=actor, case=found, decision=decision_from(request.POST))
    except DomainError as error:
        return _page(request, actor, selectors.get_case_for(actor, case), error=error)
    messages.success(request, _("Settled. Its annotators are told."))
    return _go_on(request, actor)


@require_POST
@login_required
def act(request: HttpRequest, slug: str, case: str, action: str) -> HttpResponse:
    """Take, release, reopen or unblind a case, or ask for another review of its task."""
    actor = get_member_for(request, slug, *REVIEWERS)
    found = selectors.get_case_for(actor, case)
    try:
        if action == "unblind":
            return _page(request, actor, found, authors=reviews.unblind(actor=actor, case=found))
        if action == "release":
            reviews.release_case(actor=actor, case=found)
            return _go_on(request, actor, found)
        if action == "again":
            again = reviews.ask_for_review(actor=actor, task=found.task)
            return redirect("review-case", slug, again.public_id)
        if action not in ("take", "reopen"):
            raise NotFound(_("There is no such action."))
        (reviews.take_case if action == "take" else reopen_case)(actor=actor, case=found)
    except DomainError as error:
        return _page(request, actor, selectors.get_case_for(actor, case), error=error)
    return redirect("review-case", slug, case)


def _page(
    request: HttpRequest,
    actor: Actor,
    found: Case,
    *,
    error: DomainError | None = None,
    authors: dict[str, Actor] | None = None,
) -> HttpResponse:
    """The case; what was typed stays when a settlement is refused."""
    context: dict[str, Any] = {
        "project": actor.project,
        "place": "queue",
        "manages": role_of(actor) in MANAGERS,
        "error": error,
        "posted": request.POST if error else {},
    }
    try:
        context |= _shown(actor, found, context["posted"], authors or {})
    except OwnWork as own:
        context |= {"case": selectors.summary(found, found.created_at), "own": own}
    return render(request, "annotation/review_case.html", context, status=error.status if error else 200)


def _shown(actor: Actor, found: Case, posted: Any, authors: dict[str, Actor]) -> dict[str, Any]:
    shown = selectors.shown_case(actor, found)
    content, schema = shown["content"], found.task.schema
    questions = content["questions"]
    seen = shown_in(content["data"], content["prompt"], content["candidates"])
    for answer in shown["answers"]:
        name = answer["id"]
        answer["entries"] = in_words(questions, answer["answers"], seen)
        answer["summary"] = summary_of(questions, answer["answers"])
        answer["same"] = _judgements_alone(answer["answers"])
        answer["verdict"] = posted.get(f"verdict-{name}", answer["verdict"])
        answer["comment"] = posted.get(f"comment-{name}", answer["comment"])
        answer["author"] = authors.get(name)
    return {
        "case": shown,
        "stands": in_words(questions, shown["stands"], seen) if shown["stands"] else [],
        "form": controls_of(schema.public_id, questions) if can_be_asked(questions) else None,
        "own_answer": posted.get(OWN, ""),
        "causes": Case.Cause.choices,
        "cause_text": _cause(found),
        "reopens": found.state == Case.State.SETTLED and (role_of(actor) in MANAGERS or found.reviewer_id == actor.pk),
        "lease_minutes": int(reviews.LEASE.total_seconds() // 60),
    }


def _judgements_alone(answers: dict[str, Any]) -> str:
    """The same for answers that judge the same, whatever was written beside them."""
    return digest_of({name: {**said, "reason": "", "flags": []} for name, said in answers.items()})


@login_required
def rulings(request: HttpRequest, slug: str) -> HttpResponse:
    """Feedback on one's own work; POST marks it all as read."""
    actor = get_member_for(request, slug, *EVERYBODY)
    if request.method == "POST":
        reviews.mark_read(actor=actor)
        return redirect("rulings", slug)
    asked = request.GET.get("page", "")
    page = min(int(asked), MOST_PAGES) if asked.isascii() and asked.isdigit() and len(asked) < 6 else 0
    found = list(selectors.rulings_for(actor)[page * RULINGS : (page + 1) * RULINGS + 1])
    shown = selectors.shown_rulings(actor, found[:RULINGS])
    for ruling in shown:
        seen = shown_in(ruling["data"], ruling["prompt"], ruling["candidates"])
        ruling["entries"] = in_words(ruling["questions"], ruling["answers"], seen)
        ruling["now"] = in_words(ruling["questions"], ruling["stands"], seen) if ruling["stands"] else []
    context = {
        "project": actor.project,
        "place": "label",
        "rulings": shown,
        "unread": selectors.unread_rulings(actor),
        "next_url": f"?page={page + 1}" if len(found) > RULINGS else "",
    }
    return render(request, "annotation/rulings.html", context)
