"""What arithmetic and threads cost the default training: steps per second, alone and in company.

The trainer alone, with the default recipe's model and batch, on as many threads as there are cores
and on one, in each arithmetic: as it was until November 2026 (autocast and Muon in bf16 by itself)
and as it is. Beside it run no, one or two busy loops. With `--avx2` everything is measured again in
a process that may use no more than AVX2, as most laptops have.

Wall time is what a person waits for; processor time says what a step costs where others take turns.
"""

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

from workers.allocator import MALLOC_SETTINGS

AVX2 = {"ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2"}
SECONDS = 8.0
BUSY = "while True: pass"
TARGET_MINUTES = 4


@dataclass(frozen=True)
class Way:
    """One way of computing the same step."""

    title: str
    precision: str
    # torch.optim.Muon, which computes in bf16, instead of ours; by AdamW alone if "none".
    muon: str = "ours"
    threads: int = 0
    keeps_memory: bool = True
    spins: int = 1_000


WAYS = (
    Way("bf16, Muon in bf16, memory handed back (before)", "bf16", "torch", keeps_memory=False),
    Way("fp32, Muon in bf16 (before, asked for)", "fp32", "torch", keeps_memory=False),
    Way("bf16", "bf16"),
    Way("fp32, memory handed back", "fp32", keeps_memory=False),
    Way("fp32", "fp32"),
    Way("fp32 on one thread", "fp32", threads=1),
    Way("fp32, AdamW alone", "fp32", "none"),
)


def trained(way: Way, seconds: float) -> dict[str, Any]:
    """In this process: steps for that long, after two to warm up."""
    # Here, so that the process that only starts others does not wait for it.
    import torch

    from backline.wire import Arithmetic
    from experiments.recipes.flow_matching import FlowMatchingConfig
    from workers.data.recordings import Recording
    from workers.training import machine, trainer

    config = FlowMatchingConfig()
    device = machine.prepare(seed=config.seed, asked_threads=way.threads)
    music = torch.Generator().manual_seed(1)
    data = [
        Recording(number, "abcd"[number % 4], torch.randn(600, 64, generator=music), 19.2)
        for number in range(38)
    ]
    precision = "bf16" if way.precision == "bf16" else "fp32"
    chosen = Arithmetic(precision=precision, threads=torch.get_num_threads())
    made = trainer.Trainer(config, data=data, device=device, arithmetic=chosen)
    if way.muon == "torch":
        matrices = made.optimisers["muon"].param_groups[0]["params"]
        made.optimisers["muon"] = torch.optim.Muon(matrices, lr=0.0, weight_decay=0.01)
    elif way.muon == "none":
        everything = list(made.model.parameters())
        made.optimisers = {"adamw": torch.optim.AdamW(everything, lr=0.0, betas=(0.9, 0.95))}
    for step in (1, 2):
        made.step(step)
    before, began, steps = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter(), 0
    while time.perf_counter() - began < seconds or steps < 2:
        made.step(3 + steps)
        steps += 1
    took, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_SELF)
    return {
        "steps": steps / took,
        "user": (after.ru_utime - before.ru_utime) / steps * 1000,
        "system": (after.ru_stime - before.ru_stime) / steps * 1000,
        "faults": (after.ru_minflt - before.ru_minflt) / steps,
    }


def measured(way: Way, *, seconds: float = SECONDS, **env: str) -> dict[str, Any]:
    """The same in a process of its own, with the environment of a job."""
    clean = {name: value for name, value in os.environ.items() if "MALLOC" not in name}
    kept = MALLOC_SETTINGS if way.keeps_memory else {}
    asked = json.dumps([asdict(way), seconds])
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.arithmetic", "--one", asked],
        env={**clean, "GOMP_SPINCOUNT": str(way.spins), **kept, **env},
        check=True,
        capture_output=True,
        text=True,
    )
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


@contextmanager
def company(loops: int) -> Iterator[None]:
    """So many programs beside it that never rest."""
    started = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(loops)]
    try:
        yield
    finally:
        for loop in started:
            loop.kill()
            loop.wait()


def table(title: str, **env: str) -> None:
    print(f"| {title} | alone, steps/s | beside one | beside two | user ms | system ms | faults |")
    print("|---|--:|--:|--:|--:|--:|--:|")
    first: float | None = None
    for way in WAYS:
        alone = measured(way, **env)
        beside = []
        for loops in (1, 2):
            with company(loops):
                beside.append(measured(way, **env)["steps"])
        first = first or alone["steps"]
        print(
            f"| {way.title} | {alone['steps']:.2f} ({alone['steps'] / first:.1f}x) | "
            f"{beside[0]:.2f} | {beside[1]:.2f} | {alone['user']:.0f} | {alone['system']:.0f} | "
            f"{alone['faults']:.0f} |",
            flush=True,
        )


def main() -> None:
    table("The default run's step")
    if "--avx2" in sys.argv:
        print()
        table("The same with no more than AVX2", **AVX2)
    a_second = 800 / TARGET_MINUTES / 60
    print(f"\nTarget: 800 steps in {TARGET_MINUTES} minutes, {a_second:.1f} a second.")


if __name__ == "__main__":
    if "--one" in sys.argv:
        way, seconds = json.loads(sys.argv[sys.argv.index("--one") + 1])
        print(json.dumps(trained(Way(**way), seconds)))
    else:
        main()
