"""Runs as MLflow shows them, where the operator named a tracking server.

A row says for each run how far MLflow knows it. What is missing there follows from that row, the run and its stored events, so
nothing has to be told when it happens: a tick compares, and a short job of the workers sends. The run itself has no part in it.
Steps that a resumed run ran again are sent again, because curves are to be seen while it works; MLflow keeps both values.
"""

from __future__ import annotations

import logging
import time
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db.models import F, Q, QuerySet

from ground import clock
from jobs.kinds import JSON, Kind
from jobs.models import Job, JobEvent
from jobs.selectors import events_of
from jobs.services import submit
from training import mlflow_parts as parts
from training.engine.methods import TRAINED
from training.mlflow import Fault, OutOfTime, Server, pairs
from training.models import MlflowRun, Run

log = logging.getLogger(__name__)
SENDING = "mlflow"
PASS_SECONDS = 10.0
"""Between two looks at a run that is at work."""
PAUSES = (10, 30, 120, 600, 1800)
"""Seconds after each failed attempt; the last of them again and again, for what was missed is never given up."""
WORK_SECONDS = 40.0
CLAIM_SECONDS = 120
"""More than a job works: a sender that died in the middle leaves its run to the next after that."""
AT_ONCE = 50
REWRITTEN = 1000
"""How far back a file that lost its end in a crash may have been written anew."""


class Overtaken(Exception):
    """Another sender has the run now."""


def start_if_due() -> None:
    """A job that sends, unless one is queued or at work. It belongs to no project: it serves all."""
    if not settings.MLFLOW_URL:
        return
    _begin_rows()
    going = Job.objects.filter(kind=SENDING, state__in=(Job.State.QUEUED, Job.State.RUNNING))
    if not going.exists() and any(map(_has_news, due()[:AT_ONCE])):
        submit(actor=None, project=None, kind=SENDING, spec={"schema_version": 1})


def _begin_rows() -> None:
    """For every training run that began, those from before the server was named too."""
    begun = ~Q(job__started_at=None) | Q(job__state__in=Job.FINAL)
    runs = Run.objects.filter(begun, method__in=TRAINED, mlflow=None).order_by("pk")[:AT_ONCE]
    MlflowRun.objects.bulk_create([MlflowRun(run=run) for run in runs], ignore_conflicts=True)


def unsent() -> QuerySet[MlflowRun]:
    """At work, or over in another way than MLflow knows, or known by another server."""
    told = Q(ended_at=F("run__job__finished_at"), server=settings.MLFLOW_URL)
    return MlflowRun.objects.filter(Q(ended_at=None) | Q(run__job__finished_at=None) | ~told)


def due() -> QuerySet[MlflowRun]:
    found = unsent().filter(due_at__lte=clock.now()).order_by("due_at", "pk")
    return found.select_related("run__job", "run__project", "run__base__model", "run__snapshot", "run__output__model")


def _has_news(row: MlflowRun) -> bool:
    there = row.mlflow_id and row.server == settings.MLFLOW_URL
    known = there and not row.error and row.status == parts.STATUSES[row.run.job.state]
    return not known or row.ended_at != row.run.job.finished_at or _metrics_after(row).exists()


def _metrics_after(row: MlflowRun) -> QuerySet[JobEvent]:
    return events_of(row.run.job, "metric", after=row.seq)


def run(job: Job) -> JSON:
    """Run after run until nothing is due or the time is over; the next job goes on."""
    server = Server(settings.MLFLOW_URL, settings.MLFLOW_TOKEN, time.monotonic() + WORK_SECONDS)
    sent = 0
    for row in list(due()[:AT_ONCE]) if server.url else ():
        if _has_news(row) and _claimed(row):
            if not _sent(row, server):
                break
            sent += 1
    return {"sent": sent}


KIND = Kind(name=SENDING, label="MLflow", run=run, short=True, max_attempts=1)


def _claimed(row: MlflowRun) -> bool:
    """Of two senders one finds `due_at` where it was."""
    held = clock.now() + timedelta(seconds=CLAIM_SECONDS)
    won = MlflowRun.objects.filter(pk=row.pk, due_at=row.due_at).update(due_at=held)
    row.due_at = held
    return bool(won)


def _sent(row: MlflowRun, server: Server) -> bool:
    """Whether the next run should be tried. Whatever goes wrong is written down."""
    try:
        _send(row, server)
        _note(row, due_at=clock.now() + timedelta(seconds=PASS_SECONDS), attempts=0, error="")
    except OutOfTime:
        MlflowRun.objects.filter(pk=row.pk, due_at=row.due_at).update(due_at=clock.now())
        return False
    except Overtaken:
        log.warning("Another sender tells MLflow of %s.", row.run.public_id)
    except Fault as fault:
        _put_off(row, fault)
        return not fault.server
    return True


def _send(row: MlflowRun, server: Server) -> None:
    if row.server != server.url:
        _note(row, server=server.url, **NOTHING_SENT)
    try:
        if not row.mlflow_id:
            _introduce(row, server)
        _send_metrics(row, server)
        _send_state(row, server)
    except Fault as fault:
        if fault.gone:
            _note(row, **NOTHING_SENT)  # whoever emptied the server finds the whole run there again
        raise


NOTHING_SENT: dict[str, Any] = {
    "experiment_id": "", "mlflow_id": "", "seq": 0, "seq_at": None, "status": "", "ended_at": None,
}  # fmt: skip


def _introduce(row: MlflowRun, server: Server) -> None:
    """Written down only when its params are there: until then it is looked for by its tag, and made if it is not found."""
    run = row.run
    experiment = server.experiment(run.project.slug)
    found = server.find_run(experiment, run.public_id)
    start = run.job.started_at or run.job.queued_at
    name, known = found or (
        server.create_run(experiment, name=str(run), start=parts.milliseconds(start), tags=parts.tags_of(run)),
        set(),
    )
    missing = pairs({key: value for key, value in parts.params_of(run).items() if key not in known})
    for at in range(0, len(missing), parts.PARAMS_AT_ONCE):
        server.log(name, params=missing[at : at + parts.PARAMS_AT_ONCE])
    _note(row, experiment_id=experiment, mlflow_id=name)


def _send_metrics(row: MlflowRun, server: Server) -> None:
    _go_back_if_rewritten(row)
    for metrics, last in parts.packs(_metrics_after(row).iterator()):
        server.log(row.mlflow_id, metrics=metrics)
        if last is not None:
            _note(row, seq=last.seq, seq_at=last.at)


def _go_back_if_rewritten(row: MlflowRun) -> None:
    """A crash of the machine can take the end of events.jsonl; the resumed run then uses its numbers again."""
    if row.seq_at is None:
        return
    again = JobEvent.objects.filter(job=row.run.job, seq__gt=row.seq - REWRITTEN, seq__lte=row.seq, at__gt=row.seq_at)
    first = again.order_by("seq").values_list("seq", flat=True).first()
    if first is not None:
        row.seq = first - 1


def _send_state(row: MlflowRun, server: Server) -> None:
    """The end last: what MLflow shows as over is whole there."""
    job = row.run.job
    status = parts.STATUSES[job.state]
    if job.finished_at is not None and row.ended_at != job.finished_at:
        server.log(row.mlflow_id, metrics=parts.end_metrics_of(row.run), tags=pairs(parts.end_tags_of(row.run)))
        server.update(row.mlflow_id, status=status, end=parts.milliseconds(job.finished_at))
    elif row.status != status:
        server.update(row.mlflow_id, status=status, end=None)
    _note(row, status=status, ended_at=job.finished_at)


def _note(row: MlflowRun, **changes: Any) -> None:
    """Errors: Overtaken."""
    if not MlflowRun.objects.filter(pk=row.pk, due_at=row.due_at).update(**changes):
        raise Overtaken
    for name, value in changes.items():
        setattr(row, name, value)


def _put_off(row: MlflowRun, fault: Fault) -> None:
    """What every run would meet puts off all of them: one call in a while asks whether the server is back."""
    pause = max(fault.pause, PAUSES[min(row.attempts, len(PAUSES) - 1)])
    later = clock.now() + timedelta(seconds=pause)
    changes = {"due_at": later, "attempts": row.attempts + 1, "error": str(fault)[:300]}
    log.warning("MLflow has not everything of %s: %s", row.run.public_id, fault)
    MlflowRun.objects.filter(pk=row.pk, due_at=row.due_at).update(**changes)
    if fault.server:
        others = unsent().filter(due_at__lt=later).values("pk")
        MlflowRun.objects.filter(pk__in=others).update(**changes)


def forget_old() -> None:
    """The jobs that sent: one comes every few seconds while a run is at work."""
    before = clock.now() - timedelta(hours=1)
    Job.objects.filter(kind=SENDING, state__in=Job.FINAL, finished_at__lt=before).delete()
