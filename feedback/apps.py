from django.apps import AppConfig

PROJECTION_SECONDS = 2


class FeedbackConfig(AppConfig):
    name = "feedback"

    def ready(self) -> None:
        """Register this floor's kind of work and its periodic duties with `jobs`."""
        from feedback import kinds
        from feedback.services import project_outbox, reconcile_pending
        from jobs.kinds import register
        from jobs.ticks import register_beat

        register(kinds.FREEZE)
        register_beat("feedback.project_outbox", PROJECTION_SECONDS, project_outbox)
        register_beat("feedback.reconcile_pending", PROJECTION_SECONDS, reconcile_pending)
