"""A world in an SQLite database of its own, and a watch for what is done in it."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any, TypeVar

from benchmarks.portal import ROOT

T = TypeVar("T")


class Watch:
    """`found[name]` seconds by the clock, `name_cpu` of processor, `name_queries`."""

    def __init__(self) -> None:
        self.found: dict[str, float] = {}

    def timed(self, name: str, act: Callable[[], T]) -> T:
        from django.db import connection

        queries = 0

        def count(execute: Any, *args: Any) -> Any:
            nonlocal queries
            queries += 1
            return execute(*args)

        with connection.execute_wrapper(count):
            began, worked = time.perf_counter(), time.process_time()
            result = act()
            self.found[name] = time.perf_counter() - began
            self.found[f"{name}_cpu"] = time.process_time() - worked
        self.found[f"{name}_queries"] = queries
        return result


def in_its_own_process(module: str, call: str) -> dict[str, float]:
    """What `benchmarks.module.call` finds, in a fresh database and a fresh process."""
    with tempfile.TemporaryDirectory(prefix="backline-bench-") as folder:
        env = {
            "PATH": os.environ["PATH"],
            "STATE_DIR": folder,
            "DJANGO_SETTINGS_MODULE": "portal.settings",
            "LOG_LEVEL": "ERROR",
            "CELERY_BROKER_URL": "memory://",
        }
        run: dict[str, Any] = {"cwd": ROOT, "env": env}
        subprocess.run([sys.executable, "manage.py", "migrate", "-v0"], check=True, **run)
        code = (
            "import django, json; django.setup(); "
            f"from benchmarks import {module}; print(json.dumps({module}.{call}))"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], check=False, capture_output=True, text=True, **run
        )
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    result: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return result
