"""The base, quicker and apart: its own var/, cheap password hashes, no nudges but those a test asks for."""

import os
import tempfile
from pathlib import Path

os.environ.setdefault("PLUMBLINE_VAR", tempfile.mkdtemp(prefix="plumbline-test-"))

from config.settings import *  # noqa: F403
from config.settings import REST_FRAMEWORK, STORAGES, VAR

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
STORAGES = {**STORAGES, "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}}
WHITENOISE_USE_FINDERS = True
REST_FRAMEWORK = {**REST_FRAMEWORK, "TEST_REQUEST_DEFAULT_FORMAT": "json"}
CELERY_BROKER_URL = os.environ.get("TEST_BROKER_URL", "memory://")
CELERY_BROKER_TRANSPORT_OPTIONS: dict[str, object] = {}
Path(VAR).mkdir(parents=True, exist_ok=True)
