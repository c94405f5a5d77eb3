"""The kinds of work. Higher floors register theirs in `AppConfig.ready()`, so that imports keep going down."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.utils.functional import Promise

from jobs.data import LaunchPlan
from jobs.errors import UnknownKind

if TYPE_CHECKING:
    from jobs.models import Job

JSON = dict[str, Any]


def accept(spec: JSON) -> None:
    """The check of a kind that takes any spec."""


def keep(job: "Job", result: JSON) -> JSON:
    """The finish of a kind whose result needs nothing more done."""
    return result


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One kind of work: `prepare` for an external process under a supervisor, or `run` for work in this one.

    check(spec): pure; ValueError with the path of what is wrong.
    inspect(job): what can refuse the job before it holds a device; JobError. Once a job, repeatable when its process died.
    prepare(job): fills the run directory; called again before every attempt, so it must find what it left.
    run(job): in-process, idempotent, returns the result.
    collect(job, result): files and reckoning after a run that succeeded, before any transaction; idempotent.
    finish(job, result): inside the transaction that marks the job succeeded; idempotent, no files, no network.
    closed(job): after the commit of any final state.
    devices: how many counted devices one job needs; a function of the spec where that varies.
    short: `run` takes seconds, so the wake task does it at once instead of starting a process.
    """

    name: str
    label: str | Promise
    check: Callable[[JSON], object] = accept
    inspect: Callable[["Job"], None] | None = None
    prepare: Callable[["Job"], LaunchPlan] | None = None
    run: Callable[["Job"], JSON] | None = None
    collect: Callable[["Job", JSON], JSON] = keep
    finish: Callable[["Job", JSON], JSON] = keep
    closed: Callable[["Job"], None] | None = None
    devices: int | Callable[[JSON], int] = 0
    max_attempts: int = 3
    short: bool = False

    def __post_init__(self) -> None:
        if (self.prepare is None) == (self.run is None):
            raise ValueError(f"Kind {self.name} needs either prepare or run.")

    def devices_for(self, spec: JSON) -> int:
        return self.devices(spec) if callable(self.devices) else self.devices


_kinds: dict[str, Kind] = {}
INSPECTED = "inspected"
"""In a job's progress, once `inspect` let it pass."""


def register(kind: Kind) -> None:
    _kinds[kind.name] = kind


def get_kind(name: str) -> Kind:
    """Errors: UnknownKind, naming the registered ones."""
    if name not in _kinds:
        raise UnknownKind(f"No kind {name!r} is registered here. Registered: {', '.join(sorted(_kinds)) or 'none'}.")
    return _kinds[name]


def must_inspect(job: "Job") -> bool:
    return get_kind(job.kind).inspect is not None and not job.progress.get(INSPECTED)


def label_of(name: str) -> str:
    """What a person reads for the kind; its bare name when no floor of this process knows it."""
    return str(_kinds[name].label) if name in _kinds else name
