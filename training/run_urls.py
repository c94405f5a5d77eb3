"""Pages of runs and of models."""

from django.urls import path

from training.views import comparison, models, preflights, runs, sweeps, targets

urlpatterns = [
    path("runs/", runs.runs, name="runs"),
    path("runs/new/", runs.new_run, name="new-run"),
    path("runs/compare/", comparison.compare, name="runs-compare"),
    path("runs/<str:run>/", runs.run, name="run"),
    path("targets/", targets.targets, name="targets"),
    path("targets/<str:target>/retire", targets.retire, name="target-retire"),
    path("checks/<str:job>/", preflights.check, name="check"),
    path("checks/<str:job>/start", preflights.start_checked, name="check-start"),
    path("runs/<str:run>/preflight/", preflights.of_run, name="run-preflight"),
    path("runs/<str:run>/preflight/start", preflights.override, name="run-preflight-start"),
    path("runs/<str:run>/live", runs.run_live, name="run-live"),
    path("runs/<str:run>/sweep", sweeps.new_sweep, name="new-sweep"),
    path("sweeps/<str:job>/", sweeps.sweep, name="sweep"),
    path("sweeps/<str:job>/stop", sweeps.stop_sweep, name="sweep-stop"),
    path("runs/<str:run>/log", runs.run_log, name="run-log"),
    path("runs/<str:run>/log/file", runs.run_log_file, name="run-log-file"),
    path("runs/<str:run>/tensorboard", runs.run_tensorboard, name="run-tensorboard"),
    path("runs/<str:run>/stop", runs.stop_run, name="run-stop"),
    path("runs/<str:run>/resume", runs.resume_run, name="run-resume"),
    path("runs/<str:run>/again", runs.repeat_run, name="run-again"),
    path("models/", models.models, name="models"),
    path("models/<slug:model>/", models.model, name="model"),
    path("versions/<str:version>/", models.version, name="version"),
    path("versions/<str:version>/people-verdict", models.judge_by_people, name="version-people-verdict"),
]
