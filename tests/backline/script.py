"""A script outside the portal, run as a process of its own against the real server."""

import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from experiments.metrics import metrics
from experiments.models import Run
from tests.patience import LIMIT_SECONDS

BEGIN = """
import os, sys, signal, time
import backline
"""


@dataclass
class Scripts:
    """Where scripts deliver to, and in which environment they run."""

    url: str
    token: str
    project: str
    folder: Path
    extra: dict[str, str] = field(default_factory=dict)

    def environment(self) -> dict[str, str]:
        ours = {name: value for name, value in os.environ.items() if "BACKLINE" not in name}
        return ours | {
            "BACKLINE_URL": self.url,
            "BACKLINE_TOKEN": self.token,
            "BACKLINE_SPOOL": str(self.folder / "spools"),
            "BACKLINE_BEAT_SECONDS": "0.2",
            "PROJECT": self.project,
            "PYTHONPATH": str(Path(__file__).resolve().parents[2]),
            "OMP_NUM_THREADS": "1",
            # Asking git and listing packages takes most of a second; test_environment.py does.
            "BACKLINE_CODE": "off",
            **self.extra,
        }

    def start(self, code: str) -> "subprocess.Popen[str]":
        self.folder.mkdir(exist_ok=True)
        file = self.folder / "script.py"
        file.write_text(BEGIN + code)
        return subprocess.Popen(
            [sys.executable, str(file)],
            cwd=self.folder,
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, code: str) -> "subprocess.CompletedProcess[str]":
        with self.start(code) as process:
            out, err = process.communicate(timeout=LIMIT_SECONDS)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def curves(run: Run | None = None) -> dict[str, dict[int, float]]:
    """What arrived: of each metric its values by step."""
    run = run or Run.objects.get()
    found = {}
    for name in metrics.names(run):
        steps, _, values, *_ = metrics.points(run, name)
        found[name] = dict(zip(steps.tolist(), values.tolist(), strict=True))
    return found
