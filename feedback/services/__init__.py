"""Every write of this floor."""

from feedback.services.freezing import freeze, verify_snapshot
from feedback.services.projecting import drain_outbox, project_outbox, rebuild_preferences
from feedback.services.sending import (
    reconcile_pending,
    send_comparison,
    send_feedback,
    send_feedback_batch,
    withdraw_feedback,
)

__all__ = [
    "drain_outbox",
    "freeze",
    "project_outbox",
    "rebuild_preferences",
    "reconcile_pending",
    "send_comparison",
    "send_feedback",
    "send_feedback_batch",
    "verify_snapshot",
    "withdraw_feedback",
]
