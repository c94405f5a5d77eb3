"""Three people who can sign in. An operator's command makes them; passwords follow from the installation's secret."""

import hashlib
import hmac
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from jobs.programs import ROOT


@dataclass(frozen=True)
class Person:
    email: str
    name: str
    role: str
    password: str


def people(var: Path, environment: Mapping[str, str]) -> list[Person]:
    """The same three, with the same passwords, at every start of this installation."""
    secret = environment.get("PLUMBLINE_SECRET_KEY", "").encode() or (var / "secret_key").read_bytes()
    names = (("mona", "Mona", "manager"), ("carol", "Carol", "reviewer"), ("bob", "Bob", "annotator"))
    return [Person(f"{login}@example.org", name, role, _password(secret, login)) for login, name, role in names]


def _password(secret: bytes, login: str) -> str:
    digest = hmac.new(secret, f"demo:{login}".encode(), hashlib.sha256).hexdigest()
    return f"{login}-{digest[:4]}-{digest[4:8]}-{digest[8:12]}"


def add(person: Person, environment: dict[str, str]) -> None:
    """`manage.py add_person`. Errors: RuntimeError with what it said."""
    command = [sys.executable, str(ROOT / "manage.py"), "add_person", person.email, "--name", person.name]
    done = subprocess.run([*command, "--password", person.password], env=environment, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr.strip().splitlines()[-1] if done.stderr.strip() else "add_person failed")
