"""Distributions: of weights, gradients, activations. Counted here, so that few bytes are sent."""

from typing import Any

import numpy as np

from backline.media.base import Encoded, Media, NotLoggable, array_of
from backline.media.packs import MAX_BINS, content_of


class Histogram(Media):
    """How values are distributed: `Histogram(values)`, or `Histogram(counts=..., edges=...)`.

    `values` is an array or tensor of any shape; it is counted in `bins` of equal width between its
    smallest and its largest finite value. NaN and infinities are counted apart, and shown. `counts`
    and `edges` are as numpy.histogram returns them: one edge more than counts, ascending.
    """

    def __init__(
        self,
        values: Any = None,
        *,
        bins: int = 64,
        counts: Any = None,
        edges: Any = None,
        caption: str = "",
    ) -> None:
        super().__init__(caption)
        self._values, self._bins = values, bins
        self._counts, self._edges = counts, edges

    def encode(self) -> Encoded:
        if self._values is None:
            if self._counts is None or self._edges is None:
                raise NotLoggable("A histogram needs values, or counts and edges.")
            content = {
                "counts": [int(count) for count in array_of(self._counts)],
                "edges": [float(edge) for edge in array_of(self._edges)],
            }
        else:
            content = self._counted()
        # A ValueError with a sentence, if these are no counts between ascending edges.
        return Encoded("histogram", content_of("histogram", content))

    def _counted(self) -> dict[str, Any]:
        bins = int(self._bins)
        if not 1 <= bins <= MAX_BINS:
            raise NotLoggable(f"A histogram has 1 to {MAX_BINS} bins, not {bins}.")
        values = array_of(self._values).reshape(-1)
        if values.dtype.kind not in "biuf":
            raise NotLoggable(f"A histogram is of numbers, not of {values.dtype}.")
        values = values.astype(np.float64)
        finite = values[np.isfinite(values)]
        counts, edges = np.histogram(finite, bins=bins) if finite.size else ([0], [0.0, 1.0])
        return {
            "counts": [int(count) for count in counts],
            "edges": [float(edge) for edge in edges],
            "nan": int(np.isnan(values).sum()),
            "above": int(np.isposinf(values).sum()),
            "below": int(np.isneginf(values).sum()),
        }
