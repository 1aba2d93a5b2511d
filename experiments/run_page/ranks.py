"""The processes of a run side by side: which is behind, slow, or busy while the others wait."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median

from experiments.models import Series

STEP = re.compile(r"system/rank/(\d+)/step_seconds")
# A rank slower than the median by this factor is reported; less is chance.
SLOW = 1.2


@dataclass(frozen=True)
class Rank:
    """One process: its last step, seconds per step, use of the GPU (else the CPU) in per cent."""

    number: int
    step: int
    seconds: float | None
    busy: float | None
    words: str


def ranks_in(series: Iterable[Series]) -> list[Rank]:
    """Return the ranks in a run's series, by number; none for a run of one process.

    Ranks in lock-step all take as long as the slowest: then the busiest rank, while the others
    wait, is the one to look at.
    """
    named = {metric.name: metric for metric in series}
    steps = {
        int(match[1]): metric for name, metric in named.items() if (match := STEP.fullmatch(name))
    }
    if len(steps) < 2:
        return []
    ahead = max(step.last_step for step in steps.values())
    finite = [step.last for step in steps.values() if step.last is not None]
    middle = median(finite) if finite else 0.0
    return [
        Rank(
            number,
            metric.last_step,
            metric.last,
            _busy(named, number),
            _words(metric, ahead, middle),
        )
        for number, metric in sorted(steps.items())
    ]


def _busy(series: dict[str, Series], number: int) -> float | None:
    prefix = f"system/rank/{number}/" if number else "system/"
    values = [series[name].last for name in (f"{prefix}gpu0_percent", f"{prefix}cpu_percent")
            if name in series]  # fmt: skip
    return next((value for value in values if value is not None), None)


def _words(series: Series, ahead: int, middle: float) -> str:
    if behind := ahead - series.last_step:
        return f"{behind:,} step{'' if behind == 1 else 's'} behind"
    if series.last is not None and middle and series.last > SLOW * middle:
        return f"{series.last / middle:.1f} times as slow as the middle one"
    return ""
