"""The gateway process: `manage.py gateway`."""

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings_gateway")

django_application = get_asgi_application()

from django.conf import settings  # noqa: E402

from models_registry.gateway.limits import BodyLimit  # noqa: E402

application = BodyLimit(django_application, most=settings.GATEWAY_BODY_BYTES)
