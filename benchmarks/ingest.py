"""Ingest: points per second from the training script into the database, ten metrics per step.

Every tracker logs the same steps. Each peer goes on for PEER_SECONDS, the portal until STEPS are
logged; the time ends when the store has every point, start-up is not counted.
"""

import json
import math
import subprocess
import sys
import time
import urllib.request

from benchmarks import peers, portal

STEPS = 200_000
PEER_SECONDS = 25
TARGET = 10
NAMES = [f"metric_{n}" for n in range(10)]

PROGRAM = """
import sys
from benchmarks import ingest
ingest.log(sys.argv[1], sys.argv[2])
"""


def values(step: int) -> dict[str, float]:
    return {name: math.sin(step / 100 + n) for n, name in enumerate(NAMES)}


def log(url: str, token: str) -> None:
    """The training script: prints its run and the seconds until the portal had everything."""
    import backline

    run = backline.init("bench", url=url, token=token, system_figures=False)
    start = time.perf_counter()
    for step in range(STEPS):
        run.log(values(step), step=step)
    logged = time.perf_counter() - start
    run.finish()
    said = {"run": run.id, "logged": logged, "seconds": time.perf_counter() - start}
    print(json.dumps(said))


def ours() -> tuple[int, float, float]:
    with portal.running() as found:
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, found.url, found.token],
            cwd=portal.ROOT, env=found.environment | {"BACKLINE_DRAIN_SECONDS": "120"},
            check=True, capture_output=True, text=True,
        )  # fmt: skip
        said = json.loads(done.stdout.strip().splitlines()[-1])
        ask = urllib.request.Request(  # noqa: S310
            f"{found.url}/api/v1/runs/{said['run']}",
            headers={"Authorization": f"Bearer {found.token}"},
        )
        with urllib.request.urlopen(ask) as answer:  # noqa: S310
            stored = sum(row["count"] for row in json.load(answer)["metrics"])
    assert stored == STEPS * len(NAMES), f"{stored} points arrived"
    return stored, said["seconds"], said["logged"]


def main() -> None:
    points, seconds, logged = ours()
    rate = points / seconds
    rows = [("Backline, client to portal", points, seconds)]
    for title, which in (
        ("Aim, local repository", "aim"),
        ("Aim, through aim server", "aim-server"),
        ("MLflow, log_batch to server on SQLite", "mlflow"),
    ):
        found = peers.measure("ingest", which, PEER_SECONDS)
        rows.append((title, found["points"], found["seconds"]))
    print("| Ingest, 10 metrics per step | points | s | points/s | Backline is |")
    print("|---|--:|--:|--:|--:|")
    for title, count, took in rows:
        pace = count / took
        print(f"| {title} | {count:,} | {took:.1f} | {pace:,.0f} | {rate / pace:.1f}x |")
    fastest = max(count / took for _, count, took in rows[1:])
    print(f"\nThe script itself was held up for {logged / points * 1e6:.2f} us per point.")
    print(f"Ratio to the fastest peer: {rate / fastest:.1f} (target {TARGET}).")


if __name__ == "__main__":
    main()
