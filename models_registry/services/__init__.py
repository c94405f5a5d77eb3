"""Every write of this floor, by noun."""

from models_registry.services.aliases import move_alias, roll_back
from models_registry.services.completions import (
    add_completions,
    record_exchange,
    request_completions,
    write_completion,
)
from models_registry.services.deployments import deploy, stop_deployment
from models_registry.services.prompts import import_prompts, keep_prompt
from models_registry.services.verdicts import record_evaluation, record_verdict
from models_registry.services.versions import ensure_model, register_version

__all__ = [
    "add_completions",
    "deploy",
    "ensure_model",
    "import_prompts",
    "keep_prompt",
    "move_alias",
    "record_evaluation",
    "record_exchange",
    "record_verdict",
    "register_version",
    "request_completions",
    "roll_back",
    "stop_deployment",
    "write_completion",
]
