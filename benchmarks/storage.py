"""Bytes on the disk for each logged point, and how they grow with the points of a run.

    .venv/bin/python -m benchmarks.storage

One run with ten metrics that fall and are noisy, which nothing compresses well: the last bits of a
noisy float are random. The client delivers twice a second what was logged, so a loop of two steps a
second delivers step by step, and of each delivery its number and digest stay. Every store gets the
same points and is then made as small as it can be by itself (SQLite's VACUUM, Aim's close); an
empty store is taken off. Sizes do not wander with what else a machine does.
"""

import json
import subprocess
import sys

from benchmarks import peers, portal

SIZES = (1_000, 10_000, 50_000)

PROGRAM = """
import json, sys, time
from pathlib import Path
import django; django.setup()
from django.db import connection
import numpy as np
from backline import batches
from benchmarks.peer.points import NAMES, noisy
from experiments.metrics import metrics
from experiments.models import Project, Run
from portal.models import User

points, each = map(int, sys.argv[1:3])
file = Path(connection.settings_dict["NAME"])

def size():
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)"); cursor.execute("VACUUM")
        cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return file.stat().st_size

user = User.objects.create_user("ada", password="a long enough password")
project = Project.objects.create(slug="bench", name="Bench")
run = Run.objects.create(project=project, number=1, name="run", state="finished",
                         submitted_by=user, config={})
empty = size()
steps, times, values = noisy(points // len(NAMES))
worked = time.process_time()
for number, start in enumerate(range(0, len(steps), each)):
    part = slice(start, start + each)
    table = batches.Table(NAMES, steps[part], times[part], values[:, part])
    metrics.ingest(run, "s", number, batches.encode([table]))
metrics.compact(run)
milliseconds = (time.process_time() - worked) * 1000 / (number + 1)
print(json.dumps({"bytes": size() - empty, "points": values.size, "milliseconds": milliseconds}))
"""


def ours(points: int, steps_each: int) -> dict[str, float]:
    """Return bytes, points, and milliseconds of processor for a delivery, folding included."""
    with portal.settings() as (_, environment):
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, str(points), str(steps_each)],
            cwd=portal.ROOT, env=environment, check=False, capture_output=True, text=True,
        )  # fmt: skip
    if done.returncode:
        raise RuntimeError(done.stderr[-3000:])
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    print("| Bytes for a point | " + " | ".join(f"{size:,} points" for size in SIZES) + " |")
    print("|---|" + "--:|" * len(SIZES))
    rows: dict[str, list[float]] = {}
    for size in SIZES:
        step_by_step = ours(size, 1)
        for title, found in (
            ("Backline, levels of detail included", ours(size, 5_000)),
            ("the same, delivered step by step", step_by_step),
            ("Aim, local repository", peers.measure("storage", "aim", size, seconds=600)),
            ("MLflow, SQLite", peers.measure("storage", "mlflow", size, seconds=600)),
        ):
            assert found["points"] == size, (title, found)
            rows.setdefault(title, []).append(found["bytes"] / found["points"])
    for title, each in rows.items():
        print(f"| {title} | " + " | ".join(f"{count:.1f}" for count in each) + " |")
    mine, *others = rows.values()
    for title, each in zip(list(rows)[1:], others, strict=True):
        print(f"{title}: {each[-1] / mine[-1]:.1f} times as many at {SIZES[-1]:,} points.")
    print(f"A step's delivery takes {step_by_step['milliseconds']:.1f} ms of the processor here.")


if __name__ == "__main__":
    main()
