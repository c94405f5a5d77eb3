"""The programs that make up the product, and what must hold before they start. No Django: the demo starts before it."""

import errno
import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from jobs.keeper import CannotStart, Program

ROOT = Path(__file__).resolve().parent.parent
LEAST_FREE_BYTES = 500 * 1024**2


@dataclass(frozen=True)
class Ports:
    web: int = 8000
    gateway: int = 8001

    @classmethod
    def from_environment(cls, environment: dict[str, str]) -> "Ports":
        """Errors: CannotStart for a port that is no number."""
        return cls(_port(environment, "PLUMBLINE_PORT", 8000), _port(environment, "PLUMBLINE_GATEWAY_PORT", 8001))

    @property
    def web_url(self) -> str:
        return f"http://127.0.0.1:{self.web}"

    @property
    def gateway_url(self) -> str:
        return f"http://127.0.0.1:{self.gateway}"


def _port(environment: dict[str, str], name: str, default: int) -> int:
    text = environment.get(name) or str(default)
    if not text.isdigit() or not 1 <= int(text) <= 65535:
        raise CannotStart(f"{name} is {text!r}, which is no port. Set a number from 1 to 65535.")
    return int(text)


def environment_for(ports: Ports, environment: dict[str, str]) -> dict[str, str]:
    """What every program is started with: our Python first on the PATH, unbuffered lines, the addresses they tell each other."""
    binaries = str(Path(sys.executable).parent)
    return {
        "PLUMBLINE_GATEWAY_URL": ports.gateway_url,
        **environment,
        "PATH": f"{binaries}{os.pathsep}{environment.get('PATH', os.defpath)}",
        "PYTHONUNBUFFERED": "1",
        "DJANGO_SETTINGS_MODULE": environment.get("DJANGO_SETTINGS_MODULE", "config.settings"),
    }


def programs(ports: Ports, *, workers: int = 2, threads: int = 8) -> list[Program]:
    manage = [sys.executable, str(ROOT / "manage.py")]
    web = [
        *(sys.executable, "-m", "gunicorn", "config.wsgi:application", "--chdir", str(ROOT)),
        *("--bind", f"127.0.0.1:{ports.web}", "--worker-class", "gthread", "--preload"),
        *("--workers", str(workers), "--threads", str(threads), "--timeout", "60", "--graceful-timeout", "5"),
    ]
    return [
        Program("web", web, ports.web, "PLUMBLINE_PORT"),
        Program("gateway", [*manage, "gateway", "--port", str(ports.gateway)], ports.gateway, "PLUMBLINE_GATEWAY_PORT"),
        Program("worker", [*manage, "worker"]),
        Program("tick", [*manage, "tick"]),
        Program("models", [*manage, "serve_models"]),
    ]


def check_machine(var: Path) -> None:
    """Errors: CannotStart for a Python that is too old or a disk that is full."""
    if not (3, 11) <= sys.version_info[:2] <= (3, 13):
        raise CannotStart(
            f"Plumbline runs on Python 3.11 to 3.13; this is {sys.version.split()[0]}. Install one, then run `make setup`."
        )
    try:
        var.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(var).free
    except OSError as error:
        raise CannotStart(disk_sentence(var, error)) from error
    if free < LEAST_FREE_BYTES:
        raise CannotStart(
            f"The disk of {var} is full: {free // 1024**2} MB are free, 500 MB are needed. Make room there."
        )


def disk_sentence(var: Path, error: OSError) -> str:
    if error.errno == errno.ENOSPC:
        return f"The disk of {var} is full. Make room there, then start again."
    return f"{var} cannot be written: {error.strerror}. Set PLUMBLINE_VAR to a folder that can."
