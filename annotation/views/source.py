"""The source of every text on a page, fetched when somebody asks to see it."""

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, JsonResponse
from django.views.decorators.http import require_GET

from accounts.selectors import get_member_for
from accounts.services import EVERYBODY, REVIEWERS
from annotation.display import order_for
from annotation.models import Case
from annotation.selectors import reviews, sources, tasks
from annotation.selectors.queue import get_slot_for
from annotation.services.reviews import refuse_own


@require_GET
@login_required
def of_slot(request: HttpRequest, slug: str, slot: str) -> JsonResponse:
    actor = get_member_for(request, slug, *EVERYBODY)
    return JsonResponse(sources.of_slot(actor, get_slot_for(actor, slot), slot))


@require_GET
@login_required
def of_case(request: HttpRequest, slug: str, case: str) -> JsonResponse:
    actor = get_member_for(request, slug, *REVIEWERS)
    row = reviews.get_case_for(actor, case)
    if row.state in (Case.State.OPEN, Case.State.LEASED):
        refuse_own(actor, row.task_id)
    return JsonResponse(sources.of_task(row.task, order_for(actor, row.task)))


@require_GET
@login_required
def of_task(request: HttpRequest, slug: str, task: str) -> JsonResponse:
    actor = get_member_for(request, slug, *REVIEWERS)
    return JsonResponse(sources.of_task(tasks.get_task_for(actor, task)))
