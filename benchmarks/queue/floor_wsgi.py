"""The product's application with the floor as its only page."""

import os
from typing import Any


def _floor() -> Any:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    from django.conf import settings

    settings.ROOT_URLCONF = "benchmarks.queue.floor"
    from config.wsgi import application

    return application


application = _floor()
