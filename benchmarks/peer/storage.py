"""Bytes that a peer's store takes for the same points. Runs in the peers' environment."""

import json
import os
import sqlite3
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from points import NAMES, noisy


def size_of(folder):
    for database in Path(folder).rglob("*.db"):
        with sqlite3.connect(database) as connection:
            connection.execute("VACUUM")
    return sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())


def aim(folder, points):
    import aim as peer

    def track(count):
        run = peer.Run(
            repo=folder,
            system_tracking_interval=None,
            log_system_params=False,
            capture_terminal_logs=False,
        )
        steps, _, values = noisy(count)
        for step in steps:
            run.track(dict(zip(NAMES, map(float, values[:, step]), strict=True)), step=int(step))
        run.close()

    track(1)
    empty = size_of(folder)
    track(points // len(NAMES))
    return size_of(folder) - empty


def mlflow(folder, points):
    from mlflow.entities import Metric
    from mlflow.tracking import MlflowClient

    client = MlflowClient(f"sqlite:///{folder}/mlflow.db")
    run = client.create_run(client.create_experiment("bench")).info.run_id
    empty = size_of(folder)
    steps, times, values = noisy(points // len(NAMES))
    waiting = []
    for step in steps:
        at = int(times[step] * 1000)
        waiting += [
            Metric(name, float(value), at, int(step))
            for name, value in zip(NAMES, values[:, step], strict=True)
        ]
        if len(waiting) == 1000:
            client.log_batch(run, metrics=waiting)
            waiting = []
    if waiting:
        client.log_batch(run, metrics=waiting)
    return size_of(folder) - empty


def main():
    which, points = sys.argv[1], int(sys.argv[2])
    with tempfile.TemporaryDirectory() as folder:
        found = {"aim": aim, "mlflow": mlflow}[which](folder, points)
    print(json.dumps({"bytes": found, "points": points}), flush=True)
    # Aim's threads would go on.
    os._exit(0)


main()
