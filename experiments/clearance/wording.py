"""A cleared scope in words: what it allows, and whose terms leave the rest out."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from rights import territories
from rights.consent.allowances import Boxes, ContextBox, HolderAllowance
from rights.consent.evaluator import Context, in_words
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


_WORDS = {
    "no_grant": "has not allowed {use}",
    "grant_not_active": "was asked for {use} and the grant is not in force",
    "grant_withdrawn": "withdrew the permission for {use}",
    "grant_replaced": "allows {use} by other terms since",
    "grant_expired": "allowed {use} only for a time that has passed",
    "grant_suspended": "suspended the permission for {use}",
    "grant_not_started": "allows {use} only from a later day",
    "opted_out": "opted it out of {use}",
    "signal": "has not allowed {use} for it since it was read to say no",
    "condition": "allows {use} only under a condition that nobody has settled",
    "split_disputed": "disputes the split",
    "split_unconfirmed": "has not confirmed the split",
    "purpose": "has not allowed {use} for {purpose}",
    "territory": "has not allowed {use} in {place}",
    "model_family": "has allowed {use} for another model family than “{family}”",
    "model_version": "has not allowed {use} for version {version} of “{family}”",
    "product": "has not allowed {use} for {product}",
    "channel": "has not allowed {use} on this channel",
}
_ALONE = {
    "no_audio": "“{title}” has no file any more.",
    "no_work": "“{title}” names no work, so nobody can allow its composition.",
    "no_artist": "“{title}” credits no main artist, so nobody can allow {use}.",
    "members_unknown": (
        "An artist of “{title}” is no person, and nobody has said who all its members are, so "
        "nobody can allow {use}."
    ),
    "sound_question": "A question about the sound of “{title}” is open.",
    "no_split": "Nobody has stated who holds “{title}”: it has no split sheet.",
    "split_incomplete": "The split of “{title}” does not make 100 %.",
    "unknown": "A recording behind it is not in the catalogue any more.",
}


def _sentence(part: HolderAllowance, context: Context | None, known: _Names) -> str:
    code = part.code
    if not code and context is not None:
        # The box that comes nearest: what fails last in the order of the tests.
        code = max((box.against(context) for box in part.boxes), key=list(_WORDS).index)
    values = _values(part, context, known)
    if code in _ALONE:
        return _ALONE[code].format(**values)
    more = f" and {part.number - 1:,} more" if part.number > 1 else ""
    who = known.parties.get(part.party or 0, "Somebody")
    if code:
        words = _WORDS[code].format(**values)
    else:
        words = f"allows {values['use']} {union_in_words(part.boxes)}"
    return f"{who} ({values['what']}{more}) {words}."


def _values(part: HolderAllowance, context: Context | None, known: _Names) -> dict[str, str]:
    title = known.recordings.get(part.recording, "a recording")
    work = known.works.get(part.work or 0, title)
    what = {"master": f"the master “{title}”", "composition": f"the composition “{work}”"}
    values = {
        "use": in_words(part.use),
        "title": title,
        "what": what.get(part.right, f"whose person is in “{title}”"),
    }
    if context is None:
        return values | {
            "purpose": "any purpose",
            "place": "any territory",
            "family": "ours",
            "version": "any",
            "product": "any product",
        }
    product = f"the product “{context.product}”" if context.product else "what is no named product"
    return values | {
        "purpose": Purpose(context.purpose).label.lower(),
        "place": territories.names().get(context.territory, "an unknown territory"),
        "family": context.model_family,
        "version": str(context.model_version),
        "product": product,
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
