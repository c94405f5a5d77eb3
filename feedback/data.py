"""Plain values of this floor: what was sent, what was projected, what a snapshot is planned from."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Candidacy:
    """A response as it stood in a task."""

    ordinal: int
    completion: int
    prompt: int


@dataclass(frozen=True, kw_only=True)
class Projected:
    """A preference before it has a row; `first`, `second` and `prompt` are primary keys."""

    prompt: int
    first: int
    second: int
    outcome: str
    strength: int | None
    first_shown_first: bool | None
    part: str = ""
    origin: str = "comparison"
    all_bad: bool = False
    aspects: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Written:
    """A response that somebody wrote (`text`), or let stand (`completion`), to be imitated.

    `before` are the turns between the task's prompt and it; `over` the completions it is preferred to.
    """

    part: str
    origin: str
    text: str = ""
    completion: int | None = None
    before: tuple[Mapping[str, str], ...] = ()
    over: tuple[int, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Meaning:
    """All that an annotation says to training."""

    preferences: tuple[Projected, ...] = ()
    written: tuple[Written, ...] = ()


@dataclass(frozen=True, kw_only=True)
class NewFeedback:
    """One item of feedback, its shape checked. `user` is the application's own name for its end user."""

    target: str
    kind: str
    value: dict[str, object]
    comment: str = ""
    user: str = ""
    tags: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """One vote on a pair. `source` is the public id of the annotation or the feedback behind it.

    `group` is the public id of the task whose ranking implies it; `several`: its source says more than this.
    """

    source: str
    prompt: int
    first: int
    second: int
    outcome: str
    actor: int
    strength: int | None = None
    group: str = ""
    several: bool = False
    all_bad: bool = False
    aspects: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Shown:
    """A response written or let stand, in force. `source` is the public id of the annotation behind it."""

    source: str
    prompt: int
    completion: int
    origin: str
    actor: int


@dataclass(frozen=True, kw_only=True)
class Thumb:
    source: str
    prompt: int
    completion: int
    actor: int
    up: bool


@dataclass(frozen=True, kw_only=True)
class Pair:
    """A preference that a majority holds; `weight` is its share of all votes on the pair, over the pairs of its `group`.

    `margin` is by how much, from 0 to 3, where people said so. `aspects` counts what was said of each aspect, seen from the chosen
    response. `several`: a source says more than this pair.
    """

    prompt: int
    chosen: int
    rejected: int
    weight: float
    sources: tuple[str, ...]
    group: str = ""
    group_size: int = 1
    margin: float | None = None
    all_bad: bool = False
    aspects: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    several: bool = False


@dataclass(frozen=True, kw_only=True)
class Example:
    """A response to imitate, and why: written or let stand by a person, `chosen` by a majority, or thumbs `up`."""

    prompt: int
    completion: int
    origin: str
    sources: tuple[str, ...]
    several: bool = False


@dataclass(frozen=True, kw_only=True)
class Vote:
    """A judgement in an evaluation, seen from the challenger: 1 won, 0.5 tie, 0 lost, None both bad."""

    prompt: int
    actor: int
    outcome: float | None


@dataclass(frozen=True, kw_only=True)
class Counts:
    """What a project's feedback amounts to. `preferences` are those in force; `decisive` prefer one side."""

    preferences: int
    decisive: int
    ties: int
    both_bad: int
    prompts: int
    people: int
    simulated: int
    waiting: int
    feedback: int
    pending: int
    thumbs_up: int
    thumbs_down: int
    ratings: int
    corrections: int
    comparisons: int
