"""The product's application with the floor as its only page."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

from django.conf import settings

settings.ROOT_URLCONF = "benchmarks.queue.floor"

from config.wsgi import application

__all__ = ["application"]
