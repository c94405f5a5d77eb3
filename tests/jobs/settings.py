"""Settings of the processes that tests start: the test settings, and the kinds that only tests have."""

from config.addresses import broker_transport_options
from config.settings_test import *  # noqa: F403
from config.settings_test import CELERY_BROKER_URL, INSTALLED_APPS, VAR

INSTALLED_APPS = [*INSTALLED_APPS, "tests.jobs.apps.FakesConfig"]
CELERY_BROKER_TRANSPORT_OPTIONS = broker_transport_options(CELERY_BROKER_URL, VAR / "broker")
