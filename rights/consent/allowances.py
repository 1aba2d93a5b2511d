"""What the holders of many recordings allow together: the intersection of their permissions.

A permission allows a set of contexts: purposes, territories, versions of a model family, products
and channels, each independent of the others. Such a set is a box; what one holder allows for one
right is a union of boxes, one for each grant that covers; what all of them allow is the
intersection of those unions, which is a union of boxes again. So the answer for any context is
exactly the answer of consent.evaluate for all recordings at once, from a value that can be stored.

Unions with very many boxes lose their narrowest ones: never wider than what is allowed.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from rights import territories
from rights.consent import snapshot
from rights.consent.evaluator import NO_GRANT, TESTS, Context, Judge, Need
from rights.consent.facts import Facts, MandateTerms, Music, Terms
from rights.consent.reasons import Missing
from rights.models import Purpose, RightType, Use

# At most this many boxes in a union, and parts stored beside it.
MAX_BOXES = 64
MAX_PARTS = 50
# This many recordings of a large dataset are judged first.
FIRST_BATCH = 1_000


class ContextBox(NamedTuple):
    """The contexts that one set of terms allows; None or an empty family allows every value."""

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
        """Return the code of the first term that does not fit, in the order of evaluator.TESTS."""
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
    """What one holder allows: the boxes, an example recording, and at least how many recordings.

    `code` says why where nothing is allowed; the codes are those of the evaluator.
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
    """The allowed contexts, and the holders whose terms limit them, narrowest first."""

    boxes: Boxes = ALL
    parts: tuple[HolderAllowance, ...] = ()

    def covers(self, context: Context) -> bool:
        return any(box.covers(context) for box in self.boxes)

    def against(self, context: Context) -> list[HolderAllowance]:
        """Return the holders' parts that do not allow this context."""
        return [part for part in self.parts if not any(box.covers(context) for box in part.boxes)]

    def meet(self, other: "Allowance") -> "Allowance":
        """Return what both allow."""
        return Allowance(
            intersect(self.boxes, other.boxes), _narrowest((*self.parts, *other.parts))
        )

    def within(self, other: "Allowance") -> bool:
        """Return whether each box lies in one of the other's: then nothing here is wider."""
        return all(any(lies_in(box, other_box) for other_box in other.boxes) for box in self.boxes)

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
    """Return what the holders of these recordings allow now, all together; `at` is the present.
    Give `made_at` for something made at that moment (evaluator.Judge).

    If the first few of very many recordings allow nothing already, the others are not judged.
    """
    recording_ids = sorted(set(ids))
    if len(recording_ids) > 2 * FIRST_BATCH:
        first_facts = snapshot.gather(recording_ids[:FIRST_BATCH], use, at, now=True)
        first_allowance = of_facts(first_facts, at, recording_ids[:FIRST_BATCH], made_at=made_at)
        if not first_allowance.boxes:
            return first_allowance
    return of_facts(
        snapshot.gather(recording_ids, use, at, now=True), at, recording_ids, made_at=made_at
    )


def of_facts(
    facts: Facts, at: datetime, wanted: Sequence[int] = (), *, made_at: datetime | None = None
) -> Allowance:
    """Return the allowance from given facts; a `wanted` id that they lack allows nothing."""
    return Survey(facts, at, made_at=made_at).result(wanted)


# --- Sets of contexts ------------------------------------------------------------------------


def intersect(boxes: Boxes, other: Boxes) -> Boxes:
    if boxes in {ALL, other}:
        return other
    if other == ALL:
        return boxes
    return widest(overlap for a in boxes for b in other if (overlap := meet(a, b)) is not None)


def meet(context_box: ContextBox, other: ContextBox) -> ContextBox | None:
    """Return the contexts that lie in both boxes; None where there are none."""
    if context_box.family and other.family and context_box.family != other.family:
        return None
    places = _places(context_box.territories, other.territories)
    purposes = _both(context_box.purposes, other.purposes)
    products = _both(context_box.products, other.products)
    channels = _both(context_box.channels, other.channels)
    first = max(context_box.first, other.first)
    last = min((end for end in (context_box.last, other.last) if end is not None), default=None)
    empty = any(
        values is not None and not values for values in (places, purposes, products, channels)
    )
    if empty or (last is not None and first > last):
        return None
    return ContextBox(
        purposes, places, context_box.family or other.family, first, last, products, channels
    )


def lies_in(context_box: ContextBox, other: ContextBox) -> bool:
    return meet(context_box, other) == meet(context_box, EVERYTHING)


def widest(boxes: Iterable[ContextBox]) -> Boxes:
    """Return the union without boxes that lie in others, in a fixed order, at most MAX_BOXES."""
    widest_boxes: list[ContextBox] = []
    normal_boxes = {normal for box in boxes if (normal := meet(box, EVERYTHING)) is not None}
    for box in sorted(normal_boxes, key=lambda box: (-_width(box), repr(box.as_json()))):
        if not any(lies_in(box, wider) for wider in widest_boxes):
            widest_boxes.append(box)
    return tuple(widest_boxes[:MAX_BOXES])


def _both(
    values: frozenset[str] | None, other_values: frozenset[str] | None
) -> frozenset[str] | None:
    if values is None or other_values is None:
        return other_values if values is None else values
    return values & other_values


def _places(places: frozenset[str], other_places: frozenset[str]) -> frozenset[str]:
    world = EVERYTHING.territories
    if world <= places:
        return world if world <= other_places else other_places
    return places if world <= other_places else places & other_places


def _width(box: ContextBox) -> float:
    """Return a number to order boxes by: roughly how many contexts lie in the box."""
    purposes = len(Purpose) if box.purposes is None else len(box.purposes)
    places = 250 if territories.WORLD in box.territories else len(box.territories)
    versions = 100 if box.last is None else box.last - box.first + 1
    products = 100 if box.products is None else len(box.products)
    channels = 3 if box.channels is None else len(box.channels)
    return purposes * places * versions * products * channels * (1 if box.family else 10)


def _narrowest(parts: Iterable[HolderAllowance]) -> tuple[HolderAllowance, ...]:
    """Return the narrowest parts, and at least one for each union that occurs."""
    ordered = sorted(
        set(parts), key=lambda part: (_total(part.boxes), -part.number, repr(part[1:]))
    )
    unions: set[Boxes] = set()
    first_of_union: list[HolderAllowance] = []
    others: list[HolderAllowance] = []
    for part in ordered:
        (others if part.boxes in unions else first_of_union).append(part)
        unions.add(part.boxes)
    chosen = {*first_of_union, *others[: max(0, MAX_PARTS - len(first_of_union))]}
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

# `_ALWAYS`: the tests of a grant that do not depend on the context.
_CONTEXT_TESTS = {"purpose", "territory", "model_family", "model_version", "product", "channel"}
_ALWAYS = [
    (place, code, test) for place, (code, test) in enumerate(TESTS) if code not in _CONTEXT_TESTS
]


@dataclass
class _PartSummary:
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
        placeholder = Context(Purpose.RESEARCH, territories.WORLD, "")
        super().__init__(facts, placeholder, at, made_at=made_at, continuing=continuing)
        self._boxes: dict[int, tuple[ContextBox | None, int, str]] = {}
        self._whole: dict[tuple[int, str], tuple[Boxes, str]] = {}
        self._special = {(key[0], key[1]) for key in facts.grants if key[3]}

    def result(self, wanted: Sequence[int]) -> Allowance:
        summaries: dict[tuple[Boxes, str, int | None, str], _PartSummary] = {}
        for music in self.facts.recordings:
            for boxes, code, party, right, work in self._answers(music):
                summary = summaries.setdefault((boxes, code, party, right), _PartSummary(work=work))
                summary.recordings.add(music.pk)
        missing = set(wanted).difference(music.pk for music in self.facts.recordings)
        if missing:
            summaries[NONE, "unknown", None, ""] = _PartSummary(missing)
        boxes = ALL
        for holder_boxes in sorted({key[0] for key in summaries}, key=_total):
            boxes = intersect(boxes, holder_boxes)
        use = str(self.facts.use.value)
        parts = (
            HolderAllowance(
                holder_boxes,
                use,
                code,
                party,
                right,
                summary.work,
                min(summary.recordings),
                len(summary.recordings),
            )
            for (holder_boxes, code, party, right), summary in summaries.items()
        )
        return Allowance(boxes, _narrowest(parts))

    def _answers(self, music: Music) -> Iterator[tuple[Boxes, str, int | None, str, int | None]]:
        """Yield what each party whose permission is needed allows for this recording."""
        lacking: list[Missing] = []
        if music.audio is None:
            lacking.append(Missing("no_audio", RightType.MASTER))
        for need in self.needs(music, lacking):
            boxes, code = self._of(need, self.subject_of(need, music))
            yield boxes, code, need.party, need.right.value, need.work
        for missing in lacking:
            yield NONE, missing.code, missing.party, missing.right.value, missing.work

    def is_special(self, need: Need, music: Music) -> bool:
        """Return whether this need's answer may differ from that for the rest of the catalogue."""
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
        yield from (mandate.agent for mandate in self.facts.mandates.get(party, ()))

    def _union(self, need: Need, music: Music) -> tuple[Boxes, str]:
        """Return what the grants for this need allow, and why not where that is nothing."""
        boxes, nearest = [], (NO_GRANT.rank, NO_GRANT.code)
        for _, box, rank, code in self._each(need, music):
            if box is None:
                nearest = min(nearest, (rank, code))
            else:
                boxes.append(box)
        return widest(boxes), "" if boxes else nearest[1]

    def boxes(self, need: Need, music: Music) -> list[tuple[int, ContextBox]]:
        """Return what each grant for this need allows by itself, with the grant's id."""
        rows = self._each(need, music)
        return [(grant, box) for grant, box, _, _ in rows if box is not None]

    def of_needs(self, music: Music) -> Iterator[Boxes]:
        """Yield the boxes of each need of the recording; none for each thing that it lacks."""
        return (boxes for boxes, *_ in self._answers(music))

    def _each(self, need: Need, music: Music) -> Iterator[tuple[int, ContextBox | None, int, str]]:
        for grant, mandate in self._speaking(need, music):
            box, rank, code = self._box(grant)
            if box is not None and (since := self.opted_out(grant, need, music)):
                box, rank, code = None, 0, self.opt_out_problem(since, music).code
            if box is not None and mandate is not None:
                rank, code = 0, "territory"
                box = meet(box, EVERYTHING._replace(territories=frozenset(mandate.territories)))
            yield grant.pk, box, rank, code

    def _speaking(self, need: Need, music: Music) -> Iterator[tuple[Terms, MandateTerms | None]]:
        for grant in self.facts.candidate_grants(need.party, need.right, music.pk, need.work):
            yield grant, None
        for mandate in self.facts.mandates.get(need.party, ()):
            if need.right not in mandate.rights:
                continue
            in_force = self.stands(mandate)
            for grant in self.facts.candidate_grants(
                mandate.agent, need.right, music.pk, need.work
            ):
                if in_force or self.signed_until_its_end(mandate, grant):
                    yield grant, mandate

    def _box(self, grant: Terms) -> tuple[ContextBox | None, int, str]:
        """Return the contexts of one grant; if not in force, how near it is to that, and why."""
        if grant.pk not in self._boxes:
            failed = next(
                ((p, code) for p, code, test in _ALWAYS if test(self, grant) is not None), None
            )
            box = None if failed else _box_of(grant, self.facts.use)
            place, code = failed or (len(TESTS), "purpose")
            self._boxes[grant.pk] = box, len(TESTS) - place, "" if box else code
        return self._boxes[grant.pk]


def _box_of(grant: Terms, use: Use) -> ContextBox | None:
    """Return the terms as a box, or None where they allow nothing at all."""
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
