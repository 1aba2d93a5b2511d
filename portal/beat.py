"""The clock, `celery -A portal.beat beat`: sends tasks by name, every few seconds.

It is a Celery app of its own, without Django and without the tasks: it reads no rows, and a second
of imports would only slow down the web server that starts beside it.
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
    """Log as Django would: a receiver of this signal also keeps Celery's own format away."""
    dictConfig(settings.LOGGING)
