"""Runs a peer's measurement in the peers' own environment (`make bench` installs it)."""

import json
import subprocess
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PYTHON = ROOT / ".venv-bench" / "bin" / "python"


class NoPeers(RuntimeError):
    """The peers are not installed."""


def measure(program: str, *arguments: object, seconds: int = 300) -> dict[str, Any]:
    """The last line that `benchmarks/peer/<program>.py` prints, which is JSON."""
    if not PYTHON.exists():
        raise NoPeers(f"{PYTHON} does not exist; `make bench` installs the peers.")
    command = [str(PYTHON), str(ROOT / "benchmarks" / "peer" / f"{program}.py")]
    done = subprocess.run(
        [*command, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{program} {arguments}: {done.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found
