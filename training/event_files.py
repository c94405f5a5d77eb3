"""A run's curves and texts as a file that TensorBoard reads, written from its events: steps that were run again count once."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

from django.utils.translation import gettext as _

from ground.errors import NotFound
from jobs.models import Job
from jobs.selectors import metrics_in_force
from training.models import Run
from training.selectors import shown_of

log = logging.getLogger(__name__)
FOLDER = "tensorboard"


def name_of(run: Run) -> str:
    """TensorBoard takes files whose names hold `tfevents`; the number tells runs apart in one folder."""
    return f"events.out.tfevents.{int(run.created_at.timestamp())}.plumbline.{run.public_id}"


def write_file(run: Run) -> Path:
    """In the run's folder under `tensorboard/`, always whole and anew. Errors: NotFound before the run has a folder, OSError."""
    from tensorboardX.record_writer import RecordWriter  # with numpy: only here, never when a web process starts

    if not Path(run.folder).is_dir():
        raise NotFound(_("Run %d has written nothing yet.") % run.number)
    folder = Path(run.folder) / FOLDER
    folder.mkdir(exist_ok=True)
    beside = folder / f".{os.getpid()}.part"
    writer = RecordWriter(str(beside))
    for event in _events(run):
        writer.write(event.SerializeToString())
    writer.close()
    return beside.replace(folder / name_of(run))


def _events(run: Run) -> list[Any]:
    from tensorboardX.proto.event_pb2 import Event
    from tensorboardX.proto.summary_pb2 import Summary
    from tensorboardX.summary import text

    began = run.created_at.timestamp()
    found = [Event(wall_time=began, file_version="brain.Event:2")]
    for metric in metrics_in_force(run.job):
        values = [Summary.Value(tag=name, simple_value=value) for name, value in _curves(metric.data)]
        if metric.step is not None and values:
            found.append(Event(wall_time=metric.at.timestamp(), step=metric.step, summary=Summary(value=values)))
    for number, (prompt, texts) in enumerate(shown_of(run).items(), 1):
        for sample in texts:
            summary = text(f"texts/{number}", f"{_plain(prompt)}\n\n{_plain(sample.text)}")
            found.append(Event(wall_time=sample.at.timestamp(), step=sample.step or 0, summary=summary))
    return found


def _curves(data: dict[str, Any]) -> list[tuple[str, float]]:
    numbers = ((name, value) for name, value in data.items() if name not in ("step", "steps"))
    return [(name, float(value)) for name, value in numbers if isinstance(value, int | float) and value is not True]


def _plain(words: str) -> str:
    """TensorBoard shows markdown: as an indented block nothing of it is drawn."""
    return "\n".join(f"    {line}" for line in words.splitlines())


def keep(job: Job) -> None:
    """When a run came to an end. A file more, never a reason for anything to fail."""
    run = Run.objects.filter(job=job).select_related("job").first()
    if run is None or not metrics_in_force(job):
        return
    try:
        write_file(run)
    except (OSError, NotFound, ImportError) as error:
        log.warning("Run %s has no file for TensorBoard: %s", run.public_id, error)
