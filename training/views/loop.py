"""The project's first page and the loop: they look at all floors, so they stand on the top one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from accounts.models import Actor, Project
from accounts.selectors import get_member_for
from accounts.services import EVERYBODY, MANAGERS, REVIEWERS, role_of
from annotation.models import Annotation
from annotation.selectors.queue import done_by, judges
from feedback.selectors import human_win_rate
from ground import formats
from ground.charts import DOT_LOOKS, Chart, dot_whisker, dots
from models_registry.models import Alias, AliasMove, Evaluation
from training.attention import needs_a_person
from training.data import LoopPicture, Station
from training.loop import loop_picture
from training.next_steps import Look, Step, next_step
from training.pages.runs import left_of, share_of
from training.selectors import runs_of

LAST_RUNS = 6
LAST_MOVES = 10
MOST_JUDGES = 40
ROOMS = {
    "write": ("data", "#prompts"),
    "judge": ("label", ""),
    "settle": ("data", "#judgements"),
    "freeze": ("data", "#freeze"),
    "train": ("runs", ""),
    "evaluate": ("runs", ""),
    "gate": ("models", ""),
    "serve": ("models", ""),
}


@login_required
def project(request: HttpRequest, slug: str) -> HttpResponse:
    return render(request, "training/project.html", overview(get_member_for(request, slug, *EVERYBODY)))


@login_required
def project_now(request: HttpRequest, slug: str) -> HttpResponse:
    """The moving part of the overview, asked for every few seconds."""
    return render(request, "training/_project.html", overview(get_member_for(request, slug, *EVERYBODY)))


@login_required
def loop(request: HttpRequest, slug: str) -> HttpResponse:
    return render(request, "training/loop.html", ring(get_member_for(request, slug, *EVERYBODY)))


@login_required
def loop_now(request: HttpRequest, slug: str) -> HttpResponse:
    return render(request, "training/_loop.html", ring(get_member_for(request, slug, *EVERYBODY)))


def overview(actor: Actor) -> dict[str, Any]:
    """Where things stand, as this actor's role may see it."""
    picture = loop_picture(actor.project)
    look = Look(actor.project, picture.numbers)
    step, judge = next_step(look), picture.numbers["judge"]
    said = judges(actor.project)
    reviews = role_of(actor) in REVIEWERS
    return {
        "project": actor.project,
        "place": "project",
        "step": step,
        "may_act": _may_act(actor, step),
        "manages": role_of(actor) in MANAGERS,
        "empty": not picture.numbers["write"]["prompts"],
        "phases": phases(picture, step),
        "judge": judge,
        "slots": judge["answers"] + judge["slots_open"] + judge["slots_in_hand"],
        "settle": picture.numbers["settle"],
        "judges": said[:MOST_JUDGES] if reviews else [],
        "simulated": sum(row["answers"] for row in said if row["actor__kind"] == Actor.Kind.SIMULATED),
        "answers": sum(row["answers"] for row in said),
        "mine": done_by(actor),
        "attention": needs_a_person(look, said) if role_of(actor) in MANAGERS else [],
        "runs": runs_of(actor.project)[:LAST_RUNS] if reviews else [],
        "win_rate": win_rate(picture),
    }


def _may_act(actor: Actor, step: Step) -> bool:
    """Whether what the step links to opens for this role: everybody may label, reviewers may watch runs."""
    role = role_of(actor)
    return role in MANAGERS or (step.busy and role in REVIEWERS) or step.action == _("Label")


def phases(picture: LoopPicture, step: Step) -> list[dict[str, str]]:
    """The eight stations as a line: done when something came out of them, here when they wait for the next step."""
    return [
        {
            "title": station.title,
            "note": f"{formats.number(station.count)} {station.unit}",
            "state": "here" if station.key == step.station else "done" if _passed(station, picture) else "",
        }
        for station in picture.stations
    ]


def _passed(station: Station, picture: LoopPicture) -> bool:
    if station.key == "judge":
        return bool(picture.numbers["judge"]["answers"])
    return bool(dict(station.parts).get("rest"))


def win_rate(picture: LoopPicture) -> dict[str, Any] | None:
    """The latest comparison in a sentence, with its interval, and how many of the votes were simulated."""
    rate = picture.win_rate
    if rate is None:
        return None
    enough = rate.get("enough") is not False and _decided(rate)
    words = {**rate, "share": formats.percent(rate["estimate"])}
    chart = dot_whisker(
        rate["estimate"],
        rate.get("low"),
        rate.get("high"),
        title=_("Win rate of %(version)s against %(baseline)s, 0 to 100 per cent") % words,
        decided=enough,
    )
    return {
        "title": _("%(version)s won %(share)s of its comparisons with %(baseline)s") % words,
        "text": _who_judged(rate),
        "bounds": (formats.percent(rate.get("low")), formats.percent(rate.get("high"))),
        "decided": enough,
        "chart": chart,
    }


def _decided(rate: dict[str, Any]) -> bool:
    low, high = rate.get("low"), rate.get("high")
    return low is not None and high is not None and (low > 0.5 or high < 0.5)


def _who_judged(rate: dict[str, Any]) -> str:
    if rate["judge"] != "people":
        return _("Judged by a reward model, not by people.")
    votes = Annotation.objects.counted().filter(task__evaluation__public_id=rate["evaluation"], settlement=False)
    simulated = votes.filter(actor__kind=Actor.Kind.SIMULATED).count()
    return _("%(all)d votes, %(simulated)d of them simulated.") % {"all": votes.count(), "simulated": simulated}


def ring(actor: Actor) -> dict[str, Any]:
    """The loop as one picture."""
    picture = loop_picture(actor.project)
    look = Look(actor.project, picture.numbers)
    step = next_step(look)
    per = items_per_dot(picture.stations)
    reviews = role_of(actor) in REVIEWERS
    shown = [
        _shown(look, letter, station, step, per, reviews)
        for letter, station in zip("abcdefgh", picture.stations, strict=True)
    ]
    return {
        "project": actor.project,
        "place": "loop",
        "step": step,
        "may_act": _may_act(actor, step),
        "upper": shown[:4],
        "lower": shown[4:],
        "per": per,
        "legend": [
            {"look": DOT_LOOKS[kind], "name": name}
            for kind, name in (
                ("moving", _("moving")),
                ("waiting", _("waiting for a person")),
                ("stuck", _("stuck")),
                ("rest", _("at rest")),
            )
        ],
        "sentence": in_one_sentence(actor.project, picture),
        "running": going(actor) if reviews else [],
        "win_rate": win_rate(picture),
        "moves": moves_of(actor.project),
    }


def going(actor: Actor) -> list[dict[str, Any]]:
    """Up to three runs at work or waiting, with how far they are."""
    assert actor.project is not None
    found = runs_of(actor.project).filter(job__state__in=("running", "queued"))[:3]
    return [{"run": run, "left": left_of(run), "share": share_of(run)} for run in found]


def items_per_dot(stations: Iterable[Station]) -> int:
    """The smallest of 1, 5, 10, 50, 100, … that fits the fullest station into a hundred dots."""
    most = max(sum(count for _kind, count in station.parts) for station in stations)
    return next(per for power in range(12) for per in (10**power, 5 * 10**power) if most <= 100 * per)


def _shown(look: Look, letter: str, station: Station, step: Step, per: int, reviews: bool) -> dict[str, Any]:
    """As the template wants it. Most rooms are closed to annotators, so their stations are no links."""
    name, end = ROOMS[station.key]
    parts = [(kind, count) for kind, count in station.parts if count]
    return {
        "letter": letter,
        "title": station.title,
        "url": look.room(name, end=end) if reviews or name == "label" else "",
        "figure": formats.number(station.count),
        "unit": station.unit,
        "note": station.note,
        "state": "here" if station.key == step.station else "live" if station.state == "live" else "",
        "dots": dots(parts, title=_dots_in_words(station.title, parts), per=per).svg if parts else "",
    }


def _dots_in_words(title: str, parts: list[tuple[str, int]]) -> str:
    words = {"moving": _("moving"), "waiting": _("waiting for a person"), "stuck": _("stuck"), "rest": _("at rest")}
    return f"{title}: " + ", ".join(f"{count} {words[kind]}" for kind, count in parts)


def in_one_sentence(project: Project, picture: LoopPicture) -> str:
    """What went in, what came out, and who serves now."""
    numbers = picture.numbers
    went_in, said = numbers["write"]["prompts"], numbers["settle"]["preferences"]
    if not went_in:
        return _("Nothing is in the loop yet. Prompts go in at the top left and come round as a better model.")
    parts = [ngettext("%d prompt went in.", "%d prompts went in.", went_in) % went_in]
    if said:
        parts.append(ngettext("%d judgement came of it.", "%d judgements came of them.", said) % said)
    champion = ", ".join(numbers["gate"]["champions"])
    if champion and picture.win_rate:
        share = formats.percent(picture.win_rate["estimate"])
        words = {"champion": champion, "version": picture.win_rate["version"], "share": share}
        same = champion == words["version"]
        text = _("%(champion)s is the champion and won %(share)s of its comparisons.") if same else ""
        parts.append((text or _("%(champion)s is the champion; %(version)s won %(share)s of its comparisons.")) % words)
    elif champion:
        parts.append(_("%s is the champion.") % champion)
    return " ".join(parts)


def moves_of(project: Project) -> list[dict[str, Any]]:
    """Every change of champion with how often the new one won: what people said, else the evidence of its verdict."""
    moves = AliasMove.objects.filter(alias__model__project=project, alias__name=Alias.CHAMPION)
    moves = moves.select_related("to_version__model", "from_version__model", "verdict__evaluation", "actor")
    return [_move(project, move) for move in moves.order_by("-pk")[:LAST_MOVES]]


def _move(project: Project, move: AliasMove) -> dict[str, Any]:
    rate = _rate_of(project, move)
    chart: Chart | None = None
    if rate:
        title = _("Win rate of %s, 0 to 100 per cent") % move.to_version
        chart = dot_whisker(rate["estimate"], rate["low"], rate["high"], title=title, decided=_decided(rate))
    return {"move": move, "rate": rate, "chart": chart}


def _rate_of(project: Project, move: AliasMove) -> dict[str, Any] | None:
    asked = Evaluation.objects.filter(project=project, version=move.to_version, baseline=move.from_version)
    for evaluation in asked.filter(judge="people").select_related("project").order_by("-pk")[:1]:
        found = human_win_rate(evaluation)
        if found is not None:
            return {"estimate": found.estimate, "low": found.low, "high": found.high, "by": _("annotators")}
    said = (move.verdict.evidence.get("win_rate") if move.verdict else None) or {}
    if said.get("estimate") is None:
        return None
    return {**{name: said.get(name) for name in ("estimate", "low", "high")}, "by": _("a reward model")}
