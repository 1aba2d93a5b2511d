"""Chooses the arithmetic of a run: bf16 or fp32, and the number of threads.

A processor without bf16 still computes in it, thirteen times slower than in fp32; two threads
beside other programs can be slower than one. So `precision: auto` asks what the processor has and
then measures, for a second, a miniature of the run's own steps. The choice is stored with the run
and in its checkpoints: the last bits of a result depend on it.
"""

import statistics
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

import torch

import backline
from backline.wire import Arithmetic
from experiments.recipes.flow_matching import FlowMatchingConfig
from experiments.recipes.generate import GenerateConfig
from workers.models.dit import Block, rotation
from workers.training import machine
from workers.training.group import ALONE, Group
from workers.training.muon import orthogonalise

Precision = Literal["bf16", "fp32"]
# A precision and a number of threads.
Candidate = tuple[Precision, int]
DTYPES: dict[Precision, torch.dtype] = {"bf16": torch.bfloat16, "fp32": torch.float32}
# CPU flags of a processor that multiplies in bf16: x86 with AVX-512 or AMX, ARM.
FLAGS = {"avx512_bf16", "amx_bf16", "bf16"}
CPU_INFO = Path("/proc/cpuinfo")
# torch can be limited to less than the processor has (ATEN_CPU_CAPABILITY).
WITHOUT_BF16 = {"AVX2", "NO AVX", "VSX", "Z VECTOR"}
# bf16 keeps eight bits of a number, and fewer threads leave cores idle that may be free soon: each
# has to take less than this share of the other's time.
MAX_SHARE = 0.9
# Seconds for each of the two questions, threads and precision, and the most rounds.
SECONDS, ROUNDS = 0.5, 12
# Fewer threads have to be faster twice, this many seconds apart: the other load may have been the
# start of this very run.
PAUSE_SECONDS = 1.0
# A candidate that is this many times slower than the best is not measured further.
MAX_SLOWDOWN = 2.5


@dataclass(frozen=True)
class Work:
    """The shapes of a run's steps: clips and their tokens, a block and its channels."""

    batch: int
    tokens: int
    width: int
    heads: int
    kernel: int
    # Whether there is a backward pass and an optimiser.
    learns: bool

    @classmethod
    def of(cls, config: FlowMatchingConfig, *, clips: int, learns: bool) -> Self:
        """The work of `config`'s network on that many clips at once."""
        tokens = config.clip_frames // config.patch
        return cls(clips, tokens, config.width, config.heads, config.kernel, learns)

    def miniature(self, *, rows: int, width: int) -> Self:
        """Return the work with at most `rows` tokens and `width` channels, in the same proportions:
        what is faster there is faster at full size, and a round takes milliseconds."""
        size = min(self.width // self.heads, width)
        heads = min(self.heads, max(1, width // size))
        batch = max(1, min(self.batch, rows // self.tokens))
        return self.__class__(
            batch, min(self.tokens, rows), heads * size, heads, self.kernel, self.learns
        )


class Trial:
    """One block of the network, forward and backward, and the optimiser's matrix products."""

    def __init__(self, work: Work, device: torch.device) -> None:
        """Leave the run's random state as it is: a repeat draws the same without measuring."""
        self.learns = work.learns
        self.device = device
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            block = Block(width=work.width, heads=work.heads, kernel=work.kernel)
            # A new block's gates are zero and let nothing through.
            torch.nn.init.normal_(block.modulation.weight, std=0.02)
            self.x = torch.randn(work.batch, work.tokens, work.width).to(device)
            self.condition = torch.randn(work.batch, work.width).to(device)
        self.block = block.to(device)
        self.matrices = [block.qkv.weight, block.out.weight, block.up.weight, block.down.weight]
        cosine, sine = rotation(frames=work.tokens, size=work.width // work.heads)
        self.places = cosine.to(device), sine.to(device)

    def round(self, precision: Precision, threads: int) -> float:
        """Return the seconds of one round. The number of threads stays set."""
        torch.set_num_threads(threads)
        dtype = DTYPES[precision]
        self._wait()
        began = time.perf_counter()
        with (
            torch.set_grad_enabled(self.learns),
            torch.autocast(self.device.type, dtype=dtype, enabled=dtype != torch.float32),
        ):
            result = self.block(self.x, self.condition, self.places)
        if self.learns:
            result.float().square().mean().backward()
            for matrix in self.matrices:
                if matrix.grad is not None:
                    orthogonalise(matrix.grad, dtype=dtype)
            self.block.zero_grad()
        self._wait()
        return time.perf_counter() - began

    def _wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)


def settle(
    run: backline.Run,
    config: FlowMatchingConfig | GenerateConfig,
    *,
    work: Work,
    device: torch.device,
    team: Group = ALONE,
    stored: Arithmetic | None = None,
) -> Arithmetic:
    """Choose the arithmetic and set it. `stored` is the choice in the checkpoint that is resumed.

    1. An earlier choice stays: of that checkpoint, of an earlier attempt, of the run it repeats.
    2. Otherwise the config decides, unless it says `auto`.
    3. Then all processes measure at once, as they will work; the first one decides, and takes
       bf16 only where every process has it.
    """
    bf16 = team.all_true(has_bf16(device))
    count = machine.threads(config.threads)
    earlier = stored or run.spec.arithmetic
    if earlier is not None and agrees(earlier, config):
        chosen = earlier
    elif config.precision == "auto":
        fixed = count if config.threads or device.type == "cuda" else None
        chosen = decide(work, device=device, bf16=bf16, counts=[fixed] if fixed else halves(count))
    else:
        chosen = Arithmetic(precision=config.precision, threads=count, reason="So the config says.")
    precisions = tuple(DTYPES)
    index, threads = team.broadcast((precisions.index(chosen.precision), chosen.threads))
    chosen = chosen.model_copy(update={"precision": precisions[index], "threads": threads})
    torch.set_num_threads(chosen.threads)
    if team.leads:
        run.log_arithmetic(chosen)
        print(in_words(chosen, before=chosen == earlier, bf16=bf16))
    return chosen


def agrees(chosen: Arithmetic, config: FlowMatchingConfig | GenerateConfig) -> bool:
    """Whether the config allows this choice. Anybody in the project may report a run's arithmetic;
    they may not change what its config says."""
    return config.precision in ("auto", chosen.precision) and config.threads in (0, chosen.threads)


def in_words(chosen: Arithmetic, *, before: bool, bf16: bool) -> str:
    """Return the line for the console."""
    when = ", as it was when this was first computed" if before else ""
    line = f"Arithmetic: {chosen.precision} on {_threads(chosen.threads)}{when}. {chosen.reason}"
    if chosen.precision == "bf16" and not bf16:
        line += (
            " This processor has no bf16 and takes many times as long with it: "
            "a copy of the run with Precision fp32 is faster here."
        )
    return line


def has_bf16(device: torch.device, cpu_info: Path = CPU_INFO) -> bool:
    """Whether the device multiplies in bf16 natively; False for a processor that does not say."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if torch.backends.cpu.get_cpu_capability() in WITHOUT_BF16:
        return False
    try:
        text = cpu_info.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    lines = (line.partition(":") for line in text.splitlines())
    # "flags" on x86, "Features" on ARM.
    flags = {name for key, _, value in lines if key.strip() in {"flags", "Features"}
             for name in value.split()}  # fmt: skip
    return bool(FLAGS & flags)


def halves(count: int) -> list[int]:
    """Return `count`, half of it, half of that, and so on down to one."""
    counts = [count]
    while counts[-1] > 1:
        counts.append(counts[-1] // 2)
    return counts


def decide(work: Work, *, device: torch.device, bf16: bool, counts: list[int]) -> Arithmetic:
    """Choose the fastest of these thread counts (largest first) in fp32, then bf16 on as many if it
    is worth it."""
    on_gpu = device.type == "cuda"
    # On a processor at most the default recipe's size, where a round takes a twentieth of a second.
    size = {"rows": 32_768, "width": 1_536} if on_gpu else {"rows": 1_024, "width": 192}
    trial = Trial(work.miniature(**size), device)
    why = "" if bf16 else f"This {'GPU' if on_gpu else 'processor'} has no bf16."
    if len(counts) == 1 and not bf16:
        return Arithmetic(precision="fp32", threads=counts[0], reason=why)
    measured: dict[Candidate, float] = {}
    threads = counts[0]
    if len(counts) > 1:
        measured = compare(trial, [("fp32", count) for count in counts])
        threads = fastest(measured)
        if threads < counts[0]:
            time.sleep(PAUSE_SECONDS)
            measured = compare(trial, [("fp32", count) for count in counts])
            threads = max(threads, fastest(measured))
    precision: Precision = "fp32"
    if bf16:
        timings = compare(trial, [("fp32", threads), ("bf16", threads)])
        measured |= timings
        if timings["bf16", threads] < MAX_SHARE * timings["fp32", threads]:
            precision = "bf16"
    figures = ", ".join(
        f"{name} on {_threads(count)} {seconds * 1000:,.1f} ms"
        for (name, count), seconds in sorted(measured.items(), key=lambda item: item[1])
    )
    reason = f"{why} Measured on a part of a step: {figures}.".strip()
    return Arithmetic(precision=precision, threads=threads, reason=reason[:500])


def fastest(timings: Mapping[Candidate, float]) -> int:
    """Return the thread count to use: the largest, unless fewer are worth it."""
    most = max(timings, key=lambda candidate: candidate[1])
    best = min(timings, key=lambda candidate: timings[candidate])
    return best[1] if timings[best] < MAX_SHARE * timings[most] else most[1]


def compare(trial: Trial, candidates: Iterable[Candidate]) -> dict[Candidate, float]:
    """Measure the seconds of a round for each, in turns, so that other load disturbs all alike."""
    # The first round of each also sets up what later rounds reuse.
    first_rounds = {
        candidate: min(trial.round(*candidate), trial.round(*candidate)) for candidate in candidates
    }
    best = min(first_rounds.values())
    serious = [
        candidate for candidate, seconds in first_rounds.items() if seconds <= MAX_SLOWDOWN * best
    ]
    rounds: dict[Candidate, list[float]] = {candidate: [] for candidate in serious}
    end = time.perf_counter() + SECONDS
    while len(rounds[serious[0]]) < ROUNDS and time.perf_counter() < end:
        for candidate in serious:
            rounds[candidate].append(trial.round(*candidate))
    return first_rounds | {
        candidate: statistics.median(times) for candidate, times in rounds.items()
    }


def _threads(count: int) -> str:
    return f"{count} thread{'' if count == 1 else 's'}"
