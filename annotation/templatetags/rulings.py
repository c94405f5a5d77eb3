"""How many rulings on one's own answers are new, for a badge on pages that know nothing of review."""

from django import template
from django.template.context import Context

from accounts.models import Actor, User
from annotation.selectors.reviews import unread_rulings

register = template.Library()


@register.simple_tag(takes_context=True)
def new_rulings(context: Context) -> int:
    """For the reader of the page, in the project of the page; 0 without either."""
    user, project = getattr(context.get("request"), "user", None), context.get("project")
    if not isinstance(user, User) or project is None:
        return 0
    actor = Actor.objects.filter(user=user, project=project).first()
    return unread_rulings(actor) if actor else 0
