"""A run that a client sends to another machine: through API, worker, supervisor, follower, ssh, agent and launcher to the ranks."""

import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from jobs.models import Job, JobEvent
from models_registry.models import ModelVersion
from tests.engine.runs import free_port
from tests.engine.test_other_machines import engines, install
from tests.jobs.processes import Fleet, state_of, still_runs, wait_for
from tests.training.real import PATIENCE, QUICK, TWO_RANKS, is_rank, newest_checkpoint, rows, tiny_version

STEPS, EVERY = 40, 4
pytestmark = [pytest.mark.launcher, pytest.mark.timeout(1800), pytest.mark.django_db(transaction=True)]


@pytest.fixture
def host(tmp_path: Path) -> Iterator[dict[str, Any]]:
    """Settings of a target: one host with two slots, an sshd of this user on a loopback port."""
    install({"sshd": "openssh-server", "ssh": "openssh-client"})
    port = free_port()
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / name)], check=True)
    key = " ".join((tmp_path / "host.pub").read_text().split()[:2])
    (tmp_path / "known").write_text(f"[127.0.0.1]:{port} {key}\n")
    (tmp_path / "sshd_config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {tmp_path}/host\nAuthorizedKeysFile {tmp_path}/user.pub\n"
        "StrictModes no\nUsePAM no\nPermitRootLogin prohibit-password\nPidFile none\n"
    )
    config = tmp_path / "ssh_config"
    config.write_text(
        f"Host *\n  Port {port}\n  IdentityFile {tmp_path}/user\n  UserKnownHostsFile {tmp_path}/known\n  IdentitiesOnly yes\n"
    )
    daemon = serve(tmp_path / "sshd_config")
    try:
        probe = ["ssh", "-F", str(config), "-o", "BatchMode=yes", "127.0.0.1", "true"]
        if not answers(probe):
            pytest.skip("the kernel or this account lets no sshd serve on 127.0.0.1")
        yield {"hosts": ["127.0.0.1 slots=2"], "ssh_config": str(config)}
    finally:
        daemon.kill()
        daemon.wait(timeout=30)


def serve(config: Path) -> "subprocess.Popen[bytes]":
    try:
        Path("/run/sshd").mkdir(exist_ok=True)
    except PermissionError:
        pytest.skip("the kernel lets only root make sshd's folder")
    return subprocess.Popen(["/usr/sbin/sshd", "-D", "-f", str(config)], stdin=subprocess.DEVNULL)


def answers(probe: list[str]) -> bool:
    try:
        return bool(wait_for(lambda: subprocess.run(probe, capture_output=True).returncode == 0, 30))
    except AssertionError:
        return False


@pytest.fixture
def house(transactional_db: None) -> Iterator[Fleet]:
    """Cancelling is hasty here: the ranks are stopped and would never read the stop file."""
    fleet = Fleet(
        OMP_NUM_THREADS="1",
        TEST_BROKER_URL="filesystem://",
        PLUMBLINE_JOB_LEASE_SECONDS="20",
        PLUMBLINE_RUN_STOP_GRACE_SECONDS="1",
        PLUMBLINE_RUN_TERM_GRACE_SECONDS="30",
    )
    fleet.manage("tick")
    fleet.manage("worker", "--concurrency=1")
    yield fleet
    fleet.end()


def test_a_run_sent_to_a_host_is_cancelled_there_goes_on_there_and_is_registered(
    house: Fleet, host: dict[str, Any], cast: Any, api: Any, make_snapshot: Any, tmp_path: Path
) -> None:
    """Cancelled while its ranks are stopped: only the agent's KILL ends them. Resumed over HTTP, it finishes on the host."""
    path = f"/api/v1/projects/{cast.project.slug}"
    owner, manager = api(cast.alice), api(cast.mona)
    target = owner.post(f"{path}/targets", {"name": "box", "kind": "hosts", "settings": host})
    assert target.status_code == 201, target.content
    asked = {
        "method": "sft",
        "base": tiny_version(cast.project, tmp_path / "tiny").public_id,
        "snapshot": make_snapshot(sft_train=rows()).public_id,
        "target": "box",
        "model": "far",
        "hyperparameters": {**QUICK, "max_steps": STEPS},
        "parallelism": TWO_RANKS,
        "checkpoint": {"every_steps": EVERY},
    }
    begun = manager.post(f"{path}/runs", asked)
    assert begun.status_code == 202, begun.content
    run, job = f"{path}/runs/{begun.json()['id']}", Job.objects.get(kind="sft")
    folder = Path(job.run.folder)

    wait_for(lambda: newest_checkpoint(folder), PATIENCE)
    far = [process for process in engines(folder) if is_rank(process)]
    assert len(far) >= 2
    for process in far:
        process.send_signal(signal.SIGSTOP)
    assert manager.post(f"{run}:cancel").status_code == 202
    wait_for(lambda: state_of(job) == "cancelled", PATIENCE)
    wait_for(lambda: engines(folder) == [], 60)
    wait_for(lambda: not any(map(still_runs, far)), 30)
    assert not (folder / "remote.json").exists()

    assert manager.post(f"{run}:resume").status_code == 202
    wait_for(lambda: state_of(job) in ("succeeded", "failed"), PATIENCE)
    job.refresh_from_db()
    assert job.state == "succeeded", job.error
    assert (job.result["launcher"], job.result["world_size"]) == ("deepspeed", 2)
    assert JobEvent.objects.filter(job=job, kind="phase", data__name="resumed").count() == 1
    assert manager.get(run).json()["version"] == ModelVersion.objects.get(model__slug="far").public_id
    assert engines(folder) == []
