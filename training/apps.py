from django.apps import AppConfig


class TrainingConfig(AppConfig):
    name = "training"

    def ready(self) -> None:
        """Register the engine's methods as kinds of work."""
        from training.kinds import register_all

        register_all()
