"""One model server: its folder, its command line, its process group."""

import json
import logging
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
from django.conf import settings
from django.utils.translation import gettext as _

from models_registry.models import Deployment, ModelVersion

logger = logging.getLogger(__name__)
MARKER = "PLUMBLINE_SERVED_BY"
MODEL = "./model"
"""The name a server knows its model by: a path below its own working folder, to which it is pinned."""
SECRETS = ("PLUMBLINE_", "DATABASE_URL", "BROKER_URL", "TEST_")
LOG_LINES = 15


class CannotStart(Exception):
    """Trying again would not help; the message says who must do what."""


@dataclass
class Server:
    """A process that this manager started. Times are of the monotonic clock."""

    deployment: int
    process: subprocess.Popen[bytes]
    port: int
    folder: Path
    started: float = field(default_factory=time.monotonic)
    ready_since: float | None = None
    missed: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def last_lines(self) -> str:
        """The end of its log, for the person who must mend it."""
        return last_lines(self.folder / "log")

    def stop(self, grace: float = 10.0) -> None:
        """TERM to the whole group, then KILL."""
        _signal_group(self.process.pid, signal.SIGTERM)
        try:
            self.process.wait(grace)
        except subprocess.TimeoutExpired:
            logger.warning("Server %d ignored TERM", self.process.pid)
        _signal_group(self.process.pid, signal.SIGKILL)
        self.process.wait()


def last_lines(log: Path) -> str:
    try:
        with log.open("rb") as stream:
            stream.seek(max(0, log.stat().st_size - 8000))
            lines = stream.read().decode("utf-8", "replace").replace("\x00", "").splitlines()
    except OSError:
        return ""
    return "\n".join(lines[-LOG_LINES:])


def start(deployment: Deployment) -> Server:
    """Start the server of a managed deployment. Errors: CannotStart."""
    version = deployment.version
    assert version is not None, "a constraint holds this"
    program = find_program(deployment.backend)
    folder = settings.SERVING / deployment.public_id
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    lay_out(version, folder / "model")
    port = free_port()
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            command_line(deployment.backend, program, port),
            cwd=folder,
            env=environment(folder),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    return Server(deployment.pk, process, port, folder)


def find_program(backend: str) -> str:
    """The server's program beside this interpreter, or on the path."""
    vllm = backend == Deployment.Backend.VLLM
    name = settings.SERVE_VLLM if vllm else settings.SERVE_TRANSFORMERS
    found = shutil.which(name, path=str(Path(sys.executable).parent)) or shutil.which(name)
    if found is None:
        extra = "vllm" if vllm else "transformers[serving]"
        raise CannotStart(
            _("There is no program %(name)s. Install it: pip install '%(extra)s'.") % {"name": name, "extra": extra}
        )
    return found


def command_line(backend: str, program: str, port: int) -> list[str]:
    address = ["--host", "127.0.0.1", "--port", str(port)]
    if backend == Deployment.Backend.VLLM:
        own = ["--served-model-name", MODEL]
    else:
        own = ["--log-level", "warning"]
    return [program, "serve", MODEL, *address, *own, *settings.SERVE_ARGUMENTS]


def environment(folder: Path) -> dict[str, str]:
    """Ours without our secrets. Offline; the hub's cache exists, or /v1/models answers 500."""
    hub = folder / "hub"
    hub.mkdir(exist_ok=True)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(SECRETS)}
    return {
        **kept,
        MARKER: marker(),
        "HF_HOME": str(folder),
        "HF_HUB_CACHE": str(hub),
        "HF_HUB_OFFLINE": "1",
        "TRANSFORMERS_OFFLINE": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "PYTHONUNBUFFERED": "1",
    }


def marker() -> str:
    return str(settings.SERVING)


def lay_out(version: ModelVersion, folder: Path) -> None:
    """The artifact as links, with sampling turned on: without `do_sample` the server is greedy whatever is asked.

    The artifact itself, whose digests are registered, is never touched. An adapter goes without its config.json: beside one
    the server would look for whole weights, without it finds the base by adapter_config.json.
    """
    artifact = Path(version.artifact)
    artifact = artifact if artifact.is_absolute() else settings.ARTIFACTS / artifact
    if not (artifact / "config.json").is_file():
        raise CannotStart(_("The files of %s are not where they were registered.") % version)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    own = {"generation_config.json", *(["config.json"] if (artifact / "adapter_config.json").is_file() else [])}
    for path in artifact.iterdir():
        if path.name not in own:
            (folder / path.name).symlink_to(path.resolve())
    (folder / "generation_config.json").write_text(json.dumps(_sampling_config(artifact / "generation_config.json")))


def _sampling_config(path: Path) -> dict[str, Any]:
    config = json.loads(path.read_text()) if path.is_file() else {}
    return {**config, "do_sample": True}


def free_port() -> int:
    """Free a moment ago. Who loses the race for it dies and is started again on another."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def end_orphans() -> int:
    """End servers that an earlier manager left behind, known by the marker in their environment. How many there were.

    The caller holds the manager's lock, so whatever carries the marker is nobody's child any more.
    """
    orphans = [process for process in psutil.process_iter() if _carries_marker(process)]
    for process in orphans:
        logger.warning("Ending the orphaned server %d", process.pid)
        _quietly(process.terminate)
    _gone, stubborn = psutil.wait_procs(orphans, timeout=10)
    for process in stubborn:
        _quietly(process.kill)
    psutil.wait_procs(stubborn, timeout=10)
    return len(orphans)


def _carries_marker(process: psutil.Process) -> bool:
    try:
        return process.pid != os.getpid() and process.environ().get(MARKER) == marker()
    except (psutil.Error, OSError):
        return False


def _quietly(act: Any) -> None:
    try:
        act()
    except psutil.NoSuchProcess:
        logger.debug("It ended by itself")


def _signal_group(leader: int, number: int) -> None:
    try:
        os.killpg(leader, number)
    except ProcessLookupError:
        logger.debug("Group %d is gone already", leader)
