"""Waiting: a fresh clone to its first page, a second start, a submit to its first training step.

The first two beside MLflow and Aim, installed and started the same way; the last beside the bare
program, which imports the same torch and takes the same step without a portal.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks import portal

TARGET_SECOND_START = 10
SUBMITS = 3

ISSUE = """
import django; django.setup()
from portal import tokens
from portal.models import User
print(tokens.issue(User.objects.get(username="researcher"), "bench")[1])
"""

BARE = """
import torch
from backline.wire import Arithmetic
from experiments.recipes.flow_matching import FlowMatchingConfig
from workers.data.recordings import Recording
from workers.training import machine
from workers.training.trainer import Trainer
config = FlowMatchingConfig()
device = machine.prepare(seed=config.seed)
data = [Recording(n, "ab"[n % 2], torch.randn(600, 64), 19.2) for n in range(38)]
arithmetic = Arithmetic(precision="fp32", threads=torch.get_num_threads())
print(Trainer(config, data=data, device=device, arithmetic=arithmetic).step(1))
"""


@contextlib.contextmanager
def serving(command: Sequence[str], *, cwd: Path, **environment: str) -> Iterator[None]:
    """A program in a group of its own, ended as by Ctrl-C."""
    with (cwd / "bench.log").open("ab") as log:
        process = subprocess.Popen(
            command, cwd=cwd, env=os.environ | environment, stdout=log, stderr=log,
            stdin=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
    try:
        yield
    finally:
        os.killpg(process.pid, signal.SIGINT)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def first_page(command: Sequence[str], *, page: str, cwd: Path, **environment: str) -> float:
    """Seconds from the command to the first whole page."""
    start = time.perf_counter()
    with serving(command, cwd=cwd, **environment):
        until(lambda: answers(page), seconds=600)
        return time.perf_counter() - start


def answers(page: str) -> bool:
    try:
        with urllib.request.urlopen(page, timeout=2) as answer:  # noqa: S310
            return bool(answer.read())
    except OSError:
        return False


def until(done: Callable[[], bool], *, seconds: float) -> None:
    end = time.perf_counter() + seconds
    while not done():
        if time.perf_counter() > end:
            raise TimeoutError(f"Not done within {seconds:.0f} s")
        time.sleep(0.05)


def install(folder: Path, *packages: str) -> float:
    """Seconds for an environment of its own with these packages."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet"]
    subprocess.run([*pip, *packages], check=True, stderr=subprocess.DEVNULL)
    return time.perf_counter() - start


def waits_of_peer(name: str, folder: Path) -> tuple[float, float]:
    """Cold and second start of a peer, in seconds."""
    pins = (portal.ROOT / "requirements" / "bench.in").read_text(encoding="utf-8").split()
    wanted = [pin for pin in pins if name in pin or "sqlalchemy" in pin]
    installed = install(folder / "venv", *wanted)
    tool, port = str(folder / "venv" / "bin" / name), str(portal.free_port())
    if name == "mlflow":
        store = f"sqlite:///{folder}/mlflow.db"
        command = [tool, "server", "--backend-store-uri", store, "--port", port]
    else:
        subprocess.run([tool, "init", "--repo", str(folder)], check=True, capture_output=True)
        command = [tool, "up", "--repo", str(folder), "--port", port]
    page = f"http://127.0.0.1:{port}/"
    cold = installed + first_page(command, page=page, cwd=folder)
    return cold, first_page(command, page=page, cwd=folder)


def call(url: str, token: str, body: dict[str, object] | None = None) -> dict[str, Any]:
    request = urllib.request.Request(  # noqa: S310
        url,
        data=json.dumps(body).encode() if body else None,
        headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
        found: dict[str, Any] = json.load(answer)
    return found


def submit_to_step(url: str, token: str) -> float:
    """Seconds from the submit until the portal knows the loss of a step."""
    wanted = {"project": "first-light", "recipe": "flow_matching", "dataset": 1}
    start = time.perf_counter()
    run = call(f"{url}/api/v1/submissions", token, {**wanted, "config": {"steps": 1}})
    address = f"{url}/api/v1/runs/{run['id']}"
    until(
        lambda: any(metric["name"] == "loss" for metric in call(address, token)["metrics"]),
        seconds=120,
    )
    took = time.perf_counter() - start
    until(lambda: call(address, token)["state"] == "finished", seconds=120)
    return took


def issued(folder: Path) -> str:
    """A token of the demo world's researcher, from the portal that lies there."""
    done = subprocess.run(
        [str(folder / ".venv" / "bin" / "python"), "-c", ISSUE],
        cwd=folder, check=True, capture_output=True, text=True,
        env=os.environ | {"DJANGO_SETTINGS_MODULE": "portal.settings"},
    )  # fmt: skip
    return done.stdout.strip()


@contextlib.contextmanager
def demo_portal(folder: Path, **environment: str) -> Iterator[tuple[str, str]]:
    """The address of a portal in a fresh clone with this environment of Python, and a token."""
    subprocess.run(["git", "clone", "--quiet", str(portal.ROOT), str(folder)], check=True)
    (folder / ".venv").symlink_to(portal.ROOT / ".venv")
    port = str(portal.free_port())
    url = f"http://127.0.0.1:{port}"
    with serving(["make", "up"], cwd=folder, PORT=port, **environment):
        until(lambda: "answers at" in (folder / "bench.log").read_text(), seconds=600)
        until(lambda: answers(f"{url}/account/login/"), seconds=60)
        # The first submits of a world that is just made compete with its last work.
        time.sleep(10)
        yield url, issued(folder)


def waits_of_ours(folder: Path) -> tuple[float, float, list[float]]:
    """Cold start, second start, and some submits to their first step, in seconds."""
    subprocess.run(["git", "clone", "--quiet", str(portal.ROOT), str(folder)], check=True)
    port = str(portal.free_port())
    url, up = f"http://127.0.0.1:{port}", ["make", "up"]
    start = time.perf_counter()
    with serving(up, cwd=folder, PORT=port):
        # The demo world is whole once its last words are said.
        until(lambda: "answers at" in (folder / "bench.log").read_text(), seconds=600)
        until(lambda: answers(f"{url}/account/login/"), seconds=10)
        cold = time.perf_counter() - start
    second = first_page(up, page=f"{url}/account/login/", cwd=folder, PORT=port)
    with serving(up, cwd=folder, PORT=port):
        until(lambda: answers(f"{url}/account/login/"), seconds=60)
        token = issued(folder)
        steps = [submit_to_step(url, token) for _ in range(SUBMITS)]
    return cold, second, steps


def bare_step() -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", BARE], cwd=portal.ROOT, check=True, capture_output=True)
    return time.perf_counter() - start


def submits() -> None:
    """`python -m benchmarks.startup --submits`: a minute and a half, and no peer."""
    with (
        tempfile.TemporaryDirectory(prefix="backline-bench-") as temporary,
        demo_portal(Path(temporary) / "ours") as (url, token),
    ):
        steps = [submit_to_step(url, token) for _ in range(SUBMITS)]
    print("Submit to first training step, s:", ", ".join(f"{step:.1f}" for step in steps))


def main() -> None:
    if "--submits" in sys.argv:
        submits()
        return
    with tempfile.TemporaryDirectory(prefix="backline-bench-") as temporary:
        folder = Path(temporary)
        cold, second, steps = waits_of_ours(folder / "ours")
        rows = [("Backline, `make up` with its demo world", cold, second)]
        for name in ("mlflow", "aim"):
            (folder / name).mkdir()
            rows.append((f"{name}, installed, empty", *waits_of_peer(name, folder / name)))
    print("| Start to first page | nothing installed, s | second start, s | Backline is |")
    print("|---|--:|--:|--:|")
    for title, first, again in rows:
        print(f"| {title} | {first:.1f} | {again:.1f} | {again / second:.1f}x |")
    print(f"\nTarget: second start under {TARGET_SECOND_START} s.\n")
    bare = sorted(bare_step() for _ in range(SUBMITS))[SUBMITS // 2]
    median = sorted(steps)[SUBMITS // 2]
    print(f"| Submit to first training step, median of {SUBMITS} | s | of the bare program |")
    print("|---|--:|--:|")
    print(f"| the bare program: torch, model, one step | {bare:.1f} | 1.0x |")
    print(f"| Backline: queue, consent, job, 38 recordings, step, seen | {median:.1f} | "
          f"{median / bare:.1f}x |")  # fmt: skip


if __name__ == "__main__":
    main()
