"""What a process imports when it starts: what it needs at once, and nothing that it may need later.

Each in an interpreter of its own, as `manage.py up` starts it.
"""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
WEB = "import portal.asgi, portal.urls"
# What Celery's commands do before they work.
BEGIN = "app.loader.init_worker(); app.finalize()"
WORKER = f"from portal.celery import app; {BEGIN}"
CLOCK = f"from portal.beat import app; {BEGIN}"
NAMES = "import sys; print(*{name.partition('.')[0] for name in sys.modules})"


def said(code: str, state: Path) -> set[str]:
    """The words that it prints."""
    env = os.environ | {"STATE_DIR": str(state), "DJANGO_SETTINGS_MODULE": "portal.settings"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=env, check=True, capture_output=True, text=True
    )
    return set(done.stdout.split())


@pytest.mark.parametrize("start", [WEB, WORKER], ids=["web", "worker"])
def test_web_and_worker_load_no_library_that_only_some_have_a_use_for(
    start: str, tmp_path: Path
) -> None:
    heavy = {"torch", "torchaudio", "scipy", "boto3", "kubernetes", "matplotlib", "pandas"}
    heavy |= {"optuna", "rich", "openpyxl", "reportlab"}
    assert said(f"{start}; {NAMES}", tmp_path) & heavy == set()


def test_a_worker_reads_no_page(tmp_path: Path) -> None:
    assert "portal.urls" not in said(f"{WORKER}; import sys; print(*sys.modules)", tmp_path)


def test_the_clock_loads_no_task_and_no_row(tmp_path: Path) -> None:
    rooms = {"rights", "experiments", "audio_samples", "listening", "workers", "allauth", "numpy"}
    assert said(f"{CLOCK}; {NAMES}", tmp_path) & rooms == set()


def test_the_worker_knows_every_task_that_the_clock_nudges(tmp_path: Path) -> None:
    nudged = "print(*{entry['task'] for entry in app.conf.beat_schedule.values()})"
    tasks = said(f"{CLOCK}; {nudged}", tmp_path)
    assert "workers.reconcile" in tasks
    assert tasks <= said(f"{WORKER}; print(*app.tasks)", tmp_path)


ROOMS = ("portal", "rights", "experiments", "audio_samples", "listening")


def registering() -> set[str]:
    """The modules that tell another room something when they are imported."""
    found = set()
    for room in ROOMS:
        for path in (ROOT / room).rglob("*.py"):
            if path.name == "admin.py":
                continue
            calls = (
                node.value.func
                for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
                if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)
                and not node.col_offset
            )  # fmt: skip
            names = {call.attr if isinstance(call, ast.Attribute) else getattr(call, "id", "")
                     for call in calls}  # fmt: skip
            if any(name == "declare" or name.startswith("register") for name in names):
                found.add(".".join(path.relative_to(ROOT).with_suffix("").parts))
    return found


def test_every_process_knows_what_the_rooms_tell_each_other(tmp_path: Path) -> None:
    """A worker reads no page, which would have imported most of it by chance."""
    modules = registering()
    assert len(modules) >= 8
    assert modules <= said("import django, sys; django.setup(); print(*sys.modules)", tmp_path)
