"""The ASGI entry point; server-sent events need it."""

import os

from django.core.asgi import get_asgi_application

from portal import private

private.begin()
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")

application = get_asgi_application()
