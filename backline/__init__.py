"""The client: what a training script imports.

    import backline

    with backline.init(project="first-light", config={"lr": 1e-4}) as run:
        run.log({"loss": 0.5}, step=1)

The client needs neither Django nor torch. docs/flow.md describes how a point travels to the portal.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
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

# Loaded when a program first asks for one: the portal, the sender and a job's supervisor import
# modules of this package too, and need neither the client nor its HTTP library.
_HOMES = dict.fromkeys(__all__, "backline.media") | {
    "Item": "backline.dataset",
    "Refused": "backline.delivery.transport",
    "Run": "backline.client",
    "StopRequest": "backline.client",
    "Sweep": "backline.sweeps",
    "Unreachable": "backline.delivery.transport",
    "init": "backline.opening",
    "sweep": "backline.sweeps",
}


def __getattr__(name: str) -> Any:
    if (home := _HOMES.get(name)) is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(home), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
