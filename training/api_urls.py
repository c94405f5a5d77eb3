"""This floor's part of the API."""

from django.urls import path

from training.api import preflights, runs, sweeps, targets

RUNS = "projects/<slug:slug>/runs"

urlpatterns = [
    path("projects/<slug:slug>/sweeps", sweeps.Sweeps.as_view(), name="api-sweeps"),
    path("projects/<slug:slug>/sweeps/<slug:job>:cancel", sweeps.SweepCancel.as_view(), name="api-sweep-cancel"),
    path("projects/<slug:slug>/sweeps/<slug:job>", sweeps.OneSweep.as_view(), name="api-sweep"),
    path("methods", runs.Methods.as_view(), name="api-methods"),
    path("projects/<slug:slug>/loop", runs.Loop.as_view(), name="api-loop"),
    path(RUNS, runs.Runs.as_view(), name="api-runs"),
    path(f"{RUNS}:compare", runs.RunsCompare.as_view(), name="api-runs-compare"),
    path(f"{RUNS}/<slug:run>:cancel", runs.RunCancel.as_view(), name="api-run-cancel"),
    path(f"{RUNS}/<slug:run>:resume", runs.RunResume.as_view(), name="api-run-resume"),
    path("projects/<slug:slug>/preflights", preflights.Preflights.as_view(), name="api-preflights"),
    path("projects/<slug:slug>/preflights/<slug:job>", preflights.OnePreflight.as_view(), name="api-preflight"),
    path("target-kinds", targets.TargetKinds.as_view(), name="api-target-kinds"),
    path("projects/<slug:slug>/targets", targets.Targets.as_view(), name="api-targets"),
    path("projects/<slug:slug>/targets/<slug:target>", targets.OneTarget.as_view(), name="api-target"),
    path(f"{RUNS}/<slug:run>/preflight", preflights.RunPreflight.as_view(), name="api-run-preflight"),
    path(f"{RUNS}/<slug:run>/metrics", runs.RunMetrics.as_view(), name="api-run-metrics"),
    path(f"{RUNS}/<slug:run>/predictions", runs.RunPredictions.as_view(), name="api-run-predictions"),
    path(f"{RUNS}/<slug:run>/samples", runs.RunSamples.as_view(), name="api-run-samples"),
    path(f"{RUNS}/<slug:run>/log/lines", runs.RunLogLines.as_view(), name="api-run-log-lines"),
    path(f"{RUNS}/<slug:run>/log/file", runs.RunLogFile.as_view(), name="api-run-log-file"),
    path(f"{RUNS}/<slug:run>/tensorboard", runs.RunTensorBoard.as_view(), name="api-run-tensorboard"),
    path(f"{RUNS}/<slug:run>/log", runs.RunLog.as_view(), name="api-run-log"),
    path(f"{RUNS}/<slug:run>", runs.OneRun.as_view(), name="api-run"),
]
