from django.apps import AppConfig


class TrainingConfig(AppConfig):
    name = "training"

    def ready(self) -> None:
        """Register the engine's methods as kinds of work."""
        from jobs.kinds import register
        from jobs.ticks import register_beat
        from training import mirroring, telling
        from training.kinds import register_all

        register_all()
        telling.register_all()
        register(mirroring.KIND)
        register_beat("training.mlflow", 5.0, mirroring.start_if_due)
        register_beat("training.old_mlflow", 3600.0, mirroring.forget_old)
