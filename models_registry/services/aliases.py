"""Names that move."""

from django.db import IntegrityError, transaction
from django.utils.text import slugify
from django.utils.translation import gettext as _

from accounts.models import Actor
from accounts.services import MANAGERS, record_event, require_role
from ground.errors import Conflict, Invalid, NotFound
from jobs import notices
from models_registry.models import Alias, AliasMove, Model, ModelVersion, Verdict
from models_registry.signals import alias_moved

SERVES = (Verdict.Outcome.BETTER, Verdict.Outcome.OVERRIDE, Verdict.Outcome.BOOTSTRAP)


@transaction.atomic
def move_alias(
    *,
    actor: Actor | None,
    model: Model,
    name: str,
    version: ModelVersion,
    verdict: Verdict | None = None,
    expected_generation: int,
    reason: str = "",
) -> Alias:
    """Point `name` at `version` if it still stands at `expected_generation` (0: it does not exist yet).

    `champion` needs a verdict on that version that lets it serve, made against the champion of now. Logged;
    `alias_moved` is sent on commit. `actor` None is the system itself. Errors: Conflict when somebody moved it first.
    """
    _check_move(actor, model, name, version)
    alias = Alias.objects.filter(model=model, name=name).select_related("version").first()
    if name == Alias.CHAMPION:
        _check_verdict(alias, version, verdict)
    if expected_generation == 0:
        alias = _create(model, name, version, verdict)
        return _log(alias, None, actor, reason)
    if alias is None:
        raise Conflict(_("There is no alias %s yet.") % name, hint=_("Expect generation 0 to make it."), generation=0)
    return _log(_advance(alias, version, verdict, expected_generation), alias.version, actor, reason)


@transaction.atomic
def roll_back(*, actor: Actor | None, alias: Alias, expected_generation: int | None = None, reason: str = "") -> Alias:
    """Back to what the name meant before the move in force; the verdict of then counts again. One transaction.

    Twice in a row goes back two steps, never forth again. Errors: Conflict when there is nothing before.
    """
    if actor is not None:
        _check_owner(actor, alias.model)
    alias = Alias.objects.select_for_update(of=("self",)).select_related("version", "model").get(pk=alias.pk)
    earlier = _before(alias)
    if earlier is None:
        raise Conflict(_("%s has never pointed at anything else.") % alias, hint=_("Move it instead."))
    expected = alias.generation if expected_generation is None else expected_generation
    reason = reason or _("rollback")
    return _log(_advance(alias, earlier.to_version, earlier.verdict, expected), alias.version, actor, reason)


def _check_owner(actor: Actor, model: Model) -> None:
    if model.project_id != actor.project_id:
        raise NotFound(_("There is no model %s here to move.") % model.slug, hint=_("Library models have no aliases."))
    require_role(actor, *MANAGERS)


def _check_move(actor: Actor | None, model: Model, name: str, version: ModelVersion) -> None:
    if actor is not None:
        _check_owner(actor, model)
    if not name or name != slugify(name) or name.isdigit() or len(name) > 40:
        raise Invalid(_("An alias is up to 40 small letters, digits, - and _, and not a number."))
    if version.model_id != model.pk:
        raise Invalid(_("%(version)s is no version of %(model)s.") % {"version": version, "model": model.slug})


def _check_verdict(alias: Alias | None, version: ModelVersion, verdict: Verdict | None) -> None:
    """The trigger holds the invariant; this says kindly what it would refuse, and refuses evidence that went stale."""
    if verdict is None or verdict.version_id != version.pk or verdict.outcome not in SERVES:
        raise Invalid(
            _("The champion needs a verdict on %s: better, override or bootstrap.") % version,
            hint=_("Evaluate it against the champion, or override with a reason."),
        )
    now = alias.version_id if alias else None
    if verdict.outcome == Verdict.Outcome.BOOTSTRAP and now is not None:
        raise Conflict(_("This model has a champion already."), hint=_("Compare with it, or override with a reason."))
    if verdict.outcome == Verdict.Outcome.BETTER and now is not None and verdict.champion_id != now:
        raise Conflict(
            _("This verdict was made against %s, which is not the champion now.") % verdict.champion,
            hint=_("Compare with the champion of now."),
        )


def _create(model: Model, name: str, version: ModelVersion, verdict: Verdict | None) -> Alias:
    try:
        with transaction.atomic():
            return Alias.objects.create(model=model, name=name, version=version, verdict=verdict)
    except IntegrityError as error:
        found = Alias.objects.filter(model=model, name=name).first()
        raise _moved_first(found.generation if found else 0) from error


def _advance(alias: Alias, version: ModelVersion, verdict: Verdict | None, expected: int) -> Alias:
    """Compare-and-set: of two who move at once the row count lets one win."""
    moved = Alias.objects.filter(pk=alias.pk, generation=expected).update(
        version=version, verdict=verdict, generation=expected + 1
    )
    if not moved:
        raise _moved_first(Alias.objects.get(pk=alias.pk).generation)
    return Alias.objects.select_related("version", "model", "verdict").get(pk=alias.pk)


def _moved_first(generation: int) -> Conflict:
    return Conflict(
        _("Somebody moved this alias first; it stands at generation %d.") % generation,
        hint=_("Look again, then move it from there."),
        generation=generation,
    )


def _log(alias: Alias, before: ModelVersion | None, actor: Actor | None, reason: str) -> Alias:
    move = AliasMove.objects.create(
        alias=alias,
        from_version=before,
        to_version=alias.version,
        verdict=alias.verdict,
        generation=alias.generation,
        actor=actor,
        reason=reason,
    )
    record_event(
        project=alias.model.project,
        actor=actor,
        verb="alias.moved",
        object_id=alias.public_id,
        data={"name": alias.name, "version": alias.version.public_id, "generation": alias.generation},
    )
    notices.tell(project_id=alias.model.project_id, topic="alias.moved", object_id=move.pk)
    transaction.on_commit(lambda: _announce(alias, move))
    return alias


def _announce(alias: Alias, move: AliasMove) -> None:
    # Robust: Django logs a listener's failure, and the listener's sweep repairs it; the move stands.
    alias_moved.send_robust(sender=Alias, alias=alias, move=move)


def _before(alias: Alias) -> AliasMove | None:
    """The move to return to, by replaying the log: a move to a (version, verdict) seen below the top is a rollback."""
    stack: list[AliasMove] = []
    for move in alias.moves.select_related("to_version", "verdict").order_by("generation"):
        pairs = [(seen.to_version_id, seen.verdict_id) for seen in stack]
        pair = (move.to_version_id, move.verdict_id)
        stack = stack[: pairs.index(pair) + 1] if pair in pairs else [*stack, move]
    return stack[-2] if len(stack) > 1 else None
