"""Memory of a supervisor while its run says a hundred thousand things. Needs Django, set up."""

import subprocess
import sys
import time

from benchmarks.queue.machine import ROOT
from jobs.models import Job, JobEvent
from jobs.services import submit

SETTLED = 0.4
"""The part of the events after which growth is counted: imports, connections and buffers are there by then."""


def growth_mb(events: int) -> float:
    """Resident memory at its highest after the first two fifths of the events, less that at their end, in MiB.

    Errors: RuntimeError when an event is missing in the end.
    """
    job = submit(actor=None, project=None, kind="chatter", spec={"schema_version": 1, "events": events})
    supervisor = subprocess.Popen([sys.executable, str(ROOT / "manage.py"), "supervise", job.public_id], cwd=ROOT)
    first, highest = 0.0, 0.0
    while supervisor.poll() is None:
        stored = int(Job.objects.values_list("progress", flat=True).get(pk=job.pk).get("step", 0))
        now = _resident_mb(supervisor.pid)
        if stored >= SETTLED * events:
            first = first or now
            highest = max(highest, now)
        time.sleep(0.1)
    kept = JobEvent.objects.filter(job=job).count()
    if kept != events or not first:
        raise RuntimeError(f"{kept} of {events} events arrived; the supervisor ended with {supervisor.returncode}")
    return highest - first


def _resident_mb(pid: int) -> float:
    """0 once the process is gone."""
    try:
        lines = open(f"/proc/{pid}/status").read().splitlines()  # noqa: SIM115
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS:")), 0.0)
