"""Figures: Plotly's as data that the portal draws, matplotlib's as a picture."""

import io
import json
from typing import Any

from backline.media.base import Encoded, Media, NotLoggable
from backline.media.images import picture
from backline.media.packs import MAX_FIGURE_BYTES, document


class Figure(Media):
    """A figure of Plotly, which stays one that can be zoomed, or of matplotlib, as a picture.

    Of a Plotly figure its data and layout are sent, at most 2 MB; its frames and its config are
    not. Traces that Plotly draws by WebGL (scattergl, 3D) need code that the portal's pages do not
    run, and are said to be so there. `dpi` is of a figure of matplotlib.
    """

    def __init__(self, figure: Any, caption: str = "", *, dpi: int = 100) -> None:
        super().__init__(caption)
        self._figure, self._dpi = figure, dpi

    def encode(self) -> Encoded:
        figure = self._figure
        if hasattr(figure, "to_plotly_json") and hasattr(figure, "to_json"):
            return _plotly(json.loads(figure.to_json()))
        if isinstance(figure, dict) and "data" in figure:
            return _plotly(figure)
        if hasattr(figure, "gcf"):
            # matplotlib.pyplot itself: its current figure.
            figure = figure.gcf()
        if hasattr(figure, "savefig"):
            file = io.BytesIO()
            figure.savefig(file, format="png", dpi=self._dpi)
            return picture(file.getvalue())
        raise NotLoggable(f"A figure is one of Plotly or matplotlib, not {type(figure).__name__}.")


def _plotly(figure: dict[str, Any]) -> Encoded:
    kept = {"data": figure.get("data") or [], "layout": figure.get("layout") or {}}
    data = json.dumps(kept, separators=(",", ":"), ensure_ascii=False).encode()
    if len(data) > MAX_FIGURE_BYTES:
        raise NotLoggable(
            f"The figure has {len(data) / 1e6:.1f} MB; at most {MAX_FIGURE_BYTES / 1e6:.0f} are "
            "sent. Give it fewer points."
        )
    # A sentence here, where the program is, and not from the portal later.
    document("figure", data)
    return Encoded("figure", data=data)
