"""The machine and the Python that a program runs in."""

import importlib.metadata
import json
import os
import platform
import shutil
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import psutil

from backline import bounds, wire
from backline.environment.masking import without_credentials

MAX_PACKAGES = 3_000
MAX_GPUS = 64
GPU_QUERY = "name,memory.total,driver_version"
# The only variables of the environment that are ever sent: others may be secrets.
VARIABLES = (
    "CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER", "HIP_VISIBLE_DEVICES", "RANK", "LOCAL_RANK",
    "WORLD_SIZE", "LOCAL_WORLD_SIZE", "GROUP_RANK", "NODE_RANK", "OMP_NUM_THREADS",
    "MKL_NUM_THREADS", "PYTHONHASHSEED", "CUBLAS_WORKSPACE_CONFIG", "NCCL_DEBUG",
    "NCCL_P2P_DISABLE", "NCCL_IB_DISABLE", "TORCH_CUDNN_V8_API_ENABLED", "PYTORCH_CUDA_ALLOC_CONF",
    "SLURM_JOB_ID", "SLURM_NNODES", "SLURM_PROCID",
)  # fmt: skip


def packages() -> tuple[dict[str, str], dict[str, str]]:
    """Return the version of each installed distribution by its name, the first on the path; and of
    those that came from no index, from where."""
    versions: dict[str, str] = {}
    direct: dict[str, str] = {}
    for distribution in importlib.metadata.distributions():
        # One package that is installed badly takes none of the others with it.
        with suppress(Exception):
            name = bounds.readable(distribution.metadata["Name"])[:100]
            if name and name not in versions and len(versions) < MAX_PACKAGES:
                versions[name] = bounds.readable(distribution.version)[:100]
                if source := _source(distribution.read_text("direct_url.json")):
                    direct[name] = bounds.readable(source)[:200]
    return dict(sorted(versions.items(), key=lambda item: item[0].lower())), direct


def _source(written: str | None) -> str:
    """Return where a distribution was installed from, by the file of PEP 610; empty: an index."""
    described = json.loads(written) if written else {}
    address = without_credentials(str(described.get("url", "")))
    if revision := described.get("vcs_info", {}).get("commit_id"):
        return f"{described['vcs_info'].get('vcs', 'git')}+{address}@{revision}"
    if address.startswith("file:"):
        # Not the folder's name, which is of somebody's machine.
        return "a folder of its machine"
    return address


def variables() -> dict[str, str]:
    """Return those variables of the short list that are set."""
    return {
        name: bounds.readable(os.environ[name])[:200] for name in VARIABLES if name in os.environ
    }


def system() -> str:
    """Return the operating system in words: its name, and its kernel."""
    kernel = f"{platform.system()} {platform.release()} {platform.machine()}"
    with suppress(OSError, AttributeError):
        return f"{platform.freedesktop_os_release()['PRETTY_NAME']}, {kernel}"[:200]
    return kernel[:200]


def python() -> str:
    return f"{platform.python_implementation()} {platform.python_version()}"


def host() -> str:
    with suppress(OSError):
        return bounds.readable(socket.gethostname())[:200]
    return ""


def hardware() -> wire.Hardware:
    """Return processor, memory and GPUs; of a container, what it may use of the machine."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return wire.Hardware(
        processor=_processor(),
        cores=psutil.cpu_count(logical=False) or 0,
        threads=cores or 0,
        memory_bytes=_memory(),
        gpus=_gpus(),
    )


def _processor() -> str:
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            name, _, value = line.partition(":")
            if name.strip() in {"model name", "Model"}:
                return bounds.readable(value.strip())[:200]
    return (platform.processor() or platform.machine())[:200]


def _memory() -> int:
    """Return the bytes of memory that the program may use: the limit of its container, if any."""
    total = int(psutil.virtual_memory().total)
    with suppress(OSError, ValueError):
        limit = int(Path("/sys/fs/cgroup/memory.max").read_text(encoding="utf-8"))
        return min(limit, total)
    return total


def _gpus() -> list[wire.Gpu]:
    if shutil.which("nvidia-smi") is None:
        return []
    command = ["nvidia-smi", f"--query-gpu={GPU_QUERY}", "--format=csv,noheader,nounits"]
    with suppress(OSError, subprocess.SubprocessError, ValueError):
        process = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
        return gpus_in(process.stdout)
    return []


def gpus_in(table: str) -> list[wire.Gpu]:
    """Return the GPUs in nvidia-smi's rows of name, MiB and driver."""
    found = []
    for line in table.strip().splitlines()[:MAX_GPUS]:
        name, memory, driver = (cell.strip() for cell in line.split(","))
        found.append(
            wire.Gpu(name=name[:100], memory_bytes=int(memory) * 1024 * 1024, driver=driver[:50])
        )
    return found


def entry(argv: list[str]) -> tuple[str, Path]:
    """Return how the program was started, without its arguments, and the folder of its file.

    `python -m a.b` is "-m a.b"; a notebook or a shell has no file.
    """
    main = sys.modules.get("__main__")
    spec = getattr(main, "__spec__", None)
    file = getattr(main, "__file__", None)
    if spec is not None and getattr(spec, "name", None) and file:
        return f"-m {spec.name.removesuffix('.__main__')}", Path(file).absolute().parent
    if file:
        return str(file), Path(file).absolute().parent
    return (argv[0] if argv and argv[0] else "interactive"), Path.cwd()
