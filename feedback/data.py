"""Plain values of this floor: what was sent, what was projected, what a snapshot is planned from."""

from dataclasses import dataclass, field


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
    """One vote on a pair. `source` is the public id of the annotation or the feedback behind it."""

    source: str
    prompt: int
    first: int
    second: int
    outcome: str
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
    """A preference that a majority holds; `weight` is its share of all votes on the pair."""

    prompt: int
    chosen: int
    rejected: int
    weight: float
    sources: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Example:
    """A response to imitate, and why: `chosen` by a majority, or thumbs `up`."""

    prompt: int
    completion: int
    origin: str
    sources: tuple[str, ...]


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
