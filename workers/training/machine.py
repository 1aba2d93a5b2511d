"""What this process computes with: device, cores, threads. Set once, at the start."""

import os
from pathlib import Path

import torch

from backline.ranks import ProcessPlace

CGROUPS = Path("/sys/fs/cgroup")


def cores() -> int:
    """Return how many cores this process may use at once: its affinity, at most its quota."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return max(1, min(allowed or 1, round(quota() or 4_096)))


def quota(groups: Path = CGROUPS, process: Path = Path("/proc/self/cgroup")) -> float | None:
    """Return how many cores' time the kernel gives this process's cgroup (v2); None: no limit."""
    try:
        # "0::/where/it/is"; inside a container that is its root.
        group = process.read_text().strip().rpartition("::")[2].lstrip("/")
        limit, period = (groups / group / "cpu.max").read_text().split()
    except (OSError, ValueError):
        return None
    return None if limit == "max" else int(limit) / int(period)


def threads(requested: int = 0) -> int:
    """Return the number of threads: what the config asks for, else the job's, else the cores.

    The job's is capped at the number of cores: two threads that take turns on one core wait for
    each other at every product.
    """
    if requested:
        return requested
    for variable in ("BACKLINE_THREADS", "OMP_NUM_THREADS"):
        value = os.environ.get(variable, "")
        if value.isdigit() and int(value) > 0:
            return min(int(value), cores())
    return cores()


def prepare(*, seed: int, asked_threads: int = 0) -> torch.device:
    """Fix everything that the last bit of a result depends on; return the device that computes.

    `arithmetic.settle` may choose fewer threads later.
    """
    # Read by cuBLAS when it starts; without it, its sums differ from run to run.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    # The same as use_deterministic_algorithms(True), which in addition loads the compiler to set it
    # there too: that takes seconds, and nothing is compiled.
    torch.set_deterministic_debug_mode("error")
    # Filling memory that is written anyway costs time; what is read before it is written is a bug
    # that the test of equal bytes would show.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.set_num_threads(threads(asked_threads))
    torch.manual_seed(seed)
    if torch.cuda.is_available():
        return _gpu(ProcessPlace.read())
    # The setting applies to CPUs too: there, for a hundred tokens, plain products are a tenth of a
    # step faster than the blocked kernel with its slow backward pass.
    torch.backends.cuda.enable_flash_sdp(False)
    return torch.device("cpu")


def _gpu(place: ProcessPlace) -> torch.device:
    """Return this process's GPU: each process has its own; where there are too few, they share."""
    if place.count == 1:
        return torch.device("cuda")
    device = torch.device("cuda", place.local % torch.cuda.device_count())
    torch.cuda.set_device(device)
    return device
