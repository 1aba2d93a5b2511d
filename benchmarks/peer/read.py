"""One metric of many runs as JSON to draw, from a peer. Runs in the peers' environment.

Usage: read.py aim|mlflow RUNS POINTS. Prints seconds for the reading alone, best of three.
"""

import json
import math
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def best(read):
    took = []
    for _ in range(3):
        start = time.perf_counter()
        body = read()
        took.append(time.perf_counter() - start)
    return min(took), len(body)


def aim_write(folder, runs, points):
    import aim as peer

    for _ in range(runs):
        run = peer.Run(
            repo=folder,
            system_tracking_interval=None,
            log_system_params=False,
            capture_terminal_logs=False,
        )
        for step in range(points):
            run.track(math.sin(step / 100), name="loss", step=step)
        run.close()


def aim_read(folder, runs):
    import aim as peer
    from aim.storage.context import Context

    repo = peer.Repo.from_path(folder)

    def read():
        # By run and name: the quickest way in, with no query to evaluate.
        curves = []
        for run in repo.iter_runs():
            steps, values = run.get_metric("loss", Context({})).values.sparse_numpy()
            every = max(1, len(steps) // 1000)
            curves.append({"steps": steps[::every].tolist(), "y": values[::every].tolist()})
        assert len(curves) == runs, len(curves)
        assert len(curves[0]["y"]) > 900
        return json.dumps(curves)

    return best(read)


def aim(folder, runs, points):
    # Written by a process of its own, which has closed everything when the reader opens it.
    subprocess.run(
        [sys.executable, __file__, "aim-write", str(runs), str(points), folder], check=True
    )
    # Readers do not see a run before it is indexed, which the `aim up` process would do.
    reindex = [Path(sys.executable).parent / "aim", "storage", "--repo", folder, "reindex"]
    subprocess.run(reindex, input=b"y\n", check=True, capture_output=True)
    return aim_read(folder, runs)


def mlflow(folder, runs, points):
    import sqlalchemy
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
    from mlflow.tracking import MlflowClient

    url = f"sqlite:///{folder}/mlflow.db"
    client = MlflowClient(url)
    experiment = client.create_experiment("bench", artifact_location=folder)
    ids = [client.create_run(experiment).info.run_id for _ in range(runs)]
    # The history is written by SQL, which is what log_batch would have written in minutes.
    engine = sqlalchemy.create_engine(url)
    with engine.begin() as connection:
        for run in ids:
            connection.execute(
                sqlalchemy.text(
                    "INSERT INTO metrics (key, value, timestamp, run_uuid, step, is_nan) "
                    "VALUES ('loss', :value, :time, :run, :step, 0)"
                ),
                [
                    {
                        "value": math.sin(s / 100),
                        "time": 1_700_000_000_000 + s,
                        "run": run,
                        "step": s,
                    }
                    for s in range(points)
                ],
            )
    store = SqlAlchemyStore(url, folder)

    def read_all():
        curves = []
        for run in ids:
            history = client.get_metric_history(run, "loss")
            every = max(1, len(history) // 1000)
            kept = history[::every]
            curves.append({"steps": [m.step for m in kept], "y": [m.value for m in kept]})
        return json.dumps(curves)

    def read_sampled():
        # What MLflow's own pages ask for: sampled by the server, if this version's store has it.
        curves = []
        for run in ids:
            steps = list(range(0, points, max(1, points // 1000)))
            found = store.get_metric_history_bulk_interval_from_steps(run, "loss", steps, 1001)
            curves.append({"steps": [m.step for m in found], "y": [m.value for m in found]})
        assert len(curves[0]["y"]) > 900
        return json.dumps(curves)

    return min(best(read_all), best(read_sampled))


def main():
    which, runs, points = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    if which == "aim-write":
        aim_write(sys.argv[4], runs, points)
        return
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).mkdir(exist_ok=True)
        seconds, size = {"aim": aim, "mlflow": mlflow}[which](folder, runs, points)
        print(json.dumps({"seconds": seconds, "bytes": size, "runs": runs}), flush=True)
        # Aim's threads would go on writing into a folder that is being removed.
        shutil.rmtree(folder, ignore_errors=True)
        os._exit(0)


main()
