"""A run that a cluster lets wait, as its supervisor sees it."""

import json
from pathlib import Path
from typing import Any

import pytest

from ground import clock
from jobs import services
from jobs.rundir import RunDir
from jobs.supervisor import Supervisor

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(("data", "is_progress"), [({"pending": True}, True), ({"peak_rss_mb": 5.0}, False)])
def test_waiting_in_a_cluster_s_line_is_no_silence(
    make_job: Any, tmp_path: Path, data: dict[str, Any], is_progress: bool
) -> None:
    job = services.claim(job=make_job())
    assert job is not None
    watching = Supervisor(job, taken_over=False)
    watching._follow(RunDir(tmp_path), {"folder": str(tmp_path)})
    line = {"seq": 1, "at": clock.now().isoformat(), "kind": "heartbeat", "data": data}
    (tmp_path / "events.jsonl").write_text(json.dumps(line) + "\n")
    watching.last_progress = 0.0
    watching._read()
    assert (watching.last_progress > 0.0) is is_progress
