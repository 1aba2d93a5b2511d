"""The clock, `celery -A portal.beat beat`: nudges tasks by name, every few seconds.

An app of its own, without Django and without the tasks: it reads no row, and a second of imports
would only be in the way of the web server that starts beside it.
"""

import os
from logging.config import dictConfig
from pathlib import Path
from typing import Any

from celery import Celery
from celery.signals import setup_logging
from django.conf import settings

from portal.machine import liveness, private

private.set_umask()
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")

app = Celery("backline", fixups=[])
app.config_from_object("django.conf:settings", namespace="CELERY")
if settings.ALIVE_FILE:
    liveness.touch_from_now_on(Path(settings.ALIVE_FILE))


@setup_logging.connect
def _log(**_: Any) -> None:
    """As Django would: whoever listens to this signal keeps Celery's own format away."""
    dictConfig(settings.LOGGING)
