"""Places to compute, counted: one per GPU, or the machine's CPU where there is none. Jobs get them first come, first served."""

from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Q, QuerySet

from ground import clock
from jobs.errors import JobError
from jobs.gpus import gpus
from jobs.models import Device, Job

WAITING = "waiting_for_device"
INSPECTING = "preflight"
"""A job in this phase wants no device yet, so nobody waits for it."""
WAIT_SECONDS = 3.0
"""How long a job that found no device leaves the queue alone. A job that closes wakes the next in line at once."""
IN_LINE_SECONDS = 15.0
"""A queued job keeps its place while it is due within this time: a nudged one is, one that pauses after a failure is not."""


def gpu_ordinals() -> tuple[int, ...]:
    """The GPUs this process may use, by their ordinal."""
    return tuple(gpu.ordinal for gpu in gpus())


def register() -> QuerySet[Device]:
    """The devices of this machine, written down when first needed."""
    gpus = gpu_ordinals()
    kind, ordinals = ("gpu", gpus) if gpus else ("cpu", tuple(range(max(1, settings.CPU_DEVICES))))
    mine = Device.objects.filter(host=settings.MACHINE, kind=kind, ordinal__in=ordinals)
    if mine.count() < len(ordinals):
        rows = [Device(host=settings.MACHINE, kind=kind, ordinal=ordinal) for ordinal in ordinals]
        Device.objects.bulk_create(rows, ignore_conflicts=True)
    return mine.order_by("ordinal")


def needed(job: Job) -> int:
    """Ranks on a CPU share it: there a job needs one device however many processes it starts."""
    return job.devices if gpu_ordinals() else min(job.devices, 1)


def ahead_of(job: Job) -> QuerySet[Job]:
    """Jobs that want a device, came earlier and have none yet."""
    earlier = Job.objects.filter(devices__gt=0).filter(
        Q(queued_at__lt=job.queued_at) | Q(queued_at=job.queued_at, pk__lt=job.pk)
    )
    soon = clock.now() + timedelta(seconds=IN_LINE_SECONDS)
    waiting = Q(state=Job.State.QUEUED, not_before__lte=soon)
    starting = Q(state=Job.State.RUNNING, held_devices=None, lease_expires_at__gt=clock.now())
    return earlier.filter(waiting | starting).filter(~Q(progress__has_key="phase") | ~Q(progress__phase=INSPECTING))


def may_have(job: Job) -> bool:
    """Whether starting this job now makes sense: its turn has come and enough devices are free."""
    return job.devices == 0 or (not ahead_of(job).exists() and register().filter(job=None).count() >= needed(job))


def acquire(job: Job) -> list[Device]:
    """Take what the job needs, all or nothing; empty when it must wait. Errors: JobError when this machine has too few at all."""
    devices, count = register(), needed(job)
    held = [device for device in devices if device.job_id == job.pk]
    if len(held) >= count:
        return held
    if len(devices) < count:
        raise JobError(
            "too_few_devices",
            f"This needs {count} devices; the machine {settings.MACHINE} has {len(devices)}.",
            hint="Ask for fewer processes, or start a worker on a larger machine.",
        )
    return [] if ahead_of(job).exists() else _take(job, [device for device in devices if device.job_id is None], count)


def _take(job: Job, free: list[Device], count: int) -> list[Device]:
    """Always in the order of their ordinals, so that two jobs that want several cannot wait for each other."""
    with transaction.atomic():
        taken = [device for device in free[:count] if Device.objects.filter(pk=device.pk, job=None).update(job=job)]
        if len(taken) < count:
            transaction.set_rollback(True)
            return []
    return taken


def release(job: Job) -> None:
    """In the transaction that takes the job out of `running`."""
    Device.objects.filter(job=job).update(job=None)


def next_in_line() -> Job | None:
    """The job that has waited longest for a device."""
    return Job.objects.waiting().filter(progress__phase=WAITING).order_by("queued_at", "pk").first()


def free_forgotten() -> int:
    """Devices whose job is no longer running, for instance after rows were mended by hand."""
    return Device.objects.filter(job__isnull=False).exclude(job__state=Job.State.RUNNING).update(job=None)
