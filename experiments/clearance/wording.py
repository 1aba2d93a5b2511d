"""A cleared scope in words: what it allows, and whose terms narrow it."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from rights import territories
from rights.consent.allowances import Boxes, ContextBox, HolderAllowance
from rights.consent.evaluator import TESTS, Context
from rights.consent.reasons import (
    general_sentence,
    in_words,
    product_in_words,
    right_in_words,
)
from rights.models import Party, Purpose, Recording, Work


@dataclass(frozen=True)
class Narrowing:
    """One holder whose terms leave a context out: why, and in which recording, as an example."""

    recording_id: int
    recording: str
    holder: str
    sentence: str

    def __str__(self) -> str:
        return self.sentence


def describe_narrowings(
    parts: Iterable[HolderAllowance], context: Context | None = None
) -> list[Narrowing]:
    """Whose terms these are, in sentences; with a context what does not fit in it."""
    parts = list(parts)
    known = _Names(
        dict(Party.objects.filter(pk__in={p.party for p in parts}).values_list("pk", "name")),
        dict(
            Recording.objects.filter(pk__in={p.recording for p in parts}).values_list("pk", "title")
        ),
        dict(Work.objects.filter(pk__in={p.work for p in parts}).values_list("pk", "title")),
    )
    return [
        Narrowing(
            part.recording,
            known.recordings.get(part.recording, ""),
            known.parties.get(part.party or 0, ""),
            _sentence(part, context, known),
        )
        for part in parts
    ]


class _Names(NamedTuple):
    parties: dict[int, str]
    recordings: dict[int, str]
    works: dict[int, str]


_NEAREST = [code for code, _ in TESTS]


def _sentence(part: HolderAllowance, context: Context | None, known: _Names) -> str:
    code = part.code
    if not code and context is not None:
        # The box that comes nearest: the one that fails last in the order of the tests.
        code = max((box.against(context) for box in part.boxes), key=_NEAREST.index)
    title = known.recordings.get(part.recording, "a recording")
    right = right_in_words(part.right, title, known.works.get(part.work or 0, title))
    party = known.parties.get(part.party or 0, "Somebody")
    more = f" and {part.number - 1:,} more" if part.number > 1 else ""
    holder, use = f"{party} ({right}{more})", in_words(part.use)
    if not code:
        return f"{holder} allows {use} {union_in_words(part.boxes)}."
    return general_sentence(
        code, holder=holder, party=party, right=right, title=title, use=use, **_asked(context)
    )


def _asked(context: Context | None) -> dict[str, str]:
    """What was asked for, as the details of a code (reasons.py)."""
    if context is None:
        return {
            "purpose": "any purpose",
            "place": "any territory",
            "family": "ours",
            "version": "any",
            "product": product_in_words(""),
        }
    return {
        "purpose": Purpose(context.purpose).label.lower(),
        "place": territories.names().get(context.territory, "an unknown territory"),
        "family": context.model_family,
        "version": str(context.model_version),
        "product": product_in_words(context.product),
    }


# --- In words --------------------------------------------------------------------------------


def union_in_words(boxes: Boxes) -> str:
    """ "for research, in the world" of each box, with “or” between them."""
    return ", or ".join(map(box_in_words, boxes)) or "nowhere"


def box_in_words(box: ContextBox) -> str:
    order = list(Purpose)
    purposes = (
        order if box.purposes is None else [purpose for purpose in order if purpose in box.purposes]
    )
    words = "for " + _listed([purpose.label.lower() for purpose in purposes])
    if len(purposes) == len(order):
        words = "for every purpose"
    known = territories.names()
    places = sorted(known.get(code, code) for code in box.territories)
    inside = "the world" if territories.WORLD in box.territories else _listed(places)
    words += f" in {inside}"
    if box.family:
        words += f", models of the family “{box.family}”"
    if box.first > 1 or box.last is not None:
        to = f" to {box.last}" if box.last is not None else " on"
        words += f", versions {max(box.first, 1)}{to}"
    if box.products is not None:
        words += f", for {_listed(sorted(box.products))} only"
    if box.channels is not None:
        words += f", {_listed(sorted(box.channels))}"
    return words


def _listed(words: list[str], most: int = 4) -> str:
    if len(words) > most:
        return f"{', '.join(words[:most])} and {len(words) - most} more"
    return " and ".join(filter(None, (", ".join(words[:-1]), *words[-1:])))
