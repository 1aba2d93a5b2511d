"""Ten metrics per step into a peer, for at most some seconds. Runs in the peers' environment."""

import json
import math
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

NAMES = [f"metric_{n}" for n in range(10)]
BIN = Path(sys.executable).parent


def values(step):
    return {name: math.sin(step / 100 + n) for n, name in enumerate(NAMES)}


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def serve(command, port):
    """A server in a process group of its own, ready to answer."""
    server = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    for _ in range(600):
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return server
    raise SystemExit(f"{command[0]} did not start")


def end(server):
    os.killpg(server.pid, signal.SIGKILL)
    server.wait()


def steps_until(seconds, most=10**9):
    start = time.perf_counter()
    for step in range(most):
        if time.perf_counter() - start > seconds:
            return
        yield step


def aim(repo, seconds, most=10**9):
    import aim as peer

    run = peer.Run(
        repo=repo,
        system_tracking_interval=None,
        log_system_params=False,
        capture_terminal_logs=False,
    )
    start = time.perf_counter()
    step = 0
    for step in steps_until(seconds, most):
        run.track(values(step), step=step)
    run.close()
    return (step + 1) * len(NAMES), time.perf_counter() - start


def mlflow(url, seconds):
    from mlflow.entities import Metric
    from mlflow.tracking import MlflowClient

    client = MlflowClient(url)
    run = client.create_run(client.create_experiment("bench")).info.run_id
    start = time.perf_counter()
    batch, points = [], 0
    for step in steps_until(seconds):
        now = int(time.time() * 1000)
        batch += [Metric(name, value, now, step) for name, value in values(step).items()]
        # A thousand metrics is the most that one call of log_batch may carry.
        if len(batch) == 1000:
            client.log_batch(run, metrics=batch)
            points += len(batch)
            batch = []
    return points, time.perf_counter() - start


def main():
    which, seconds = sys.argv[1], float(sys.argv[2])
    with tempfile.TemporaryDirectory() as folder:
        port = free_port()
        if which == "aim":
            points, took = aim(folder, seconds)
        elif which == "aim-server":
            subprocess.run([BIN / "aim", "init", "--repo", folder], check=True, capture_output=True)
            server = serve([BIN / "aim", "server", "--repo", folder, "--port", str(port)], port)
            try:
                # The client queues without bound and close() waits for the server: a number of
                # steps bounds it, where seconds would not.
                points, took = aim(f"aim://127.0.0.1:{port}", seconds, most=1000)
            finally:
                end(server)
        else:
            store = f"sqlite:///{folder}/mlflow.db"
            server = serve(
                [
                    BIN / "mlflow",
                    "server",
                    "--backend-store-uri",
                    store,
                    "--workers",
                    "1",
                    "--default-artifact-root",
                    folder,
                    "--host",
                    "127.0.0.1",
                    "--port",
                    str(port),
                ],
                port,
            )
            try:
                url = f"http://127.0.0.1:{port}"
                urllib.request.urlopen(url + "/health", timeout=60).close()  # noqa: S310
                points, took = mlflow(url, seconds)
            finally:
                end(server)
    print(json.dumps({"points": points, "seconds": took}), flush=True)
    # Aim's client would wait for its server once more at exit.
    os._exit(0)


main()
