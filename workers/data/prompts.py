"""Turns what a person wrote into a genre that the model was trained with."""

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Prompt:
    """A prompt and the genre found in it; with None the model chooses freely."""

    text: str
    genre: str | None
    # Part of a sample's name: letters, digits and dashes, with the place among the prompts.
    slug: str


def understand(texts: list[str], *, genres: list[str]) -> list[Prompt]:
    """Parse each text; the first genre that it names decides."""
    prompts = []
    for place, text in enumerate(texts, start=1):
        matches = [
            (match.start(), genre)
            for genre in genres
            if (match := re.search(rf"(?<!\w){re.escape(genre)}(?!\w)", text.casefold()))
        ]
        genre = min(matches)[1] if matches else None
        name = re.sub(r"[^a-z0-9]+", "-", text.casefold()).strip("-")[:40]
        prompts.append(Prompt(text=text, genre=genre, slug=f"{place}-{name}".rstrip("-")))
    return prompts
