"""Real runs on other machines: two network namespaces behind sshd, and a Slurm cluster of one node, both made on the spot.

They need root, Debian's packages (installed when missing) and a kernel that lets namespaces be made; without,
they skip and say why.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.engine.runs import ROOT, events, free_port, make_run, result, sft_rows, wait_until
from training.engine.files import write_files
from training.plan import plan

pytestmark = [pytest.mark.launcher, pytest.mark.timeout(600)]
PATIENCE = 150.0


def require_root() -> None:
    if os.geteuid() != 0:
        pytest.skip("the kernel lets only root make namespaces and daemons")


def install(programs: dict[str, str]) -> None:
    """Programs by the Debian package that brings them."""
    missing = sorted({package for program, package in programs.items() if shutil.which(program) is None})
    if not missing:
        return
    if shutil.which("apt-get") is None:
        pytest.skip(f"no apt-get to install {', '.join(missing)}")
    command = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *missing]
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    done = subprocess.run(command, env=quiet, capture_output=True, text=True, timeout=300)
    if done.returncode:
        pytest.skip(f"apt-get cannot install {', '.join(missing)}")


@dataclass
class Machines:
    """Where followers run (`prefix` before their command), what the target says, and daemons to end."""

    target: dict[str, Any]
    prefix: list[str] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)
    started: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def daemon(self, *argv: str) -> None:
        self.started.append(subprocess.Popen(argv, stdin=subprocess.DEVNULL, start_new_session=True))

    def follow(self, root: Path) -> subprocess.Popen[bytes]:
        """The run's plan for these machines, written into its directory and started as the supervisor would."""
        spec = json.loads((root / "spec.json").read_text(encoding="utf-8"))
        place = {
            "run_dir": str(root), "root": str(ROOT), "venv": str(Path(sys.executable).parent.parent),
            "var": str(root / "var"), "path": os.environ["PATH"], "master_port": free_port(),
        }  # fmt: skip
        launch = plan(spec, {**place, **self.target})
        write_files(root, launch.files)
        output = (root / "launcher.log").open("ab")
        process = subprocess.Popen(
            [*self.prefix, *launch.argv], cwd=root, env={**os.environ, **self.environment, **launch.environment},
            stdout=output, stderr=output, start_new_session=True,
        )  # fmt: skip
        self.started.append(process)
        return process

    def end(self) -> None:
        for process in reversed(self.started):
            if process.poll() is None:
                process.kill()
            process.wait(timeout=30)


@pytest.fixture
def two_hosts(tmp_path: Path) -> Iterator[Machines]:
    """Two namespaces with an sshd each and one cable between them. The follower lives in the first."""
    require_root()
    install({"sshd": "openssh-server", "ssh": "openssh-client", "ip": "iproute2"})
    names = [f"plumb{os.getpid()}-{number}" for number in (0, 1)]
    addresses = ["10.77.9.1", "10.77.9.2"]
    if subprocess.run(["ip", "netns", "add", names[0]], capture_output=True).returncode:
        pytest.skip("the kernel forbids network namespaces")
    machines = Machines({})
    try:
        wire(names, addresses)
        config = keys_and_config(tmp_path, addresses)
        Path("/run/sshd").mkdir(exist_ok=True)
        for name in names:
            machines.daemon("ip", "netns", "exec", name, "/usr/sbin/sshd", "-D", "-f", str(tmp_path / "sshd_config"))
        machines.prefix = ["ip", "netns", "exec", names[0]]
        hosts = [f"{address} slots=1" for address in addresses]
        machines.target = {"kind": "hosts", "hosts": hosts, "ssh_config": str(config), "interface": "eth0"}
        for address in addresses:
            probe = [*machines.prefix, "ssh", "-F", str(config), "-o", "BatchMode=yes", address, "true"]
            wait_until(lambda probe=probe: subprocess.run(probe, capture_output=True).returncode == 0, 20)
        yield machines
    finally:
        machines.end()
        for name in names:
            subprocess.run(["ip", "netns", "del", name], capture_output=True)


def wire(names: list[str], addresses: list[str]) -> None:
    ends = ["eth0", "netns", names[0], "type", "veth", "peer", "name", "eth0", "netns", names[1]]
    subprocess.run(["ip", "netns", "add", names[1]], check=True)
    subprocess.run(["ip", "link", "add", *ends], check=True)
    for name, address in zip(names, addresses, strict=True):
        for words in (
            ["addr", "add", f"{address}/24", "dev", "eth0"],
            ["link", "set", "eth0", "up"],
            ["link", "set", "lo", "up"],
        ):
            subprocess.run(["ip", "-n", name, *words], check=True)


def keys_and_config(folder: Path, addresses: list[str]) -> Path:
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)], check=True)
    host_key = (folder / "host.pub").read_text().split()[:2]
    (folder / "known").write_text("".join(f"[{address}]:2222 {' '.join(host_key)}\n" for address in addresses))
    (folder / "sshd_config").write_text(
        f"Port 2222\nHostKey {folder}/host\nAuthorizedKeysFile {folder}/user.pub\nStrictModes no\nUsePAM no\n"
        f"PermitRootLogin prohibit-password\nPidFile none\n"
    )
    config = folder / "ssh_config"
    config.write_text(
        f"Host *\n  Port 2222\n  User root\n  IdentityFile {folder}/user\n  UserKnownHostsFile {folder}/known\n"
    )
    return config


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Machines]:
    """Controller, node and munge of our own: their files lie in the test's folder, their ports are free ones."""
    require_root()
    install({"slurmctld": "slurm-wlm", "slurmd": "slurm-wlm", "sbatch": "slurm-wlm", "munged": "munge"})
    folder = tmp_path / "slurm"
    (folder / "spool").mkdir(parents=True)
    for part in (tmp_path, folder):
        part.chmod(0o755)  # munge looks at every folder above its socket
    name = socket.gethostname().split(".")[0]
    (folder / "munge.key").write_bytes(os.urandom(128))
    (folder / "munge.key").chmod(0o600)
    memory = psutil.virtual_memory().total // 2**20 * 9 // 10
    settings = {
        "ClusterName": "test", "SlurmctldHost": f"{name}(127.0.0.1)", "SlurmUser": "root", "SlurmdUser": "root",
        "SlurmctldPort": free_port(), "SlurmdPort": free_port(), "AuthType": "auth/munge",
        "AuthInfo": f"socket={folder}/munge.socket", "CredType": "cred/munge", "StateSaveLocation": folder / "spool",
        "SlurmdSpoolDir": folder / "spool", "SlurmctldPidFile": folder / "ctld.pid", "SlurmdPidFile": folder / "d.pid",
        "ProctrackType": "proctrack/linuxproc", "TaskPlugin": "task/none", "SelectType": "select/cons_tres",
        "SelectTypeParameters": "CR_Core", "JobAcctGatherType": "jobacct_gather/none", "ReturnToService": 2,
        "AccountingStorageType": "accounting_storage/none", "MpiDefault": "none", "SwitchType": "switch/none",
        "NodeName": f"{name} NodeAddr=127.0.0.1 CPUs={os.cpu_count()} RealMemory={memory}",
        "PartitionName": f"all Nodes={name} Default=YES State=UP MaxTime=INFINITE",
    }  # fmt: skip
    (folder / "slurm.conf").write_text("".join(f"{key}={value}\n" for key, value in settings.items()))
    monkeypatch.setenv("SLURM_CONF", str(folder / "slurm.conf"))
    machines = Machines({"kind": "slurm"}, environment={"SLURM_CONF": str(folder / "slurm.conf")})
    try:
        here = [f"--{word}-file={folder}/munge.{word}" for word in ("key", "pid", "log", "seed")]
        machines.daemon("munged", "--foreground", "--force", f"--socket={folder}/munge.socket", *here)
        wait_until(lambda: (folder / "munge.socket").exists(), 20)
        for daemon in ("slurmctld", "slurmd"):
            machines.daemon(daemon, "-D", "-f", str(folder / "slurm.conf"), "-L", str(folder / f"{daemon}.log"))
        wait_until(
            lambda: "idle" in subprocess.run(["sinfo", "-h", "-o", "%T"], capture_output=True, text=True).stdout, 60
        )
        yield machines
    finally:
        subprocess.run(["scancel", "--me"], capture_output=True)
        machines.end()


@pytest.fixture
def run_of(tiny: Path, tmp_path: Path) -> Callable[..., Path]:
    def make(steps: int = 3) -> Path:
        return make_run(
            tmp_path / "run", "sft", models={"base": tiny}, data={"train": sft_rows()},
            settings={"max_steps": steps, "lora_r": 0, "dtype": "float32", "batch_size": 2},
            parallelism={"world_size": 2, "zero_stage": 2}, checkpoint={"every_steps": 1000},
        )  # fmt: skip

    return make


def engines(root: Path) -> list[psutil.Process]:
    """Every process on this machine that works on the run, whichever namespace it lives in; not its follower."""
    found = []
    for process in psutil.process_iter():
        try:
            words = process.cmdline()
        except psutil.Error:
            continue
        if str(root) in words and any("training.engine" in word for word in words) and process.status() != "zombie":
            found.append(process)
    return found


def test_two_hosts_train_one_model_through_a_host_file(two_hosts: Machines, run_of: Callable[..., Path]) -> None:
    root = run_of()
    code = two_hosts.follow(root).wait(timeout=PATIENCE)
    log = (root / "launcher.log").read_text()
    assert code == 0, log[-2000:]
    done = result(root)
    assert (done["state"], done["world_size"], done["zero_stage"], done["launcher"]) == ("succeeded", 2, 2, "deepspeed")
    assert (root / "hostfile").read_text() == "10.77.9.1 slots=1\n10.77.9.2 slots=1\n"
    assert len(events(root, "metric")) == 3
    assert engines(root) == []


def test_a_killed_follower_leaves_nothing_on_its_hosts(two_hosts: Machines, run_of: Callable[..., Path]) -> None:
    root = run_of(steps=100_000)
    follower = two_hosts.follow(root)
    wait_until(lambda: (root / "events.jsonl").exists() and bool(events(root, "metric")), PATIENCE)
    assert len(engines(root)) >= 6, "an agent, a launcher and a rank on each host"
    os.killpg(follower.pid, signal.SIGKILL)
    wait_until(lambda: engines(root) == [], 60)


def test_slurm_trains_on_its_node_and_gives_it_back(slurm: Machines, run_of: Callable[..., Path]) -> None:
    root = run_of()
    code = slurm.follow(root).wait(timeout=PATIENCE)
    log = (root / "launcher.log").read_text()
    assert code == 0, log[-2000:]
    done = result(root)
    assert (done["state"], done["world_size"], done["launcher"]) == ("succeeded", 2, "deepspeed")
    assert len(events(root, "metric")) == 3
    assert "slurm: submitted" in log
    assert engines(root) == []


def test_term_to_the_follower_cancels_the_job_in_slurm(slurm: Machines, run_of: Callable[..., Path]) -> None:
    root = run_of(steps=100_000)
    follower = slurm.follow(root)
    wait_until(lambda: (root / "events.jsonl").exists() and bool(events(root, "metric")), PATIENCE)
    began = time.monotonic()
    follower.send_signal(signal.SIGTERM)
    assert follower.wait(timeout=60) == 143
    assert time.monotonic() - began < 60
    assert engines(root) == []
    queue = subprocess.run(["squeue", "-h"], capture_output=True, text=True, check=True).stdout
    assert queue == ""
