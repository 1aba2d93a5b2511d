"""The client: what a training script imports.

    import backline

    with backline.init(project="first-light", config={"lr": 1e-4}) as run:
        run.log({"loss": 0.5}, step=1)

The client needs neither Django nor torch. docs/flow.md describes how a point travels to the portal.
"""

from backline.client import Run, StopRequest
from backline.dataset import Item
from backline.delivery.transport import Refused, Unreachable
from backline.media import (
    Audio,
    ConfusionMatrix,
    Figure,
    Histogram,
    Image,
    Media,
    Table,
    Text,
)
from backline.opening import init
from backline.sweeps import Sweep, sweep

__all__ = [
    "Audio",
    "ConfusionMatrix",
    "Figure",
    "Histogram",
    "Image",
    "Item",
    "Media",
    "Refused",
    "Run",
    "StopRequest",
    "Sweep",
    "Table",
    "Text",
    "Unreachable",
    "init",
    "sweep",
]
__version__ = "0.1.0"
