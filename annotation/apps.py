from django.apps import AppConfig


class AnnotationConfig(AppConfig):
    name = "annotation"

    def ready(self) -> None:
        from annotation import rounds
        from annotation.services import routing, slots
        from jobs.ticks import register_beat
        from models_registry.signals import alias_moved, completions_ready

        alias_moved.connect(rounds.when_alias_moved, dispatch_uid="rounds.alias_moved")
        completions_ready.connect(rounds.when_completions_ready, dispatch_uid="rounds.completions_ready")
        register_beat("annotation.expire_leases", 5, slots.expire_leases)
        register_beat("annotation.rounds", 5, rounds.sweep_rounds)
        register_beat("annotation.route_answers", 2, routing.route_answers)
