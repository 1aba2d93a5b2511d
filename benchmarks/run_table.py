"""The run table: 10,000 runs, filtered by a metric, sorted by another, the first page.

Measured at the whole answer of the portal's page, template included; MLflow's at its client
on the database, without its server, which is its quickest way.
"""

import json
import subprocess
import sys

from benchmarks import peers, portal

RUNS = 10_000
TARGET_MS = 100

PROGRAM = """
import json, sys, time
import django; django.setup()
from django.conf import settings
settings.ALLOWED_HOSTS = ["*"]
from django.test import Client
from experiments.models import Membership, Project, Run, Series
from portal.models import Role, User

count = int(sys.argv[1])
user = User.objects.create_user("ada", roles=[Role.RESEARCHER])
project = Project.objects.create(slug="bench", name="Bench")
Membership.objects.create(project=project, user=user, level="owner")
runs = Run.objects.bulk_create(
    Run(project=project, number=n, name=f"Run {n}", submitted_by=user, config={"lr": 0.1},
        state="finished") for n in range(count)
)
for name in ("loss", "accuracy", "lr"):
    Series.objects.bulk_create(
        [Series(run=run, name=name, count=100, last=(n * 7919 % count) / count, last_step=100)
         for n, run in enumerate(runs)], batch_size=2000)
client = Client()
client.force_login(user)
took = []
for _ in range(7):
    start = time.perf_counter()
    answer = client.get(
        "/projects/bench/", {"q": "metric.loss < 0.5", "sort": "metric.accuracy"}
    )
    took.append(time.perf_counter() - start)
    assert answer.status_code == 200, (answer.status_code, answer.headers.get("Location"))
text = answer.content.decode()
assert "Run " in text
print(json.dumps({"seconds": sorted(took)[3], "bytes": len(text)}))
"""


def main() -> None:
    with portal.settings() as (_, environment):
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, str(RUNS)],
            cwd=portal.ROOT, env=environment, check=False, capture_output=True, text=True,
        )  # fmt: skip
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    ours = json.loads(done.stdout.strip().splitlines()[-1])["seconds"]
    peer = peers.measure("table", RUNS)["seconds"]
    print(f"| Run table of {RUNS:,} runs: filter, sort, first page | ms | Backline is |")
    print("|---|--:|--:|")
    print(f"| Backline, the whole page | {ours * 1000:.0f} | 1.0x |")
    print(f"| MLflow, search_runs on SQLite | {peer * 1000:.0f} | {peer / ours:.1f}x |")
    print(f"\nServer time {ours * 1000:.0f} ms (target under {TARGET_MS} ms).")


if __name__ == "__main__":
    main()
