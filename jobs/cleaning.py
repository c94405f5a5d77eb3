"""Values as every database can keep them."""

import math
from typing import Any


def storable(value: Any) -> Any:
    """JSON that PostgreSQL takes too: no NUL, no half characters, no NaN or infinity (they become null), at any depth."""
    if isinstance(value, str):
        return value.replace("\x00", "").encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {storable(str(key)): storable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [storable(item) for item in value]
    return value
