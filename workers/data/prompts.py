"""From what a person wrote to what the model was trained with."""

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Prompt:
    """A prompt with the genre that was found in it, or None: then the model is free."""

    text: str
    genre: str | None
    # Part of a sample's name: letters, digits and dashes, with the place among the prompts.
    slug: str


def understand(texts: list[str], *, genres: list[str]) -> list[Prompt]:
    """The first genre named in each text decides."""
    prompts = []
    for place, text in enumerate(texts, start=1):
        found = [
            (match.start(), genre)
            for genre in genres
            if (match := re.search(rf"(?<!\w){re.escape(genre)}(?!\w)", text.casefold()))
        ]
        genre = min(found)[1] if found else None
        words = re.sub(r"[^a-z0-9]+", "-", text.casefold()).strip("-")[:40]
        prompts.append(Prompt(text=text, genre=genre, slug=f"{place}-{words}".rstrip("-")))
    return prompts
