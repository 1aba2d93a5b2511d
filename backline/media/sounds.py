"""Sound: a clip, with everything that clips have."""

from collections.abc import Sequence
from typing import Any

from backline.media.base import Media


class Audio(Media):
    """A clip: samples (channels, frames) with their rate in Hz, or a file.

    The same as `run.log_audio`: it is a sample of the run, with credits, copy check and consent.
    The caption is its prompt unless there is one.
    """

    def __init__(
        self,
        audio: Any,
        sample_rate: int | None = None,
        caption: str = "",
        *,
        prompt: str = "",
        seed: int | None = None,
        final: bool = False,
        references: Sequence[int] = (),
    ) -> None:
        super().__init__(caption)
        self.audio, self.sample_rate = audio, sample_rate
        self.prompt, self.seed, self.final, self.references = prompt, seed, final, references
