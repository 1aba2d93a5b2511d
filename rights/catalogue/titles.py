"""When two titles, or two names, are the same to a person who reads them."""

import re
import unicodedata

# What is written or left out at will: Don't and Dont.
APOSTROPHES = re.compile(
    "['\N{LEFT SINGLE QUOTATION MARK}\N{RIGHT SINGLE QUOTATION MARK}`\N{ACUTE ACCENT}]"
)
# A guest in brackets belongs to the credits; other words in brackets name another mix.
GUEST = re.compile(r"[(\[]\s*(?:feat|ft|featuring)\b\.?[^)\]]*[)\]]", re.IGNORECASE)


def key(text: str) -> str:
    """Return what equal titles have in common: case, punctuation and spaces do not count.

    Accents and symbols do. A title of punctuation alone is its own key.
    """
    composed = unicodedata.normalize("NFC", text)
    folded = unicodedata.normalize("NFC", GUEST.sub(" ", composed).casefold()).replace("&", " and ")
    spaced = "".join(
        " " if unicodedata.category(letter)[0] in "PZC" else letter
        for letter in APOSTROPHES.sub("", folded)
    )
    return " ".join(spaced.split()) or " ".join(composed.casefold().split())
