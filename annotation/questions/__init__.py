"""The kinds of question, one module each."""

from collections.abc import Mapping
from typing import Any

from annotation.questions.base import POSITIONS, Kind, Needs, Problem, Shown
from annotation.questions.chat import Chat
from annotation.questions.correction import Correction
from annotation.questions.demonstration import Demonstration
from annotation.questions.flags import Flags
from annotation.questions.labels import Labels
from annotation.questions.pairwise import Pairwise
from annotation.questions.ranking import Ranking
from annotation.questions.rating import Rating
from annotation.questions.relations import Relations
from annotation.questions.spans import Spans
from annotation.questions.text import Text

__all__ = ["KINDS", "POSITIONS", "Kind", "Needs", "Problem", "Shown", "needs", "needs_shown"]

_ALL = (Pairwise, Ranking, Rating, Labels, Spans, Relations, Text, Demonstration, Correction, Flags, Chat)
KINDS: dict[str, Kind] = {kind.name: kind() for kind in _ALL}


def needs(schema: Mapping[str, Any]) -> Needs:
    """What a task under this schema must bring. `least` above `most`: its questions cannot go together."""
    asked = [KINDS[question["kind"]].needs(question) for question in schema["questions"]]
    counts = [need for need in asked if need.most]
    return Needs(
        prompt=any(need.prompt for need in asked),
        least=max((need.least for need in counts), default=0),
        most=min((need.most for need in counts), default=0),
        opening=any(need.opening for need in asked),
    )


def needs_shown(schema: Mapping[str, Any]) -> bool:
    """Whether answers can be checked only with what was shown."""
    return any(KINDS[question["kind"]].asks_about_shown(question) for question in schema["questions"])
