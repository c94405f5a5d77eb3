"""Schemas by their pages: the list, and the composer with its form, its text and its preview."""

import json
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.template import TemplateDoesNotExist
from django.template.loader import get_template
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST

from accounts.models import Actor
from accounts.selectors import get_member_for
from accounts.services import MANAGERS, REVIEWERS, role_of
from annotation import composing, schema_text
from annotation.errors import SchemaOutdated
from annotation.page_form import controls_of
from annotation.questions import POSITIONS, Problem, needs
from annotation.schema_templates import TEMPLATES, taken, template_of
from annotation.schemas import check_data, schema_errors
from annotation.selectors.schemas import get_schema_for, latest_of, schemas_of, task_counts
from annotation.services.schemas import move_tasks, publish_schema
from annotation.showing import shown_fields, shown_turns
from ground.errors import DomainError, Invalid

TABS = ("form", "yaml", "json")
LONGEST_SAMPLE = 200_000


@dataclass
class Composed:
    """What the composer shows: the form or the text (`tab`), whichever was typed in last, and what is wrong with it."""

    name: str = ""
    based_on: str = ""
    tab: str = "form"
    form: dict[str, str] = field(default_factory=dict)
    text: str = ""
    sample: str = ""
    body: Any = None
    errors: list[Problem] = field(default_factory=list)

    def read(self) -> "Composed":
        """Its body out of what was typed, and what is wrong with that."""
        try:
            self.body = composing.body_of(self.form) if self.tab == "form" else schema_text.read(self.text, self.tab)
        except ValueError as error:
            self.body, self.errors = None, [("", str(error))]
            return self
        self.body = {"schema_version": 1, **self.body}
        self.errors = schema_errors(self.body)
        return self

    def turn_to(self, tab: str) -> None:
        """Show it the other way; as text it stays where the form could not say all of it."""
        if self.body is None or tab == self.tab:
            return
        if tab == "form" and not composing.fits_form(self.body):
            self.errors = [
                *self.errors,
                ("", _("The form cannot show all of this: edit it as text, or mend it first.")),
            ]
            return
        self.tab = tab
        if tab == "form":
            self.form, self.text = composing.form_of(self.body), ""
        else:
            self.text = schema_text.write(self.body, tab)


@login_required
def schemas(request: HttpRequest, slug: str) -> HttpResponse:
    """Every schema with its versions, and templates to begin a new one with."""
    actor = get_member_for(request, slug, *REVIEWERS)
    counts = task_counts(actor.project)
    versions: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in schemas_of(actor.project):
        kinds = [str(composing.KIND_WORDS[question["kind"]]) for question in row.body["questions"]]
        versions[row.name].append({"schema": row, "kinds": kinds, **counts.get(row.pk, {"tasks": 0, "unanswered": 0})})
    context = {
        "project": actor.project,
        "place": "queue",
        "manages": role_of(actor) in MANAGERS,
        "rows": [{"name": name, "latest": rows[0], "versions": rows} for name, rows in sorted(versions.items())],
        "templates": TEMPLATES,
    }
    return render(request, "annotation/schemas.html", context)


@login_required
def compose(request: HttpRequest, slug: str, schema: str = "") -> HttpResponse:
    """The composer: of a template (`?from=`), of nothing, or of a schema there is. What was typed is never lost."""
    actor = get_member_for(request, slug, *MANAGERS)
    if request.method == "POST":
        return _acted(request, actor)
    return _page(request, actor, _begun(request, actor, schema))


def _begun(request: HttpRequest, actor: Actor, schema: str) -> Composed:
    template = template_of(request.GET.get("from", ""))
    composed = Composed()
    if schema:
        row = get_schema_for(actor, schema)
        composed.body, composed.name, composed.based_on = row.body, row.name, row.public_id
    elif template is not None:
        found = taken(template)
        composed.body, composed.name = found["body"], found["name"]
        composed.sample = _as_text(found["sample"])
    else:
        composed.body = {"schema_version": 1, "questions": []}
    if composing.fits_form(composed.body):
        composed.form = composing.form_of(composed.body)
    else:
        composed.tab, composed.text = "yaml", schema_text.write(composed.body, "yaml")
    composed.errors = schema_errors(composed.body) if composed.body["questions"] else []
    return composed


def _sent(request: HttpRequest) -> Composed:
    sent = request.POST
    tab = sent.get("tab", "form")
    return Composed(
        name=sent.get("name", "").strip(),
        based_on=sent.get("based_on", ""),
        tab=tab if tab in TABS else "form",
        form={key: str(value) for key, value in sent.items() if key.startswith(("fields", "questions", "schema-"))},
        text=sent.get("text", ""),
        sample=sent.get("sample", ""),
    ).read()


def _acted(request: HttpRequest, actor: Actor) -> HttpResponse:
    composed, act = _sent(request), request.POST.get("act", "")
    verb, _colon, rest = act.partition(":")
    if verb == "publish":
        return _publish(request, actor, composed)
    if verb == "tab" and rest in TABS:
        composed.turn_to(rest)
        return _page(request, actor, composed, focus=f"tab-{composed.tab}")
    if composed.tab == "form":
        composed.form, focus = composing.act_on(composed.form, act)
        return _page(request, actor, composed.read(), focus=focus)
    return _page(request, actor, composed)


def _publish(request: HttpRequest, actor: Actor, composed: Composed) -> HttpResponse:
    if composed.errors:
        return _page(request, actor, composed, status=422)
    try:
        schema, made = publish_schema(actor=actor, name=composed.name, body=composed.body, based_on=composed.based_on)
    except SchemaOutdated as error:
        newer = latest_of(actor, composed.name)
        return _page(request, actor, composed, status=error.status, refused=error, newer=newer)
    except DomainError as error:
        return _page(request, actor, composed, status=error.status, refused=error)
    if made:
        messages.success(request, _("%s is published. New tasks can ask it from now on.") % schema)
    else:
        messages.info(request, _("%s reads so already; nothing was published.") % schema)
    return redirect("schemas", actor.project.slug)


def _page(
    request: HttpRequest,
    actor: Actor,
    composed: Composed,
    *,
    status: int = 200,
    focus: str = "",
    refused: DomainError | None = None,
    newer: Any = None,
) -> HttpResponse:
    context = {
        "project": actor.project,
        "place": "queue",
        "composed": composed,
        "parts": _parts(composed) if composed.tab == "form" else {},
        "kinds": composing.KIND_WORDS,
        "tabs": TABS,
        "focus": focus,
        "refused": refused,
        "newer": newer,
        "told": composed.errors if status == 422 or composed.tab != "form" else [],
        "preview": _preview(actor, composed),
    }
    return render(request, "annotation/schema_compose.html", context, status=status)


def _parts(composed: Composed) -> dict[str, Any]:
    """The form's inputs with what stands in them and what is wrong there."""
    body = composed.body
    problems: dict[str, list[str]] = defaultdict(list)
    for path, told in composed.errors:
        problems[_input_of(path)].append(told if _input_of(path) == _plain_input(path) else f"{path}: {told}")
    fields = [
        _part(composed.form, problems, composing.FIELD, f"fields-{n}") for n in range(len(body.get("fields", [])))
    ]
    questions = []
    for place, question in enumerate(body["questions"]):
        here, kind = f"questions-{place}", question["kind"]
        part = _part(composed.form, problems, (*composing.QUESTION, *composing.OWN.get(kind, ())), here)
        when = _part(composed.form, problems, composing.WHEN, here)
        asked_after = any(one["value"] or one["errors"] for one in when["inputs"])
        questions.append(
            {
                **part,
                "kind": kind,
                "called": composing.KIND_WORDS.get(kind, kind),
                "when": when["inputs"],
                "asked_after": asked_after,
            }
        )
    whole = _part(composed.form, problems, composing.SCHEMA, "schema")
    return {"fields": fields, "questions": questions, "whole": whole["inputs"]}


def _part(form: dict[str, str], problems: dict[str, list[str]], inputs: Any, here: str) -> dict[str, Any]:
    shown = []
    for item in inputs:
        name = f"{here}-{item.name}"
        usual = "on" if item.kind == "check" and item.default and not any(key.startswith(here) for key in form) else ""
        shown.append({"item": item, "id": name, "value": form.get(name, usual), "errors": problems.get(name, [])})
    return {"here": here, "inputs": shown, "errors": problems.get(here, [])}


def _plain_input(path: str) -> str:
    return path.replace("[", "-").replace("].", "-").replace("]", "")


def _input_of(path: str) -> str:
    """`questions[1].options[3].value` → `questions-1-options`."""
    parts = _plain_input(path).replace("when.", "when_").replace("turns.", "turns_").split("-")
    if parts[0] in ("layout", "sensitive"):
        return f"schema-{parts[0]}"
    return "-".join(part.split(".")[0] for part in parts[:3])


@require_POST
@login_required
def preview(request: HttpRequest, slug: str) -> HttpResponse:
    """What annotators would see of what is typed now, and what is wrong with it."""
    actor = get_member_for(request, slug, *MANAGERS)
    composed = _sent(request)
    context = {"project": actor.project, "composed": composed, "preview": _preview(actor, composed)}
    return render(request, "annotation/_schema_preview.html", context)


def _preview(actor: Actor, composed: Composed) -> dict[str, Any]:
    """The task and its questions, or the sentence why there are none."""
    if composed.body is None or composed.errors:
        return {"errors": composed.errors, "sample": composed.sample}
    body, needed = composed.body, needs(composed.body)
    made = _as_text(composing.sample_for(body, max(needed.least, 0), needed.prompt))
    sample, problem = _sample(composed.sample or made)
    if sample is not None:
        problem = _misfit(body, sample)
    if problem and composed.sample:
        told, (sample, _problem) = problem, _sample(made)
        found = {**_shown(body, sample or {}), "told": told}
    else:
        found = _shown(body, sample or {})
    return {**found, "sample": composed.sample or made, "errors": []}


def _sample(text: str) -> tuple[dict[str, Any] | None, str]:
    try:
        if len(text) > LONGEST_SAMPLE:
            raise ValueError(_("The sample is longer than %d characters.") % LONGEST_SAMPLE)
        return schema_text.read(text, "json"), ""
    except ValueError as error:
        return None, str(error)


def _misfit(body: dict[str, Any], sample: dict[str, Any]) -> str:
    """Why a sample cannot be shown; empty where it can."""
    needed = needs(body)
    responses, prompt = sample.get("responses", []), sample.get("prompt", [])
    try:
        check_data(body, sample.get("data", {}))
    except ValueError as error:
        return str(error)
    texts = isinstance(responses, list) and all(isinstance(text, str) for text in responses)
    if not texts or not needed.least <= len(responses) <= max(needed.most, needed.least):
        told = {"least": needed.least, "most": needed.most}
        return _("responses: needs a list of %(least)d to %(most)d texts.") % told
    turns = isinstance(prompt, list) and all(
        isinstance(turn, dict) and isinstance(turn.get("role"), str) and isinstance(turn.get("content"), str)
        for turn in prompt
    )
    return "" if turns else _("prompt: needs a list of {role, content}.")


def _shown(body: dict[str, Any], sample: dict[str, Any]) -> dict[str, Any]:
    questions = body["questions"]
    form = (
        controls_of("preview", [question for question in questions if question["kind"] != "chat"])
        if any(question["kind"] != "chat" for question in questions)
        else None
    )
    if form is not None:
        form["place"] = "sheet"
        form["questions"] = [asked for asked in form["questions"] if _has_template(asked["template"])]
    texts = sample.get("responses", [])
    return {
        "form": form,
        "talks": [question["text"] for question in questions if question["kind"] == "chat"],
        "fields": shown_fields(body.get("fields", []), sample.get("data", {}), questions),
        "turns": shown_turns(sample.get("prompt", [])),
        "candidates": [{"side": side, "text": text} for side, text in zip(POSITIONS, texts, strict=False)],
        "layout": body.get("layout", ""),
    }


def _has_template(name: str) -> bool:
    try:
        get_template(name)
    except TemplateDoesNotExist:
        return False
    return True


def _as_text(sample: dict[str, Any]) -> str:
    return json.dumps(sample, ensure_ascii=False, indent=2)


@require_POST
@login_required
def move(request: HttpRequest, slug: str, schema: str) -> HttpResponse:
    """Put the unanswered tasks of a version under the newest one of its name."""
    actor = get_member_for(request, slug, *MANAGERS)
    old = get_schema_for(actor, schema)
    try:
        newest = latest_of(actor, old.name)
        if newest is None:
            raise Invalid(_("There is no newer version."))
        result = move_tasks(actor=actor, from_schema=old, to_schema=newest)
    except DomainError as error:
        messages.error(request, error.told)
        return redirect("schemas", slug)
    said = ngettext("%d task moved to %s.", "%d tasks moved to %s.", result.moved) % (result.moved, newest)
    if result.unfit:
        first = result.reasons[0]
        told = {"n": result.unfit, "task": first["task"], "why": first["message"]}
        said += " " + _("%(n)d do not fit it and stay, such as %(task)s: %(why)s") % told
    if result.more:
        said += " " + _("There are more: move again.")
    messages.success(request, said)
    return redirect(f"{reverse('schemas', args=[slug])}#{newest.name}")
