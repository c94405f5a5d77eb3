from django.apps import AppConfig


class JobsConfig(AppConfig):
    name = "jobs"

    def ready(self) -> None:
        from accounts.services import seal_events
        from jobs import delivering, devices, notices, sweeps
        from jobs.kinds import register
        from jobs.ticks import register_beat

        register_beat("jobs.nudge", 2.0, sweeps.nudge_waiting)
        register_beat("jobs.reap", 1.0, sweeps.reap_abandoned)
        register_beat("jobs.devices", 30.0, devices.free_forgotten)
        register_beat("jobs.notices", 2.0, notices.spread)
        register_beat("jobs.webhooks", 2.0, delivering.start_if_due)
        register_beat("jobs.old_deliveries", 3600.0, delivering.forget_old)
        register(delivering.KIND)
        register_beat("accounts.seal", 60.0, seal_events)
