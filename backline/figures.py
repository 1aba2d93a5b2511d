"""What the program takes of its machine: processor, memory, and GPUs where there are any."""

import shutil
import subprocess

import psutil

GPU_QUERY = "utilization.gpu,memory.used"


class Figures:
    """Reads figures named `system/...`: percent of one core, bytes, percent of a GPU."""

    def __init__(self) -> None:
        self._process = psutil.Process()
        self._has_gpu = shutil.which("nvidia-smi") is not None
        # The first call only starts the measurement.
        self._process.cpu_percent()
        psutil.cpu_percent()

    def read(self) -> dict[str, float]:
        found = {
            "system/cpu_percent": self._process.cpu_percent(),
            "system/machine_cpu_percent": psutil.cpu_percent(),
            "system/memory_bytes": float(self._process.memory_info().rss),
            "system/machine_memory_percent": psutil.virtual_memory().percent,
        }
        return found | (self._gpus() if self._has_gpu else {})

    def _gpus(self) -> dict[str, float]:
        ask = ["nvidia-smi", f"--query-gpu={GPU_QUERY}", "--format=csv,noheader,nounits"]
        try:
            done = subprocess.run(ask, capture_output=True, text=True, timeout=3, check=True)
            return gpu_figures(done.stdout)
        except (OSError, subprocess.SubprocessError, ValueError):
            # A driver that does not answer once will not do so every few seconds.
            self._has_gpu = False
            return {}


def gpu_figures(table: str) -> dict[str, float]:
    """From nvidia-smi's rows of percent and MiB."""
    found: dict[str, float] = {}
    for number, line in enumerate(table.strip().splitlines()):
        percent, memory = (float(cell) for cell in line.split(","))
        found[f"system/gpu{number}_percent"] = percent
        found[f"system/gpu{number}_memory_bytes"] = memory * 1024 * 1024
    return found
