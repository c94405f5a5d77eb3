"""The base, quicker and apart: its own var/, cheap password hashes, no nudges but those a test asks for."""

import os
import tempfile
from pathlib import Path

var = Path(os.environ.get("PLUMBLINE_VAR") or tempfile.mkdtemp(prefix="plumbline-test-"))
worker = os.environ.get("PYTEST_XDIST_WORKER", "")
# Tests that run side by side have a var/ each, and so do the processes that they start.
os.environ["PLUMBLINE_VAR"] = str(var if var.name == worker else var / worker)

from config.settings import *  # noqa: E402, F403  it reads what stands above
from config.settings import REST_FRAMEWORK, STORAGES, VAR  # noqa: E402

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
STORAGES = {**STORAGES, "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}}
WHITENOISE_USE_FINDERS = True
REST_FRAMEWORK = {**REST_FRAMEWORK, "TEST_REQUEST_DEFAULT_FORMAT": "json"}
CHEAP_COUNT_SECONDS = 60.0  # also on a machine that is busy with other tests
CELERY_BROKER_URL = os.environ.get("TEST_BROKER_URL", "memory://")
CELERY_BROKER_TRANSPORT_OPTIONS: dict[str, object] = {}
Path(VAR).mkdir(parents=True, exist_ok=True)
