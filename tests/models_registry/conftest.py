"""The registry's own ground: a model with versions, and a win rate that decides."""

from collections.abc import Callable
from typing import Any

import pytest

from models_registry.models import Evaluation, Model, ModelVersion
from models_registry.services import record_evaluation
from tests.conftest import Cast
from tests.factories import make_version


def win_rate(low: float, high: float, *, enough: bool = True) -> dict[str, Any]:
    return {"win_rate": {"estimate": (low + high) / 2, "low": low, "high": high, "enough": enough}}


@pytest.fixture
def model(cast: Cast) -> Model:
    return Model.objects.create(project=cast.project, slug="assistant", name="Assistant")


@pytest.fixture
def first(model: Model) -> ModelVersion:
    return make_version(model=model)


@pytest.fixture
def second(model: Model, first: ModelVersion) -> ModelVersion:
    return make_version(model=model)


@pytest.fixture
def measured(cast: Cast) -> Callable[..., Evaluation]:
    def measure(
        version: ModelVersion, baseline: ModelVersion | None, low: float, high: float, **more: Any
    ) -> Evaluation:
        return record_evaluation(
            project=cast.project,
            version=version,
            baseline=baseline,
            judge="people",
            spec={"schema_version": 1},
            metrics=win_rate(low, high, **more),
        )

    return measure
