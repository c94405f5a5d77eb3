from collections.abc import Callable
from typing import Any

import pytest

from annotation.services.tasks import create_pairwise_tasks
from tests.factories import make_completion, make_prompt


@pytest.fixture
def make_tasks(cast: Any) -> Callable[..., list[Any]]:
    """`make_tasks(3, overlap=2)`: tasks that compare two imported answers."""

    def make(count: int = 1, **options: Any) -> list[Any]:
        pairs = []
        for _ in range(count):
            prompt = make_prompt(cast.project)
            pairs.append((make_completion(prompt), make_completion(prompt)))
        return create_pairwise_tasks(actor=cast.mona, pairs=pairs, **options)

    return make
