"""The free texts of a model's page, for what no rows say. The rest of it is generated."""

from collections.abc import Mapping
from dataclasses import dataclass

LONGEST = 3_000


@dataclass(frozen=True)
class TextPart:
    """One text. `section` is the number in the AI Office's template; empty: the page itself."""

    key: str
    label: str
    help: str
    section: str = ""
    required: bool = False
    # Shown while nothing is written.
    default: str = ""
    rows: int = 3


PARTS: tuple[TextPart, ...] = (
    TextPart(
        "about",
        "About the model",
        "What it makes and for whom, in words that a listener understands.",
        required=True,
        rows=5,
    ),
    TextPart(
        "provider",
        "Provider: name and contact",
        "The lab as a whole; no person's address.",
        "1.1",
        required=True,
        rows=2,
    ),
    TextPart(
        "representative",
        "Authorised representative in the Union",
        "Only for a provider outside of it.",
        "1.1",
        default="Not applicable.",
        rows=2,
    ),
    TextPart(
        "placed_on_market",
        "Placed on the Union market",
        "A date, or that it is not.",
        "1.2",
        default="Not placed on the market.",
        rows=1,
    ),
    TextPart(
        "content_types",
        "Types of content",
        "Genres, instruments, vocals: what kind of music it is.",
        "1.3",
        default="Recorded music.",
    ),
    TextPart(
        "languages",
        "Linguistic characteristics",
        "Languages sung or spoken.",
        "1.3",
        default="Not recorded.",
        rows=2,
    ),
    TextPart(
        "characteristics",
        "Other characteristics of the training data",
        "Where the music comes from, what is missing in it.",
        "1.3",
        default="None stated.",
    ),
    TextPart(
        "synthetic",
        "Synthetic data",
        "Only if the program made or used any: which model made it. Empty: none was used.",
        "2.5",
    ),
    TextPart(
        "other_sources",
        "Other sources of data",
        "Only if the program read anything besides the recordings. Empty: it did not.",
        "2.6",
    ),
    TextPart(
        "signatory",
        "Signatory to the Code of Practice",
        "Whether the provider has signed the code for general-purpose AI models.",
        "3.1",
        default="Not stated.",
        rows=1,
    ),
    TextPart(
        "reservations",
        "Respect of reservations: further words",
        "The portal says itself that nothing is crawled and that deny is the rule.",
        "3.1",
    ),
    TextPart(
        "illegal_content",
        "Removal of illegal content",
        "What was done to keep it out.",
        "3.2",
        default="No measure beyond delivery under agreement is recorded.",
    ),
    TextPart("other_processing", "Other information on processing", "Optional.", "3.3"),
)


def texts_by_key(parts: Mapping[str, str]) -> dict[str, str]:
    """Return every text by key, with its default where it is empty."""
    return {part.key: parts.get(part.key) or part.default for part in PARTS}
