"""Reading: one metric of many runs, 10,000 points each, from the store to JSON that is drawn.

The portal draws at most 1,000 buckets per curve, with mean, minimum and maximum; peers are
brought to as many points by taking every n-th, which costs them least. A peer holds fewer runs
(its writing takes minutes) and is compared by time per run.
"""

import json
import subprocess
import sys

from benchmarks import peers, portal

RUNS = 100
PEER_RUNS = {"aim": 15, "mlflow": 25}
POINTS = 10_000
TARGET = 5

PROGRAM = """
import json, sys, time
import django; django.setup()
import numpy as np
from backline import batches
from experiments.metrics import metrics
from experiments.models import Project, Run
from portal.models import User

runs, points = int(sys.argv[1]), int(sys.argv[2])
user = User.objects.create_user("ada")
project = Project.objects.create(slug="bench", name="Bench")
steps = np.arange(points, dtype=np.int64)
ids = []
for number in range(runs):
    run = Run.objects.create(project=project, number=number, name="r", submitted_by=user)
    table = batches.Table(("loss",), steps, steps * 0.1 + 1.7e9, np.sin(steps / 100)[np.newaxis])
    metrics.ingest(run, "s", 1, batches.encode([table]))
    metrics.compact(run)
    ids.append(run.pk)

def best(most):
    took = []
    for _ in range(3):
        start = time.perf_counter()
        curves = metrics.read_many(ids, "loss", most)
        body = json.dumps([curve.as_json() for curve in curves.values()])
        took.append(time.perf_counter() - start)
    assert len(curves) == runs
    assert all(int(curve.count.sum()) == points for curve in curves.values())
    return min(took)

print(json.dumps({"drawn": best(1000), "whole": best(points)}))
"""


def main() -> None:
    with portal.settings() as (_, environment):
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, str(RUNS), str(POINTS)],
            cwd=portal.ROOT, env=environment, check=True, capture_output=True, text=True,
        )  # fmt: skip
    ours = json.loads(done.stdout.strip().splitlines()[-1])
    each = ours["drawn"] / RUNS
    print(f"| Reading one metric, {POINTS:,} points per run | runs | ms per run | Backline is |")
    print("|---|--:|--:|--:|")
    print(f"| Backline, 1,000 buckets | {RUNS} | {each * 1000:.2f} | 1.0x |")
    whole = ours["whole"] / RUNS
    print(f"| Backline, every point | {RUNS} | {whole * 1000:.2f} | {whole / each:.1f}x |")
    fastest = float("inf")
    for title, which in (
        ("Aim, repository read", "aim"),
        ("MLflow, metric history", "mlflow"),
    ):
        found = peers.measure("read", which, PEER_RUNS[which], POINTS)
        took = found["seconds"] / found["runs"]
        fastest = min(fastest, took)
        print(f"| {title} | {found['runs']} | {took * 1000:.2f} | {took / each:.1f}x |")
    print(f"\n{RUNS} runs in {ours['drawn'] * 1000:.0f} ms.")
    print(f"Ratio to the fastest peer: {fastest / each:.1f} (target {TARGET}).")


if __name__ == "__main__":
    main()
