from django.apps import AppConfig
from django.core.checks import register as register_check


class AnnotationConfig(AppConfig):
    name = "annotation"

    def ready(self) -> None:
        from annotation import budget, checks, kinds, rounds, searching
        from annotation.services import bulk, gold, import_files, refiling, routing, slots
        from jobs.kinds import register
        from jobs.ticks import register_beat
        from models_registry.signals import alias_moved, completions_ready

        register_check(checks.check_gateway_is_reachable)
        alias_moved.connect(rounds.when_alias_moved, dispatch_uid="rounds.alias_moved")
        completions_ready.connect(rounds.when_completions_ready, dispatch_uid="rounds.completions_ready")
        register_beat("annotation.expire_leases", 5, slots.expire_leases)
        register_beat("annotation.gold", 60, gold.score_missed)
        register_beat("annotation.rounds", 5, rounds.sweep_rounds)
        register_beat("annotation.budgets", 15, budget.sweep_budgets)
        register_beat("annotation.stranded", 30, refiling.sweep_stranded)
        register_beat("annotation.route_answers", 2, routing.route_answers)
        register(kinds.IMPORT)
        register(kinds.BULK_EDIT)
        register(kinds.REFILE)
        register_beat("annotation.index_words", 2, searching.index_words)
        register_beat("annotation.sweep_words", 60, searching.sweep_words)
        register_beat("annotation.purge_deletions", 30, bulk.purge_deletions)
        register_beat("annotation.sweep_import_files", 3600, import_files.sweep_files)
