"""What all kinds of media have in common: a caption, and that they are encoded when logged."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from backline import bounds
from backline.media.packs import MAX_CAPTION, Kind


class NotLoggable(ValueError):
    """It cannot be logged; the sentence says why and what to do."""


@dataclass(frozen=True)
class Encoded:
    """One thing as it is sent: `content` is small and JSON, `data` the bytes of a picture, table or
    figure. `note` says what was left out of it."""

    kind: Kind
    content: dict[str, Any] = field(default_factory=dict)
    data: bytes = b""
    note: str = ""


class Media:
    """One thing to log under a name, with a caption of at most 300 characters."""

    def __init__(self, caption: Any = "") -> None:
        self._caption = caption

    @property
    def caption(self) -> str:
        """The caption as it is sent, whatever was given."""
        words = "" if self._caption is None else bounds.readable(str(self._caption))
        return words.strip()[:MAX_CAPTION]

    def encode(self) -> Encoded:
        """Return it as it is sent; raises NotLoggable, or whatever a strange value raises."""
        raise NotImplementedError


def array_of(values: Any) -> npt.NDArray[Any]:
    """Return values as an array, also a live tensor of torch, one on a GPU or in bf16."""
    if hasattr(values, "detach"):
        values = values.detach().cpu()
        if "bfloat16" in str(values.dtype):
            values = values.float()
        values = values.numpy()
    return np.asarray(values)
