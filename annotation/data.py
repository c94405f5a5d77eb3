"""What the queue hands over."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID


@dataclass(frozen=True)
class Content:
    """What a task shows, read with the claim. Candidates' texts stand in the order of their ordinals."""

    task_id: str
    schema_id: int
    prompt_id: int | None
    data: dict[str, Any]
    prompt: list[dict[str, str]]
    texts: list[str]
    draft: dict[str, Any] | None


@dataclass(frozen=True)
class Claim:
    """A slot leased to an actor, and what its task shows where that was read along."""

    slot_id: int
    task_id: int
    ordinal: int
    token: UUID
    expires_at: datetime
    content: Content | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Answer:
    """An annotation about to be written: validated, in the candidates' own order."""

    public_id: str
    key: str
    answers: dict[str, Any]
    display_order: list[int]
    seconds: float | None
    at: datetime
    flagged: bool = False


@dataclass(frozen=True)
class Candidate:
    """A response as its reader sees it: `side` is where it stands, nothing says who wrote it."""

    side: str
    text: str


@dataclass(frozen=True)
class ServedTask:
    """A leased slot with everything a page or a client needs to judge it."""

    id: str
    lease: str
    lease_expires_at: datetime
    task_id: str
    data: dict[str, Any]
    fields: list[dict[str, Any]]
    prompt: list[dict[str, str]]
    candidates: list[Candidate]
    questions: list[dict[str, Any]]
    draft: dict[str, Any] | None
    answer: dict[str, Any] | None = None
    schema: str = ""
    layout: str = "side_by_side"
    sensitive: bool | str = False


@dataclass(frozen=True)
class Feedback:
    """How an answer to a gold task did, told to its author at once: candidates in the order they were shown."""

    score: float
    right_answers: dict[str, Any]
    explanation: str


@dataclass(frozen=True)
class Added:
    """What became of one task that was sent: created, known (its external id has one) or invalid."""

    status: str
    id: str = ""
    error: str = ""


@dataclass(frozen=True)
class NewRuling:
    """What a reviewer says of one answer."""

    verdict: str
    comment: str = ""


@dataclass(frozen=True)
class Settlement:
    """A reviewer's decision about a case: a ruling for every answer by its name there, and what is to stand for the task.

    `answers` (candidates as the reviewer saw them) or `adopt` (an answer's name) make the overall answer; `ask_again` opens the
    places of rejected answers for somebody else instead.
    """

    rulings: dict[str, NewRuling]
    cause: str
    comment: str = ""
    answers: Any = None
    adopt: str = ""
    ask_again: bool = False
