"""Gated reads: what an actor's project may see is its own and the library's. Anything else is not found."""

from collections.abc import Sequence

from django.db.models import Q, QuerySet
from django.utils.translation import gettext as _

from accounts.models import Actor, Project
from ground.errors import NotFound
from models_registry.models import (
    Alias,
    Completion,
    Deployment,
    Evaluation,
    Model,
    ModelVersion,
    Prompt,
    Verdict,
)


def models_of(project: Project) -> QuerySet[Model]:
    return Model.objects.filter(Q(project=project) | Q(project=None)).order_by("-project_id", "slug")


def versions_of(project: Project) -> QuerySet[ModelVersion]:
    seen = Q(model__project=project) | Q(model__project=None)
    return ModelVersion.objects.filter(seen).select_related("model", "parent__model")


def resolve_model(project: Project, slug: str) -> Model | None:
    """The project's own model of that slug, else the library's."""
    found = list(Model.objects.filter(Q(project=project) | Q(project=None), slug=slug))
    return min(found, key=lambda model: model.project_id is None, default=None)


def resolve_reference(project: Project, reference: str) -> ModelVersion | None:
    """`slug@alias`, `slug@number`, `slug` (its champion) or `ver_…`, as an immutable version."""
    if "\x00" in reference:
        return None
    if reference.startswith("ver_"):
        return versions_of(project).filter(public_id=reference).first()
    slug, _at, name = reference.partition("@")
    model = resolve_model(project, slug)
    if model is None:
        return None
    versions = ModelVersion.objects.filter(model=model).select_related("model", "parent__model")
    if name.isascii() and name.isdigit():
        return versions.filter(number=int(name)).first() if len(name) < 10 else None
    return versions.filter(aliases__model=model, aliases__name=name or Alias.CHAMPION).first()


def get_model_for(actor: Actor, slug: str) -> Model:
    """By slug or public id."""
    model = resolve_model(actor.project, slug) or models_of(actor.project).filter(public_id=slug).first()
    if model is None:
        raise NotFound(_("There is no model %s here.") % slug)
    return model


def get_version_for(actor: Actor, public_id: str) -> ModelVersion:
    """By public id, or as `slug@number` or `slug@alias`."""
    version = resolve_reference(actor.project, public_id) if public_id.startswith("ver_") or "@" in public_id else None
    if version is None:
        raise NotFound(_("There is no version %s here.") % public_id)
    return version


def get_alias_for(actor: Actor, model: Model, name: str) -> Alias:
    alias = model.aliases.select_related("version", "model", "verdict").filter(name=name).first()
    if alias is None or model.project_id not in (None, actor.project_id):
        raise NotFound(_("%(model)s has no alias %(name)s.") % {"model": model.slug, "name": name})
    return alias


def get_prompt_for(actor: Actor, public_id: str) -> Prompt:
    prompt = Prompt.objects.filter(project=actor.project, public_id=public_id).first()
    if prompt is None:
        raise NotFound(_("There is no prompt %s here.") % public_id)
    return prompt


def get_prompts_for(actor: Actor, public_ids: Sequence[str]) -> list[Prompt]:
    """In the order asked for. Errors: NotFound naming the first that is not this project's."""
    wanted = list(dict.fromkeys(public_ids))
    found: dict[str, Prompt] = {}
    for start in range(0, len(wanted), 400):
        some = Prompt.objects.filter(project=actor.project, public_id__in=wanted[start : start + 400])
        found.update({prompt.public_id: prompt for prompt in some})
    for public_id in wanted:
        if public_id not in found:
            raise NotFound(_("There is no prompt %s here.") % public_id)
    return [found[public_id] for public_id in wanted]


def get_completion_for(actor: Actor, public_id: str) -> Completion:
    completion = completions_of(actor.project).filter(public_id=public_id).first()
    if completion is None:
        raise NotFound(_("There is no completion %s here.") % public_id)
    return completion


def completions_of(project: Project) -> QuerySet[Completion]:
    return Completion.objects.filter(project=project).select_related("prompt", "version__model", "job", "actor")


def get_evaluation_for(actor: Actor, public_id: str) -> Evaluation:
    evaluation = evaluations_of(actor.project).filter(public_id=public_id).first()
    if evaluation is None:
        raise NotFound(_("There is no evaluation %s here.") % public_id)
    return evaluation


def evaluations_of(project: Project) -> QuerySet[Evaluation]:
    found = Evaluation.objects.filter(project=project).select_related("version__model", "baseline__model", "job")
    return found.order_by("-id")


def get_verdict_for(actor: Actor, public_id: str) -> Verdict:
    verdicts = Verdict.objects.select_related("version__model", "champion__model", "evaluation")
    verdict = verdicts.filter(project=actor.project, public_id=public_id).first()
    if verdict is None:
        raise NotFound(_("There is no verdict %s here.") % public_id)
    return verdict


def get_deployment_for(actor: Actor, public_id: str) -> Deployment:
    deployment = deployments_of(actor.project).filter(public_id=public_id).first()
    if deployment is None:
        raise NotFound(_("There is no deployment %s here.") % public_id)
    return deployment


def deployments_of(project: Project) -> QuerySet[Deployment]:
    return Deployment.objects.filter(project=project).select_related("version__model").order_by("-id")


def champion_of(model: Model) -> Alias | None:
    return model.aliases.filter(name=Alias.CHAMPION).select_related("version", "verdict").first()
