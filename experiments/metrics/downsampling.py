"""Levels of detail of one curve, in plain numpy.

Level 0 is the points as logged, in order of step. A bucket of level 1 summarises FACTOR points,
one of level 2 FACTOR buckets of level 1, and so on. Drawing takes the coarsest level that still
has enough buckets, so a curve of a million points costs as little as one of a thousand.
"""

from collections import defaultdict
from dataclasses import dataclass, fields
from typing import Self

import numpy as np

from backline.columns import Float64, Int64, pack, unpack, unpack_many
from backline.frames import Malformed

FACTOR = 8
# Elements per stored chunk, on every level. A multiple of FACTOR: a bucket never spans two chunks.
CHUNK = 4096
# A level is built while the one below it has more elements than this.
SMALLEST = 512
# Elements that are decoded in one step.
TOGETHER = 16_384

__all__ = ["CHUNK", "FACTOR", "SMALLEST", "Buckets", "Malformed", "Points"]


@dataclass(frozen=True)
class Points:
    """Points as logged. `times` are Unix seconds; `values` may be NaN or infinite."""

    steps: Int64
    times: Float64
    values: Float64

    def __len__(self) -> int:
        return len(self.steps)

    @classmethod
    def empty(cls) -> Self:
        return cls(np.empty(0, np.int64), np.empty(0), np.empty(0))

    @classmethod
    def joined(cls, parts: list[Self]) -> Self:
        if not parts:
            return cls.empty()
        if len(parts) == 1:
            return parts[0]
        return cls(
            np.concatenate([part.steps for part in parts]),
            np.concatenate([part.times for part in parts]),
            np.concatenate([part.values for part in parts]),
        )

    def part(self, start: int, end: int | None = None) -> "Points":
        return Points(self.steps[start:end], self.times[start:end], self.values[start:end])

    def between(self, first: int | None, last: int | None) -> "Points":
        keep = np.ones(len(self), bool)
        if first is not None:
            keep &= self.steps >= first
        if last is not None:
            keep &= self.steps <= last
        return self.where(keep)

    def where(self, chosen: "np.ndarray[tuple[int], np.dtype[np.bool_]]") -> "Points":
        return Points(self.steps[chosen], self.times[chosen], self.values[chosen])

    def in_order(self) -> "Points":
        """Sort by step; points of the same step keep the order in which they arrived."""
        if len(self) < 2 or bool((self.steps[1:] >= self.steps[:-1]).all()):
            return self
        order = np.argsort(self.steps, kind="stable")
        return Points(self.steps[order], self.times[order], self.values[order])

    def encode(self) -> bytes:
        return pack([self.steps, self.times, self.values])

    @classmethod
    def decode(cls, data: bytes, count: int) -> Self:
        steps, times, values = unpack(data, kinds="iff", counts=[count] * 3)
        return cls(steps.astype(np.int64, copy=False), times.astype(float), values.astype(float))

    @classmethod
    def decode_many(cls, rows: list[tuple[bytes, int]]) -> list[Self]:
        """Return what `decode` returns for each of these data and counts, quicker."""
        return [cls(*columns) for columns in _columns(rows, kinds="iff")]  # type: ignore[arg-type]

    def buckets(self) -> "Buckets":
        """Return each point as a bucket of its own."""
        finite = np.isfinite(self.values)
        value = np.where(finite, self.values, np.nan)
        return Buckets(
            first=self.steps,
            last=self.steps,
            times=self.times,
            mean=value,
            minimum=value,
            maximum=value,
            count=finite.astype(np.int64),
            nonfinite=(~finite).astype(np.int64),
        )


@dataclass(frozen=True)
class Buckets:
    """Summaries of neighbouring points.

    `first` and `last` are steps, `times` the latest wall time in the bucket. Mean, minimum and
    maximum are over the `count` finite values, NaN where there is none; `nonfinite` counts the
    others.
    """

    first: Int64
    last: Int64
    times: Float64
    mean: Float64
    minimum: Float64
    maximum: Float64
    count: Int64
    nonfinite: Int64

    def __len__(self) -> int:
        return len(self.first)

    @classmethod
    def joined(cls, parts: list[Self]) -> Self:
        if len(parts) == 1:
            return parts[0]
        return cls(
            *(
                np.concatenate([getattr(part, field.name) for part in parts])
                for field in fields(cls)
            )
        )

    def part(self, start: int, end: int | None = None) -> "Buckets":
        return Buckets(*(getattr(self, field.name)[start:end] for field in fields(self)))

    def between(self, first: int | None, last: int | None) -> "Buckets":
        """Return the buckets that touch these steps."""
        keep = np.ones(len(self), bool)
        if first is not None:
            keep &= self.last >= first
        if last is not None:
            keep &= self.first <= last
        return self.where(keep)

    def where(self, chosen: "np.ndarray[tuple[int], np.dtype[np.bool_]]") -> "Buckets":
        return Buckets(*(getattr(self, field.name)[chosen] for field in fields(self)))

    def in_order(self) -> "Buckets":
        order = np.argsort(self.first, kind="stable")
        return Buckets(*(getattr(self, field.name)[order] for field in fields(self)))

    def folded(self, factor: int = FACTOR) -> "Buckets":
        """Merge each `factor` neighbours into one; the last group may be smaller."""
        if factor <= 1 or len(self) == 0:
            return self
        starts = np.arange(0, len(self), factor)
        count = np.add.reduceat(self.count, starts)
        with np.errstate(over="ignore", invalid="ignore"):
            # Weighted before summing, so that values near the largest float do not overflow.
            share = self.count / np.repeat(np.maximum(count, 1), np.diff(starts, append=len(self)))
            mean = np.add.reduceat(np.where(self.count > 0, self.mean, 0.0) * share, starts)
        return Buckets(
            first=self.first[starts],
            last=np.maximum.reduceat(self.last, starts),
            times=np.maximum.reduceat(self.times, starts),
            mean=np.where(count > 0, mean, np.nan),
            minimum=np.fmin.reduceat(self.minimum, starts),
            maximum=np.fmax.reduceat(self.maximum, starts),
            count=count,
            nonfinite=np.add.reduceat(self.nonfinite, starts),
        )

    def thinned(self, limit: int) -> "Buckets":
        """Merge neighbours, so that at most `limit` buckets are left."""
        return self.folded(-(-len(self) // max(1, limit)))

    def encode(self) -> bytes:
        return pack([getattr(self, field.name) for field in fields(self)])

    @classmethod
    def decode(cls, data: bytes, count: int) -> Self:
        return cls(*unpack(data, kinds="iiffffii", counts=[count] * 8))  # type: ignore[arg-type]

    @classmethod
    def decode_many(cls, rows: list[tuple[bytes, int]]) -> list[Self]:
        """Return what `decode` returns for each of these data and counts, quicker."""
        return [cls(*columns) for columns in _columns(rows, kinds="iiffffii")]  # type: ignore[arg-type]


def _columns(rows: list[tuple[bytes, int]], *, kinds: str) -> list[list[Int64 | Float64]]:
    """Return the columns of each row; rows of the same count are decoded together."""
    places: dict[int, list[int]] = defaultdict(list)
    for place, (_, count) in enumerate(rows):
        places[count].append(place)
    decoded: list[list[Int64 | Float64]] = [[] for _ in rows]
    for count, members in places.items():
        # Some at a time: what is inflated stays in the processor's cache.
        together = max(1, TOGETHER // max(1, count))
        for start in range(0, len(members), together):
            some = members[start : start + together]
            columns = unpack_many([rows[place][0] for place in some], kinds=kinds, count=count)
            for at, place in enumerate(some):
                decoded[place] = [column[at] for column in columns]
    return decoded
