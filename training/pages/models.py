"""What a model's page says: the verdict with its interval, each measurement, where the version comes from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from django.db.models import QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from accounts.models import Actor, Project
from feedback.selectors import human_win_rate
from ground import formats
from ground.charts import Chart, dot_whisker
from ground.formats import known
from models_registry.models import Alias, Deployment, Evaluation, ModelVersion, Verdict
from models_registry.selectors import champion_of, deployments_of, evaluations_of, resolve_reference
from training.models import Run
from training.selectors import origins_of
from training.verdicts import PEOPLE, voters

JSON = dict[str, Any]
EVEN = 0.5
SERVES = (Verdict.Outcome.BETTER, Verdict.Outcome.OVERRIDE, Verdict.Outcome.BOOTSTRAP)
MOST_EVALUATIONS = 6
NOT_SERVED = (
    ModelVersion.Kind.SEQ2SEQ,
    ModelVersion.Kind.ENCODER,
    ModelVersion.Kind.CLASSIFIER,
    ModelVersion.Kind.TAGGER,
)


@dataclass(frozen=True, kw_only=True)
class Measure:
    """A figure on its interval. `reading` says it in a word; `look` is the badge's."""

    name: str
    chart: Chart | None
    value: str
    interval: str
    n: str
    reading: str
    look: str
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """An evaluation as a table of measures, with who judged."""

    evaluation: Evaluation
    title: str
    judge: str
    measures: list[Measure]
    simulated: int = 0
    by_people: bool = False
    verdict: Verdict | None = None


@dataclass(frozen=True, kw_only=True)
class Link:
    """One piece of the chain of origins."""

    title: str
    note: str
    run: Run | None = None
    version: ModelVersion | None = None
    simulated: int = 0
    own: bool = False


@dataclass(frozen=True, kw_only=True)
class Gate:
    """The panel on top: a finding, what it rests on, and what can be done now."""

    sentence: str
    text: str
    kind: str
    rate: Chart | None = None
    actions: JSON = field(default_factory=dict)


def measured_of(version: ModelVersion, project: Project) -> list[Measured]:
    """The newest measurements of a version. A round of people shows what they said until now."""
    found = evaluations_of(project).filter(version=version).prefetch_related("verdicts")
    kept = [one for one in found[: 3 * MOST_EVALUATIONS] if not one.spec.get("evaluation")]
    return [_measured(one, project) for one in kept[:MOST_EVALUATIONS]]


def _measured(evaluation: Evaluation, project: Project) -> Measured:
    by_people = evaluation.judge == PEOPLE and not evaluation.metrics.get("win_rate")
    metrics = _of_people(evaluation) if by_people else evaluation.metrics
    kinds = voters(evaluation) if by_people else Counter()
    title = _("Measured by itself")
    if evaluation.baseline:
        title = _("Compared with %s") % evaluation.baseline
    return Measured(
        evaluation=evaluation,
        title=title,
        judge=_judge(evaluation, project, kinds),
        measures=_measures(metrics, evaluation),
        simulated=kinds[Actor.Kind.SIMULATED],
        by_people=by_people,
        verdict=_verdict_from(evaluation),
    )


def _of_people(evaluation: Evaluation) -> JSON:
    rate = human_win_rate(evaluation)
    return {"win_rate": asdict(rate)} if rate else {}


def _judge(evaluation: Evaluation, project: Project, kinds: Counter[str]) -> str:
    if evaluation.judge == PEOPLE:
        said = sum(kinds.values())
        text = ngettext("judged blind by %d annotator", "judged blind by %d annotators", said) % said
        return text if said else _("judged blind by people; nobody has answered yet")
    judge = resolve_reference(project, evaluation.judge)
    return _("judged by the reward model %s") % judge if judge else _("measured without a judge")


def _verdict_from(evaluation: Evaluation) -> Verdict | None:
    """The verdict on these numbers, or on the newest freeze of a round by people."""
    taken = Verdict.objects.filter(evaluation=evaluation) | Verdict.objects.filter(
        evaluation__spec__evaluation=evaluation.public_id
    )
    return taken.order_by("-pk").first()


def _measures(metrics: JSON, evaluation: Evaluation) -> list[Measure]:
    """The telling figures of an evaluation; what was not measured has no row."""
    rows = []
    if metrics.get("win_rate") is not None:
        name = _("Preferred to %s") % evaluation.baseline if evaluation.baseline else _("Preferred")
        rows.append(_share(name, metrics["win_rate"], EVEN, _("dotted: as often as not")))
    if metrics.get("reward_accuracy") is not None:
        longer = _estimate(metrics.get("length_baseline") or metrics.get("length_accuracy"))
        note = _("dotted: choosing the longer answer, %s") % formats.percent(longer) if known(longer) else ""
        name = _("Held-out pairs the judge orders right")
        rows.append(_share(name, metrics["reward_accuracy"], longer if known(longer) else EVEN, note))
    if metrics.get("kl") is not None:
        rows.append(_drift(metrics["kl"]))
    if isinstance(metrics.get("length"), dict):
        rows.append(_lengths(metrics["length"]))
    return rows


def _estimate(value: Any) -> float | None:
    found = value.get("estimate") if isinstance(value, dict) else value
    return float(found) if isinstance(found, int | float) and not isinstance(found, bool) else None


def _bounds(value: Any) -> tuple[float | None, float | None, float | None]:
    if not isinstance(value, dict):
        return _estimate(value), None, None
    low, high = value.get("low"), value.get("high")
    return _estimate(value), _estimate(low), _estimate(high)


def _share(name: str, value: Any, reference: float, note: str = "") -> Measure:
    estimate, low, high = _bounds(value)
    enough = not (isinstance(value, dict) and value.get("enough") is False)
    reading, look = reading_of(low, high, reference, enough=enough)
    chart = dot_whisker(estimate, low, high, title=name, reference=reference, decided=look in ("good", "bad"))
    return Measure(
        name=name,
        chart=chart,
        value=formats.percent(estimate, 1),
        interval=_span(low, high, enough),
        n=_count(value),
        reading=reading,
        look=look,
        note=note,
    )


def reading_of(low: float | None, high: float | None, reference: float, *, enough: bool = True) -> tuple[str, str]:
    """A word and its look: decided only when the whole interval lies on one side of what it is compared with."""
    if not enough or not known(low) or not known(high):
        return _("Too few to tell"), "wait"
    if low > reference:
        return _("Better"), "good"
    return (_("Worse"), "bad") if high < reference else (_("No difference seen"), "")


def _drift(value: Any) -> Measure:
    """Nats a response from where the model started. It is a price, not a merit, so nothing is better or worse."""
    if isinstance(value, dict) and "estimate" not in value:  # the engine's several estimators
        value = {"estimate": value.get("sequence_k1"), "n": value.get("samples")}
    estimate, low, high = _bounds(value)
    top = max([1.0, *(edge * 1.2 for edge in (estimate, high) if known(edge))])
    name = _("Drift: KL in nats a response")
    chart = dot_whisker(estimate, low, high, title=name, reference=0.0, scale=(0.0, top), decided=known(low))
    span = _("%(low)s to %(high)s") % {"low": formats.number(low), "high": formats.number(high)} if known(low) else ""
    note = _("dotted: none; on a scale of its own")
    return Measure(
        name=name,
        chart=chart,
        value=formats.number(estimate),
        interval=span,
        n=_count(value),
        reading="",
        look="",
        note=note,
    )


def _lengths(length: JSON) -> Measure:
    """A model that wins by length alone should be seen to."""
    own, other = ((length.get(name) or {}).get("tokens") for name in ("policy", "baseline"))
    words = {"own": formats.number(own), "other": formats.number(other)}
    value = _("%(own)s against %(other)s") % words if known(other) else words["own"]
    name = _("Mean length in tokens")
    return Measure(name=name, chart=None, value=value, interval="", n=formats.NOTHING, reading="", look="")


def _span(low: float | None, high: float | None, enough: bool) -> str:
    if not enough or not known(low) or not known(high):
        return _("too few")
    return _("%(low)s to %(high)s") % {"low": formats.number(low * 100, 0), "high": formats.percent(high)}


def _count(value: Any) -> str:
    return formats.number(value["n"], 0) if isinstance(value, dict) and known(value.get("n")) else formats.NOTHING


def gate_of(version: ModelVersion, project: Project, measured: Sequence[Measured], *, manages: bool) -> Gate:
    """What the evidence says about this version, and what a manager may do with it now."""
    champion = champion_of(version.model)
    verdict = Verdict.objects.filter(version=version, project=project).order_by("-pk").first()
    sentence, text, kind = _finding(version, champion, verdict, measured)
    chart = _evidence(verdict) or next(
        (one.measures[0].chart for one in measured if one.measures and _has_rate(one)), None
    )
    actions = _actions(version, project, champion, verdict, measured) if manages else {}
    return Gate(sentence=sentence, text=text, kind=kind, rate=chart, actions=actions)


def _evidence(verdict: Verdict | None) -> Chart | None:
    """The win rate that the verdict was made on."""
    rate = verdict.evidence.get("win_rate") if verdict else None
    return _share(_("Win rate"), rate, EVEN).chart if isinstance(rate, dict) else None


def _has_rate(measured: Measured) -> bool:
    return measured.by_people or measured.evaluation.metrics.get("win_rate") is not None


def _finding(
    version: ModelVersion, champion: Alias | None, verdict: Verdict | None, measured: Sequence[Measured]
) -> tuple[str, str, str]:
    if version.kind in NOT_SERVED:
        return _not_served(version)
    if version.kind == ModelVersion.Kind.REWARD:
        return _("%s scores answers; it does not serve.") % version, _("Use it as the judge of an evaluation."), "hold"
    if verdict is not None:
        return _said(verdict, champion)
    compared = next((one for one in measured if one.measures and _has_rate(one)), None)
    if compared is not None:
        return _("%s was compared, and no verdict was recorded yet.") % version, _rate_text(compared), "hold"
    if champion is None:
        text = _("The first version of a model serves without a comparison; every later one must win one.")
        return _("%s has no champion yet.") % version.model.slug, text, "hold"
    text = _("Evaluate it against the champion on held-out prompts; then its interval decides.")
    return _("Nobody knows yet whether %s is better.") % version, text, "hold"


def _not_served(version: ModelVersion) -> tuple[str, str, str]:
    """Models that answer nobody: what they are for."""
    sentences = {
        ModelVersion.Kind.SEQ2SEQ: (
            _("%s reads with an encoder and writes with a decoder; it does not serve."),
            _("Fine-tune it on demonstrations, let it answer prompts, evaluate it, or take its folder elsewhere."),
        ),
        ModelVersion.Kind.ENCODER: (
            _("%s reads texts; it does not serve."),
            _("Teach it to label them: start a classifier or token classifier from it."),
        ),
        ModelVersion.Kind.CLASSIFIER: (
            _("%s labels texts; it does not serve."),
            _("Let it read tasks before people do: start a prediction with it."),
        ),
        ModelVersion.Kind.TAGGER: (
            _("%s marks texts; it does not serve."),
            _("Let it read tasks before people do: start a prediction with it."),
        ),
    }
    sentence, text = sentences[ModelVersion.Kind(version.kind)]
    return sentence % version, text, "hold"


def _said(verdict: Verdict, champion: Alias | None) -> tuple[str, str, str]:
    words = {"version": verdict.version, "champion": verdict.champion}
    serving = champion is not None and champion.version_id == verdict.version_id
    sentences = {
        Verdict.Outcome.BETTER: _("%(version)s is better than %(champion)s."),
        Verdict.Outcome.WORSE: _("%(version)s is worse than %(champion)s and may not serve."),
        Verdict.Outcome.UNDECIDED: _("Too few to tell whether %(version)s is better than %(champion)s."),
        Verdict.Outcome.OVERRIDE: _("A manager let %(version)s serve against or without the evidence."),
        Verdict.Outcome.BOOTSTRAP: _("%(version)s may serve as the first version."),
    }
    looks = {Verdict.Outcome.BETTER: "good", Verdict.Outcome.BOOTSTRAP: "good", Verdict.Outcome.WORSE: "bad"}
    sentence = sentences[Verdict.Outcome(verdict.outcome)] % words
    rate = verdict.evidence.get("win_rate")
    parts = [rate_sentence(rate, verdict.champion) if isinstance(rate, dict) else "", verdict.reason]
    judges = verdict.evaluation.spec.get("judges") if verdict.evaluation else None
    parts += [_("Judged by %s.") % _people(Counter(judges)) if judges else "", _("It serves now.") if serving else ""]
    return sentence, " ".join(part for part in parts if part), looks.get(Verdict.Outcome(verdict.outcome), "hold")


def _rate_text(measured: Measured) -> str:
    first = measured.measures[0]
    words = {"value": first.value, "interval": first.interval, "n": first.n, "who": measured.judge}
    return _("%(who)s: preferred in %(value)s of %(n)s comparisons, interval %(interval)s.") % words


def rate_sentence(rate: JSON, baseline: ModelVersion | None) -> str:
    """`Preferred in 58.4 % of 936 comparisons on 312 prompts; the interval, 53 to 64 %, does not touch 50.`"""
    words = {
        "value": formats.percent(rate.get("estimate"), 1),
        "n": _count(rate),
        "prompts": formats.number(rate.get("n_prompts")) if rate.get("n_prompts") else "",
        "span": _span(rate.get("low"), rate.get("high"), rate.get("enough") is not False),
    }
    counted = _("Preferred in %(value)s of %(n)s comparisons on %(prompts)s prompts") if words["prompts"] else ""
    counted = (counted or _("Preferred in %(value)s of %(n)s comparisons")) % words
    if rate.get("enough") is False:
        return _("%s; too few people or prompts to tell.") % counted
    low, high = rate.get("low"), rate.get("high")
    apart = known(low) and known(high) and (low > EVEN or high < EVEN)
    ending = _("the interval, %(span)s, does not touch 50.") if apart else _("the interval, %(span)s, holds 50.")
    return f"{counted}; {ending % words}"


def _actions(
    version: ModelVersion,
    project: Project,
    champion: Alias | None,
    verdict: Verdict | None,
    measured: Sequence[Measured],
) -> JSON:
    """Which of the buttons make sense now. What they do is checked again by the services."""
    if version.model.project_id != project.pk or version.kind != ModelVersion.Kind.CAUSAL:
        return {}
    serving = champion is not None and champion.version_id == version.pk
    return {
        "judge": next((one for one in measured if _judgeable(one)), None),
        "promote": verdict if verdict and not serving and _lets_serve(verdict, champion) else None,
        "bootstrap": champion is None and verdict is None,
        "override": not serving and not (verdict and _lets_serve(verdict, champion)),
        "roll_back": champion if serving and champion and champion.generation > 1 else None,
        "generation": champion.generation if champion else 0,
        "evaluate": champion is not None and not serving and not any(map(_has_rate, measured)),
        "champion": champion,
    }


def _judgeable(measured: Measured) -> bool:
    """Numbers that no verdict was made of; a round by people may be judged again while answers come in."""
    return bool(measured.measures) and _has_rate(measured) and (measured.verdict is None or measured.by_people)


def _lets_serve(verdict: Verdict, champion: Alias | None) -> bool:
    if verdict.outcome not in SERVES:
        return False
    if verdict.outcome == Verdict.Outcome.BOOTSTRAP:
        return champion is None
    against = verdict.champion_id if verdict.outcome == Verdict.Outcome.BETTER else None
    return against is None or champion is None or champion.version_id == against


def chain_of(version: ModelVersion) -> list[Link]:
    """From the first base to this version: who judged, the snapshot, the run, what it made."""
    links: list[Link] = []
    for origin in reversed(origins_of(version)):
        kinds = Counter({kind: sum(j.kind == kind for j in origin.judges) for kind in {j.kind for j in origin.judges}})
        said = sum(judge.judgements for judge in origin.judges)
        if origin.judges:
            links.append(
                Link(
                    title=_people(kinds),
                    note=ngettext("%d judgement", "%d judgements", said) % said,
                    simulated=kinds[Actor.Kind.SIMULATED],
                )
            )
        if origin.snapshot:
            digest = formats.short_digest(origin.snapshot.digest)
            links.append(Link(title=str(origin.snapshot).capitalize(), note=_("frozen, %s") % digest))
        if origin.run:
            links.append(Link(title=str(origin.run).capitalize(), note=origin.run.get_method_display(), run=origin.run))
        own = origin.version.pk == version.pk
        note = formats.short_digest(origin.version.digest)
        links.append(Link(title=str(origin.version), note=note, version=None if own else origin.version, own=own))
    return links


def _people(kinds: Counter[str]) -> str:
    """Who judged, simulated ones apart."""
    real, simulated = kinds[Actor.Kind.PERSON], kinds[Actor.Kind.SIMULATED]
    others = sum(kinds.values()) - real - simulated
    parts = [
        ngettext("%d person", "%d people", real) % real if real else "",
        ngettext("%d simulated annotator", "%d simulated annotators", simulated) % simulated if simulated else "",
        ngettext("%d other", "%d others", others) % others if others else "",
    ]
    return ", ".join(part for part in parts if part)


def deployment_of(version: ModelVersion, project: Project) -> Deployment | None:
    """The wanted one, else the latest."""
    return deployments_of(project).filter(version=version).order_by("-wanted", "-pk").first()


def versions_with_marks(versions: QuerySet[ModelVersion]) -> list[JSON]:
    """Each version with its aliases, its last verdict and the run that made it."""
    rows = versions.select_related("model", "parent__model", "run").prefetch_related("aliases", "verdicts")
    return [
        {
            "version": version,
            "aliases": [alias.name for alias in version.aliases.all()],
            "verdict": max(version.verdicts.all(), key=lambda verdict: verdict.pk, default=None),
            "run": getattr(version, "run", None),
        }
        for version in rows.order_by("-number")
    ]
