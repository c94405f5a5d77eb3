from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def worked_stats(shared_data: Path) -> Path:
    """Worked examples with published answers."""
    return shared_data / "worked-stats"
