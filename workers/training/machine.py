"""What this process computes with: device, threads, arithmetic. Set once, at the start."""

import os
from typing import Literal

import torch

from backline.ranks import Place


def threads(asked: int = 0) -> int:
    """How many threads: what the config asks for, else what the job was given, else the cores."""
    if asked:
        return asked
    for variable in ("BACKLINE_THREADS", "OMP_NUM_THREADS"):
        value = os.environ.get(variable, "")
        if value.isdigit() and int(value) > 0:
            return int(value)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1


def prepare(*, seed: int, asked_threads: int = 0) -> torch.device:
    """Fix everything that the last bit of a result depends on, and say which device computes."""
    # Read by cuBLAS when it starts; without it, its sums differ from run to run.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True)
    # Filling memory that is written anyway costs time; what is read before it is written is a bug
    # that the test of equal bytes would show.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.set_num_threads(threads(asked_threads))
    torch.manual_seed(seed)
    if torch.cuda.is_available():
        return _gpu(Place.read())
    # The setting rules processors too: there, for a hundred tokens, plain products are a tenth of a
    # step faster than the blocked kernel with its slow way back.
    torch.backends.cuda.enable_flash_sdp(False)
    return torch.device("cpu")


def _gpu(place: Place) -> torch.device:
    """Of several processes each has a GPU of its own; where there are too few, they share."""
    if place.count == 1:
        return torch.device("cuda")
    device = torch.device("cuda", place.local % torch.cuda.device_count())
    torch.cuda.set_device(device)
    return device


def arithmetic(precision: Literal["bf16", "fp32"]) -> torch.dtype:
    return torch.bfloat16 if precision == "bf16" else torch.float32
