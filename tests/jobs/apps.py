"""As an app, the fake kinds are known to supervisors and workers that tests start."""

from django.apps import AppConfig


class FakesConfig(AppConfig):
    name = "tests.jobs"
    label = "fakes"

    def ready(self) -> None:
        from tests.jobs.fakes import register_fakes

        register_fakes()
