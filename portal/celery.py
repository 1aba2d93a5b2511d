"""The Celery app, which brings work onto the cluster. Messages carry no state: rows do."""

import os
from pathlib import Path
from typing import Any

from celery import Celery
from celery.signals import celeryd_init
from django.conf import settings
from django.db import transaction
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from portal.machine import liveness, private

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")
# Celery would have Django check every page's code, which a worker never serves, and ignore the
# result; the tests run the checks.
os.environ.setdefault("CELERY_SKIP_CHECKS", "true")

app = Celery("backline")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
if settings.ALIVE_FILE:
    liveness.touch_from_now_on(Path(settings.ALIVE_FILE))


@celeryd_init.connect
def _set_umask(**_: Any) -> None:
    """Set the umask of a worker; a process that only sends tasks may be somebody else's."""
    private.set_umask()


def wake(task: str = "workers.reconcile") -> None:
    """Wake a task after this transaction commits; the clock does the same every few seconds.

    If the broker is down, the message is lost but the request succeeds: the clock catches up.
    """

    def send() -> None:
        try:
            with app.connection_for_write() as connection:
                # One try: by default the client waits six seconds for a broker that is down,
                # and a person's click would wait with it.
                connection.ensure_connection(max_retries=1, interval_start=0, timeout=1)
                app.send_task(
                    task, connection=connection, retry=False, ignore_result=True, expires=30
                )
        except (OperationalError, RedisError, OSError):
            app.log.get_default_logger().warning("Could not wake %s; the clock will.", task)

    transaction.on_commit(send)
