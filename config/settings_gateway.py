"""The base, for the gateway's process: its own addresses, no sessions, connections from a pool."""

from config.settings import *  # noqa: F403
from config.settings import DATABASES

ROOT_URLCONF = "config.urls_gateway"
MIDDLEWARE = ["django.middleware.security.SecurityMiddleware"]

if DATABASES["default"]["ENGINE"].endswith("postgresql"):
    # Kept connections belong to threads, and an asynchronous process has none that last: a pool lends them instead.
    DATABASES["default"]["CONN_MAX_AGE"] = 0
    DATABASES["default"]["OPTIONS"]["pool"] = {"min_size": 1, "max_size": 16, "timeout": 10}
