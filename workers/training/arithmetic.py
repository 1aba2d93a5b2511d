"""In what a run computes: bf16 or fp32, and on how many threads.

A processor without bf16 computes in it all the same, thirteen times slower than in fp32; two
threads beside other programs can be slower than one. So `precision: auto` asks what the processor
has and then measures, for a second, a miniature of the run's own steps. What was chosen is kept
with the run and in its checkpoints: the last bits of a result depend on it.
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
# With how many threads.
Candidate = tuple[Precision, int]
DTYPES: dict[Precision, torch.dtype] = {"bf16": torch.bfloat16, "fp32": torch.float32}
# What a processor says of itself when it multiplies in bf16: x86 with AVX-512 or AMX, ARM.
FLAGS = {"avx512_bf16", "amx_bf16", "bf16"}
CPU_INFO = Path("/proc/cpuinfo")
# torch can be held to less than the processor has (ATEN_CPU_CAPABILITY).
WITHOUT_BF16 = {"AVX2", "NO AVX", "VSX", "Z VECTOR"}
# bf16 keeps eight bits of a number, and fewer threads leave cores idle that may be free soon: both
# have to be worth something.
WORTH = 0.9
# Time for each of the two questions, threads and precision; at most so many rounds.
SECONDS, ROUNDS = 0.5, 12
# Fewer threads have to be faster twice, with so long between: what else was at work may have been
# the start of this very run.
PAUSE = 1.0
# Of a candidate that is so many times slower than the best no second round is waited for.
HOPELESS = 2.5


@dataclass(frozen=True)
class Work:
    """The shapes of a run's steps: clips of so many tokens, a block of so many channels."""

    batch: int
    tokens: int
    width: int
    heads: int
    kernel: int
    # Whether there is a way back and an optimiser.
    learns: bool

    @classmethod
    def of(cls, config: FlowMatchingConfig, *, clips: int, learns: bool) -> Self:
        """The work of `config`'s network on that many clips at once."""
        tokens = config.clip_frames // config.patch
        return cls(clips, tokens, config.width, config.heads, config.kernel, learns)

    def miniature(self, *, rows: int, width: int) -> Self:
        """No more than that many tokens and channels, in the same proportions: what is faster there
        is so in the large, and a round takes milliseconds."""
        size = min(self.width // self.heads, width)
        heads = min(self.heads, max(1, width // size))
        batch = max(1, min(self.batch, rows // self.tokens))
        return self.__class__(
            batch, min(self.tokens, rows), heads * size, heads, self.kernel, self.learns
        )


class Trial:
    """One block of the network, forth and back, and the optimiser's products of its matrices."""

    def __init__(self, work: Work, device: torch.device) -> None:
        """The seeds of the run are left as they are: a repeat measures nothing."""
        self.learns = work.learns
        self.device = device
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            block = Block(width=work.width, heads=work.heads, kernel=work.kernel)
            # As it begins a block lets nothing through.
            torch.nn.init.normal_(block.modulation.weight, std=0.02)
            self.x = torch.randn(work.batch, work.tokens, work.width).to(device)
            self.condition = torch.randn(work.batch, work.width).to(device)
        self.block = block.to(device)
        self.matrices = [block.qkv.weight, block.out.weight, block.up.weight, block.down.weight]
        cosine, sine = rotation(frames=work.tokens, size=work.width // work.heads)
        self.places = cosine.to(device), sine.to(device)

    def round(self, precision: Precision, threads: int) -> float:
        """Seconds of one round. A processor's threads stay at that number."""
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
    kept: Arithmetic | None = None,
) -> Arithmetic:
    """Choose, and from here on compute so. `kept` is the choice of the checkpoint it goes on from.

    1. What was chosen before stays: by that checkpoint, an earlier attempt, the run it repeats.
    2. What the config says is done.
    3. Else it is measured, by all processes at once, as they will work; the first one decides, and
       bf16 only where everybody has it.
    """
    able = team.everywhere(has_bf16(device))
    given = machine.threads(config.threads)
    known = kept or run.spec.arithmetic
    if known is not None and agrees(known, config):
        chosen = known
    elif config.precision == "auto":
        alike = given if config.threads or device.type == "cuda" else None
        chosen = decide(work, device=device, bf16=able, counts=[alike] if alike else halves(given))
    else:
        chosen = Arithmetic(precision=config.precision, threads=given, reason="So the config says.")
    precisions = tuple(DTYPES)
    first, threads = team.of_first((precisions.index(chosen.precision), chosen.threads))
    chosen = chosen.model_copy(update={"precision": precisions[first], "threads": threads})
    torch.set_num_threads(chosen.threads)
    if team.leads:
        run.log_arithmetic(chosen)
        print(in_words(chosen, before=chosen == known, able=able))
    return chosen


def agrees(chosen: Arithmetic, config: FlowMatchingConfig | GenerateConfig) -> bool:
    """Whether the config leaves room for it. Anybody of the project may report a run's arithmetic;
    what its config says is not theirs to change."""
    return config.precision in ("auto", chosen.precision) and config.threads in (0, chosen.threads)


def in_words(chosen: Arithmetic, *, before: bool, able: bool) -> str:
    """What the console says of it."""
    when = ", as it was when this was first computed" if before else ""
    said = f"Arithmetic: {chosen.precision} on {_threads(chosen.threads)}{when}. {chosen.reason}"
    if chosen.precision == "bf16" and not able:
        said += (
            " This processor has no bf16 and takes many times as long with it: "
            "a copy of the run with Precision fp32 is faster here."
        )
    return said


def has_bf16(device: torch.device, cpu_info: Path = CPU_INFO) -> bool:
    """Whether the device multiplies in bf16 by itself. A processor that does not say is one that
    does not."""
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
    known = {name for key, _, value in lines if key.strip() in {"flags", "Features"}
             for name in value.split()}  # fmt: skip
    return bool(FLAGS & known)


def halves(count: int) -> list[int]:
    """That many, and half of it, and half of that, down to one."""
    found = [count]
    while found[-1] > 1:
        found.append(found[-1] // 2)
    return found


def decide(work: Work, *, device: torch.device, bf16: bool, counts: list[int]) -> Arithmetic:
    """The fastest of these counts of threads (the most first) in fp32; then bf16 on as many, if it
    is worth it."""
    large = device.type == "cuda"
    # On a processor no larger than the default recipe, whose round takes a twentieth of a second.
    size = {"rows": 32_768, "width": 1_536} if large else {"rows": 1_024, "width": 192}
    trial = Trial(work.miniature(**size), device)
    why = "" if bf16 else f"This {'GPU' if large else 'processor'} has no bf16."
    if len(counts) == 1 and not bf16:
        return Arithmetic(precision="fp32", threads=counts[0], reason=why)
    measured: dict[Candidate, float] = {}
    threads = counts[0]
    if len(counts) > 1:
        measured = compare(trial, [("fp32", count) for count in counts])
        threads = fastest(measured)
        if threads < counts[0]:
            time.sleep(PAUSE)
            measured = compare(trial, [("fp32", count) for count in counts])
            threads = max(threads, fastest(measured))
    precision: Precision = "fp32"
    if bf16:
        took = compare(trial, [("fp32", threads), ("bf16", threads)])
        measured |= took
        if took["bf16", threads] < WORTH * took["fp32", threads]:
            precision = "bf16"
    figures = ", ".join(
        f"{name} on {_threads(count)} {seconds * 1000:,.1f} ms"
        for (name, count), seconds in sorted(measured.items(), key=lambda one: one[1])
    )
    reason = f"{why} Measured on a part of a step: {figures}.".strip()
    return Arithmetic(precision=precision, threads=threads, reason=reason[:500])


def fastest(took: Mapping[Candidate, float]) -> int:
    """The count of threads to take: the most, unless fewer are worth it."""
    most = max(took, key=lambda candidate: candidate[1])
    best = min(took, key=lambda candidate: took[candidate])
    return best[1] if took[best] < WORTH * took[most] else most[1]


def compare(trial: Trial, candidates: Iterable[Candidate]) -> dict[Candidate, float]:
    """Seconds of a round for each, in turns, so that what else is at work disturbs all alike."""
    # The first round of each also makes what later ones find made.
    once = {
        candidate: min(trial.round(*candidate), trial.round(*candidate)) for candidate in candidates
    }
    best = min(once.values())
    serious = [arithmetic for arithmetic, seconds in once.items() if seconds <= HOPELESS * best]
    rounds: dict[Candidate, list[float]] = {seriou: [] for seriou in serious}
    end = time.perf_counter() + SECONDS
    while len(rounds[serious[0]]) < ROUNDS and time.perf_counter() < end:
        for candidate in serious:
            rounds[candidate].append(trial.round(*candidate))
    return once | {arithmetic: statistics.median(took) for arithmetic, took in rounds.items()}


def _threads(count: int) -> str:
    return f"{count} thread{'' if count == 1 else 's'}"
