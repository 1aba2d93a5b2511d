"""What permissions leave to something made from many recordings: the intersection of them all.

A permission allows a set of contexts: purposes, territories, versions of a model family, products
and channels, each of them free of the others. Such a set is a box; what one holder allows for one
right is a union of boxes, one for each grant that covers; what all of them allow is the
intersection of those unions, which is a union of boxes again. So the answer for any context is
exactly the answer of consent.evaluate for all recordings at once, from a value that can be kept.

Of unions with very many boxes the narrowest are left out: never wider than what is allowed.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from rights import territories
from rights.consent import snapshot as known
from rights.consent.evaluator import NO_GRANT, TESTS, Context, Judge, Need
from rights.consent.reasons import Missing
from rights.consent.snapshot import Facts, Music, Sign, Terms, speaking
from rights.models import Purpose, RightType, Use

# Boxes of a union, and the reasons that are kept beside one.
MOST = 64
PARTS = 50
# Of a large dataset so many recordings are asked first.
FEW = 1_000


class ContextBox(NamedTuple):
    """Contexts that one set of terms allows; None allows every one, an empty family too."""

    purposes: frozenset[str] | None
    territories: frozenset[str]
    family: str
    first: int
    last: int | None
    products: frozenset[str] | None
    channels: frozenset[str] | None

    def covers(self, context: Context) -> bool:
        return not self.against(context)

    def against(self, context: Context) -> str:
        """The code of the first thing that does not fit, in the order of evaluator.TESTS."""
        family, version = context.model_family, context.model_version
        fits = {
            "purpose": self.purposes is None or context.purpose in self.purposes,
            "territory": territories.covers(tuple(self.territories), context.territory),
            "model_family": self.family in {"", family},
            "model_version": self.first <= version and (self.last is None or version <= self.last),
            "product": self.products is None or context.product in self.products,
            "channel": self.channels is None or context.channel in self.channels,
        }
        return next((code for code, fit in fits.items() if not fit), "")

    def as_json(self) -> dict[str, Any]:
        return {name: _plain(value) for name, value in self._asdict().items()}


Boxes = tuple[ContextBox, ...]
EVERYTHING = ContextBox(None, frozenset({territories.WORLD}), "", 0, None, None, None)
ALL: Boxes = (EVERYTHING,)
NONE: Boxes = ()


class HolderAllowance(NamedTuple):
    """What one holder leaves: the boxes, an example, and of how many recordings at least it is so.

    `code` says why where nothing is left, as the codes of judging.
    """

    boxes: Boxes
    use: str
    code: str
    party: int | None
    right: str
    work: int | None
    recording: int
    number: int


@dataclass(frozen=True)
class Allowance:
    """The contexts that are allowed, and whose terms made them so few, narrowest first."""

    boxes: Boxes = ALL
    parts: tuple[HolderAllowance, ...] = ()

    def covers(self, context: Context) -> bool:
        return any(box.covers(context) for box in self.boxes)

    def against(self, context: Context) -> list[HolderAllowance]:
        """Whose terms leave this context out."""
        return [part for part in self.parts if not any(box.covers(context) for box in part.boxes)]

    def meet(self, other: "Allowance") -> "Allowance":
        """What both allow."""
        return Allowance(
            intersect(self.boxes, other.boxes), _narrowest((*self.parts, *other.parts))
        )

    def within(self, other: "Allowance") -> bool:
        """Whether each box lies in one of the other's: then nothing here is wider."""
        return all(any(lies_in(box, wide) for wide in other.boxes) for box in self.boxes)

    def as_json(self) -> dict[str, Any]:
        return {
            "boxes": [box.as_json() for box in self.boxes],
            "parts": [
                part._asdict() | {"boxes": [box.as_json() for box in part.boxes]}
                for part in self.parts
            ],
        }

    @classmethod
    def from_json(cls, body: dict[str, Any]) -> "Allowance":
        parts = [
            HolderAllowance(**(part | {"boxes": _boxes(part["boxes"])})) for part in body["parts"]
        ]
        return cls(_boxes(body["boxes"]), tuple(parts))


def allowance_of(
    ids: Iterable[int], use: Use, at: datetime, *, made_at: datetime | None = None
) -> Allowance:
    """What the holders of these recordings allow now, all together; `at` is the present. With
    `made_at` for what was made then (evaluator.Judge).

    Where the first few of very many leave nothing already, the others are not asked.
    """
    wanted = sorted(set(ids))
    if len(wanted) > 2 * FEW:
        first = known.gather(wanted[:FEW], use, at, now=True)
        few = of_facts(first, at, wanted[:FEW], made_at=made_at)
        if not few.boxes:
            return few
    return of_facts(known.gather(wanted, use, at, now=True), at, wanted, made_at=made_at)


def of_facts(
    facts: Facts, at: datetime, wanted: Sequence[int] = (), *, made_at: datetime | None = None
) -> Allowance:
    """The same from facts in hand; of `wanted`, what they do not know allows nothing."""
    return Survey(facts, at, made_at=made_at).result(wanted)


# --- Sets of contexts ------------------------------------------------------------------------


def intersect(boxes: Boxes, other: Boxes) -> Boxes:
    if boxes in {ALL, other}:
        return other
    if other == ALL:
        return boxes
    return widest(both for a in boxes for b in other if (both := meet(a, b)) is not None)


def meet(context_box: ContextBox, other: ContextBox) -> ContextBox | None:
    """The contexts that lie in both; None where there is none."""
    if context_box.family and other.family and context_box.family != other.family:
        return None
    places = _places(context_box.territories, other.territories)
    purposes = _both(context_box.purposes, other.purposes)
    products = _both(context_box.products, other.products)
    channels = _both(context_box.channels, other.channels)
    first = max(context_box.first, other.first)
    last = min((end for end in (context_box.last, other.last) if end is not None), default=None)
    empty = any(part is not None and not part for part in (places, purposes, products, channels))
    if empty or (last is not None and first > last):
        return None
    return ContextBox(
        purposes, places, context_box.family or other.family, first, last, products, channels
    )


def lies_in(context_box: ContextBox, other: ContextBox) -> bool:
    return meet(context_box, other) == meet(context_box, EVERYTHING)


def widest(boxes: Iterable[ContextBox]) -> Boxes:
    """A union without the boxes that lie in others, in one order; at most MOST of them."""
    kept: list[ContextBox] = []
    some = {plain for box in boxes if (plain := meet(box, EVERYTHING)) is not None}
    for box in sorted(some, key=lambda box: (-_width(box), repr(box.as_json()))):
        if not any(lies_in(box, wider) for wider in kept):
            kept.append(box)
    return tuple(kept[:MOST])


def _both(one: frozenset[str] | None, other: frozenset[str] | None) -> frozenset[str] | None:
    if one is None or other is None:
        return other if one is None else one
    return one & other


def _places(one: frozenset[str], other: frozenset[str]) -> frozenset[str]:
    whole = EVERYTHING.territories
    if whole <= one:
        return whole if whole <= other else other
    return one if whole <= other else one & other


def _width(box: ContextBox) -> float:
    """A number to order boxes by, about how many contexts lie in one."""
    purposes = len(Purpose) if box.purposes is None else len(box.purposes)
    places = 250 if territories.WORLD in box.territories else len(box.territories)
    versions = 100 if box.last is None else box.last - box.first + 1
    products = 100 if box.products is None else len(box.products)
    channels = 3 if box.channels is None else len(box.channels)
    return purposes * places * versions * products * channels * (1 if box.family else 10)


def _narrowest(parts: Iterable[HolderAllowance]) -> tuple[HolderAllowance, ...]:
    """The narrowest, and of each union that occurs at least one."""
    ordered = sorted(
        set(parts), key=lambda part: (_total(part.boxes), -part.number, repr(part[1:]))
    )
    seen: set[Boxes] = set()
    first: list[HolderAllowance] = []
    rest: list[HolderAllowance] = []
    for part in ordered:
        (rest if part.boxes in seen else first).append(part)
        seen.add(part.boxes)
    chosen = {*first, *rest[: max(0, PARTS - len(first))]}
    return tuple(part for part in ordered if part in chosen)


def _total(boxes: Boxes) -> float:
    return sum(map(_width, boxes))


def _plain(value: object) -> object:
    return sorted(value) if isinstance(value, frozenset) else value


def _boxes(rows: Iterable[dict[str, Any]]) -> Boxes:
    return tuple(ContextBox(**{name: _set(value) for name, value in row.items()}) for row in rows)


def _set(value: Any) -> Any:
    return frozenset(value) if isinstance(value, list) else value


# --- From facts ------------------------------------------------------------------------------

# The tests of a grant that ask nothing of the context.
_TIMELESS = {"purpose", "territory", "model_family", "model_version", "product", "channel"}
_ALWAYS = [(place, code, test) for place, (code, test) in enumerate(TESTS) if code not in _TIMELESS]


@dataclass
class _Found:
    recordings: set[int] = field(default_factory=set)
    work: int | None = None


class Survey(Judge):
    """One use at one moment over any number of recordings, for every context."""

    def __init__(
        self,
        facts: Facts,
        at: datetime,
        *,
        made_at: datetime | None = None,
        continuing: bool = False,
    ) -> None:
        nowhere = Context(Purpose.RESEARCH, territories.WORLD, "")
        super().__init__(facts, nowhere, at, made_at=made_at, continuing=continuing)
        self._boxes: dict[int, tuple[ContextBox | None, int, str]] = {}
        self._whole: dict[tuple[int, str], tuple[Boxes, str]] = {}
        self._special = {(key[0], key[1]) for key in facts.grants if key[3]}

    def result(self, wanted: Sequence[int]) -> Allowance:
        found: dict[tuple[Boxes, str, int | None, str], _Found] = {}
        for music in self.facts.recordings:
            for boxes, code, party, right, work in self._answers(music):
                summary = found.setdefault((boxes, code, party, right), _Found(work=work))
                summary.recordings.add(music.pk)
        missing = set(wanted).difference(music.pk for music in self.facts.recordings)
        if missing:
            found[NONE, "unknown", None, ""] = _Found(missing)
        boxes = ALL
        for some in sorted({key[0] for key in found}, key=_total):
            boxes = intersect(boxes, some)
        use = str(self.facts.use.value)
        parts = (
            HolderAllowance(
                left,
                use,
                code,
                party,
                right,
                summary.work,
                min(summary.recordings),
                len(summary.recordings),
            )
            for (left, code, party, right), summary in found.items()
        )
        return Allowance(boxes, _narrowest(parts))

    def _answers(self, music: Music) -> Iterator[tuple[Boxes, str, int | None, str, int | None]]:
        """What each party whose word is needed leaves of this recording."""
        lacking: list[Missing] = []
        if music.audio is None:
            lacking.append(Missing("no_audio", RightType.MASTER))
        for need in self.needs(music, lacking):
            boxes, code = self._of(need, self.subject_of(need, music))
            yield boxes, code, need.party, need.right.value, need.work
        for missing in lacking:
            yield NONE, missing.code, missing.party, missing.right.value, missing.work

    def is_special(self, need: Need, music: Music) -> bool:
        """Whether the answer on this need may be another one than for the rest of the catalogue."""
        return music.pk in self._with_opt_outs or any(
            (speaker, need.right) in self._special for speaker in self._speakers(need.party)
        )

    def _of(self, need: Need, music: Music) -> tuple[Boxes, str]:
        key = need.party, need.right.value
        if self.is_special(need, music):
            return self._union(need, music)
        if key not in self._whole:
            self._whole[key] = self._union(need, music)
        return self._whole[key]

    def _speakers(self, party: int) -> Iterator[int]:
        yield party
        yield from (sign.agent for sign in self.facts.signs.get(party, ()))

    def _union(self, need: Need, music: Music) -> tuple[Boxes, str]:
        """What the grants that speak for this leave, and why not where that is nothing."""
        boxes, nearest = [], (NO_GRANT.rank, NO_GRANT.code)
        for _, box, rank, code in self._each(need, music):
            if box is None:
                nearest = min(nearest, (rank, code))
            else:
                boxes.append(box)
        return widest(boxes), "" if boxes else nearest[1]

    def boxes(self, need: Need, music: Music) -> list[tuple[int, ContextBox]]:
        """What each grant that speaks for this need leaves by itself, with the grant's number."""
        each = self._each(need, music)
        return [(grant, box) for grant, box, _, _ in each if box is not None]

    def of_needs(self, music: Music) -> Iterator[Boxes]:
        """What is left for each need of the recording; nothing for each thing that it lacks."""
        return (boxes for boxes, *_ in self._answers(music))

    def _each(self, need: Need, music: Music) -> Iterator[tuple[int, ContextBox | None, int, str]]:
        for grant, sign in self._speaking(need, music):
            box, rank, code = self._box(grant)
            if box is not None and (since := self.opted_out(grant, need, music)):
                box, rank, code = None, 0, self.opt_out_problem(since, music).code
            if box is not None and sign is not None:
                rank, code = 0, "territory"
                box = meet(box, EVERYTHING._replace(territories=frozenset(sign.territories)))
            yield grant.pk, box, rank, code

    def _speaking(self, need: Need, music: Music) -> Iterator[tuple[Terms, Sign | None]]:
        for grant in speaking(self.facts, need.party, need.right, music.pk, need.work):
            yield grant, None
        for sign in self.facts.signs.get(need.party, ()):
            if need.right not in sign.rights:
                continue
            stands = self.stands(sign)
            for grant in speaking(self.facts, sign.agent, need.right, music.pk, need.work):
                if stands or self.signed_until_its_end(sign, grant):
                    yield grant, sign

    def _box(self, grant: Terms) -> tuple[ContextBox | None, int, str]:
        """The contexts of one grant; where it does not stand, how near it is to, and why not."""
        if grant.pk not in self._boxes:
            failed = next(
                ((p, code) for p, code, test in _ALWAYS if test(self, grant) is not None), None
            )
            box = None if failed else _box_of(grant, self.facts.use)
            place, code = failed or (len(TESTS), "purpose")
            self._boxes[grant.pk] = box, len(TESTS) - place, "" if box else code
        return self._boxes[grant.pk]


def _box_of(grant: Terms, use: Use) -> ContextBox | None:
    """Terms as a box, None where they allow nothing at all."""
    box = ContextBox(
        purposes=frozenset(grant.purposes),
        territories=frozenset(grant.territories),
        family=grant.family,
        first=grant.first_version or 0,
        last=grant.last_version,
        products=frozenset(grant.products) or None,
        channels=frozenset(grant.channels) if use == Use.DISTRIBUTE else None,
    )
    return meet(box, EVERYTHING)
