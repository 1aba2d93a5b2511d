"""Texts: what a model wrote, a note on a step."""

from typing import Any

from backline import bounds
from backline.media.base import Encoded, Media
from backline.media.packs import content_of


class Text(Media):
    """A text of at most 20,000 characters, shown as it is; with `markdown` it is formatted."""

    def __init__(self, text: Any, caption: str = "", *, markdown: bool = False) -> None:
        super().__init__(caption)
        self._text, self._markdown = text, markdown

    def encode(self) -> Encoded:
        text = bounds.readable(str(self._text))
        note = ""
        if len(text) > bounds.MAX_PROSE:
            note = f"Its first {bounds.MAX_PROSE:,} of {len(text):,} characters are kept."
            text = text[: bounds.MAX_PROSE]
        content = content_of("text", {"text": text, "markdown": bool(self._markdown)})
        return Encoded("text", content, note=note)
