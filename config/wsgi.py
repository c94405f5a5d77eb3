"""The web process."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

application = get_wsgi_application()

# Every view is imported before gunicorn forks: else each process does it in its first visitor's time and in its own memory.
from django.urls import get_resolver  # noqa: E402

from ground.collecting import settle  # noqa: E402

get_resolver().url_patterns  # noqa: B018
settle()
