"""Settings of the processes that tests start: the test settings, and the kinds that only tests have."""

from config.settings_test import *  # noqa: F403
from config.settings_test import INSTALLED_APPS

INSTALLED_APPS = [*INSTALLED_APPS, "tests.jobs.apps.FakesConfig"]
