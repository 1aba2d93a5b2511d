"""What the program uses of its machine: processor, memory, and GPUs where there are any."""

import os
import shutil
import subprocess
from contextlib import suppress

import psutil

GPU_QUERY = "utilization.gpu,memory.used"


class SystemMetrics:
    """Reads system metrics, named `system/...`: percent of one core, bytes, percent of a GPU."""

    def __init__(self) -> None:
        self._members = {os.getpid(): psutil.Process()}
        self._root: psutil.Process | None = None
        self._has_gpu = shutil.which("nvidia-smi") is not None
        # The first call only starts the measurement.
        self._members[os.getpid()].cpu_percent()
        psutil.cpu_percent()

    def follow(self, pid: int) -> None:
        """Measure another program from now on, with everything that it starts."""
        self._root = psutil.Process(pid)
        self._members = {pid: self._root}

    def read(self) -> dict[str, float]:
        self._look_around()
        percent = memory = 0.0
        for member in list(self._members.values()):
            with suppress(psutil.Error):
                percent += member.cpu_percent()
                memory += member.memory_info().rss
        metrics = {
            "system/cpu_percent": percent,
            "system/machine_cpu_percent": psutil.cpu_percent(),
            "system/memory_bytes": memory,
            "system/machine_memory_percent": psutil.virtual_memory().percent,
        }
        return metrics | (self._gpus() if self._has_gpu else {})

    def _look_around(self) -> None:
        """Update the program's processes. The CPU of each is measured from its second reading."""
        if self._root is None:
            return
        with suppress(psutil.Error):
            children = {child.pid: child for child in self._root.children(recursive=True)}
            members = {pid: self._members.get(pid, process) for pid, process in children.items()}
            self._members = {self._root.pid: self._root} | members

    def _gpus(self) -> dict[str, float]:
        command = ["nvidia-smi", f"--query-gpu={GPU_QUERY}", "--format=csv,noheader,nounits"]
        try:
            process = subprocess.run(command, capture_output=True, text=True, timeout=3, check=True)
            return gpu_figures(process.stdout)
        except (OSError, subprocess.SubprocessError, ValueError):
            # A driver that fails once is not asked again every few seconds.
            self._has_gpu = False
            return {}


def gpu_figures(table: str) -> dict[str, float]:
    """Return the metrics in nvidia-smi's rows of percent and MiB."""
    metrics: dict[str, float] = {}
    for number, line in enumerate(table.strip().splitlines()):
        percent, memory = (float(cell) for cell in line.split(","))
        metrics[f"system/gpu{number}_percent"] = percent
        metrics[f"system/gpu{number}_memory_bytes"] = memory * 1024 * 1024
    return metrics
