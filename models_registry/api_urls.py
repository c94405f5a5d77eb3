"""This floor's part of the API."""

from django.urls import path

from models_registry import api

PROJECT = "projects/<slug:slug>"

urlpatterns = [
    path(f"{PROJECT}/prompts", api.Prompts.as_view(), name="api-prompts"),
    path(f"{PROJECT}/completions", api.Completions.as_view(), name="api-completions"),
    path(f"{PROJECT}/models", api.Models.as_view(), name="api-models"),
    path(f"{PROJECT}/models/<slug:model>", api.ModelView.as_view(), name="api-model"),
    path(f"{PROJECT}/models/<slug:model>/aliases/<slug:name>:move", api.AliasMoveView.as_view(), name="api-alias-move"),
    path(
        f"{PROJECT}/models/<slug:model>/aliases/<slug:name>:rollback",
        api.AliasRollback.as_view(),
        name="api-alias-rollback",
    ),
    path(f"{PROJECT}/versions/<str:version>", api.VersionView.as_view(), name="api-version"),
    path(f"{PROJECT}/evaluations", api.Evaluations.as_view(), name="api-evaluations"),
    path(f"{PROJECT}/verdicts", api.Verdicts.as_view(), name="api-verdicts"),
    path(f"{PROJECT}/deployments", api.Deployments.as_view(), name="api-deployments"),
    path(f"{PROJECT}/deployments/<slug:deployment>", api.DeploymentView.as_view(), name="api-deployment"),
]
