"""The product's settings, and the kind of this benchmark."""

from config.settings import *  # noqa: F403
from config.settings import INSTALLED_APPS

INSTALLED_APPS = [*INSTALLED_APPS, "benchmarks.training.apps.ChatterConfig"]
