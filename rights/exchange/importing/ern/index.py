"""What a message says outside of its recordings: parties, works, and the tracks of its releases."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import TypeVar
from xml.etree.ElementTree import Element

from rights.exchange.importing.ern.names import Spellings, names_of, parties_in, titles_of
from rights.exchange.importing.ern.vocabulary import IPI_BASE, TRACK_OF
from rights.exchange.importing.ern.xml import (
    child,
    children,
    is_true,
    listed_value,
    local,
    text,
)
from rights.exchange.importing.rows import PartyRow, ReleaseRow, clean, folded, whole_number
from rights.models import Scheme

NUMBERS = {
    "ISNI": Scheme.ISNI, "DPID": Scheme.DPID, "IpiNameNumber": Scheme.IPI_NAME,
    "IpnBaseNumber": Scheme.IPI_BASE, "IpiBaseNumber": Scheme.IPI_BASE,
}  # fmt: skip
# Namespaces in which a PartyId of ERN 3 is a number that we know.
NAMESPACES = {"ISNI": Scheme.ISNI, "DPID": Scheme.DPID, "IPI": Scheme.IPI_NAME}
DATES = ("ReleaseDate", "OriginalReleaseDate", "GlobalReleaseDate", "GlobalOriginalReleaseDate")
# A resource of a release that takes no place among its tracks.
NO_TRACKS = frozenset({"Image", "Text", "SheetMusic"})
Thing = TypeVar("Thing")


@dataclass
class Track:
    release: ReleaseRow
    position: int | None
    # A year or a month, where the message has no day.
    vague_date: str = ""


@dataclass
class Writer:
    """One whom a work of the message names, with the role as it is written there."""

    party: PartyRow
    role: str
    user_defined: str


@dataclass
class WorkEntry:
    title: str
    iswc: str
    own: int | None
    ref: str
    writers: list[Writer]


@dataclass
class Index:
    """Parties, works and tracks by the references that a message gives them."""

    # Our own address, which marks our own numbers.
    portal: str = ""
    language: str = ""
    parties: dict[str, PartyRow] = field(default_factory=dict)
    works: dict[str, WorkEntry] = field(default_factory=dict)
    tracks: dict[str, list[Track]] = field(default_factory=dict)
    # Recordings of the message; those of them that it describes.
    recordings: int = 0
    described: int = 0
    is_test: bool = False
    _spellings: Spellings = field(default_factory=Spellings)
    _labels: set[str] = field(default_factory=set)
    # Every party that is read already and gets its name when all spellings are known.
    _named: list[PartyRow] = field(default_factory=list)

    def note(self, name: str, element: Element) -> None:
        """Note what an element has that recordings refer to."""
        if name == "Party":
            self._spellings.note(names_of(element), numbers_of(element))
            party = PartyRow(next(iter(names_of(element)), ""), "", numbers_of(element))
            self.parties[text(element, "PartyReference")] = party
            self._named.append(party)
        elif name == "MessageControlType":
            self.is_test = clean(element.text or "") == "TestMessage"
        else:
            for party_element in parties_in(element):
                self._spellings.note(names_of(party_element), numbers_of(party_element))
        if name == "MusicalWork":
            self._note_work(element)
        elif name == "Release":
            self._note_release(element)
        elif name == "SoundRecording":
            self.recordings += 1
            # Before the first row is read, so that a label is one from its first mention on.
            for release, _ in related(element):
                self._label(release, [release])

    def settle(self) -> None:
        """Name each party by one of its spellings, once all of the message was noted."""
        self._spellings.settle()
        for party in self._named:
            party.name = self._spellings.name_of(party.name)
            party.other_names = self._spellings.others_of(party.name)

    # --- Parties ------------------------------------------------------------------------------

    def party_of(self, element: Element) -> PartyRow | None:
        """Return the party that an element refers to (ERN 4) or names in place (ERN 3)."""
        reference = self.reference_of(element)
        if reference:
            party = self.parties.get(reference)
            # A row of its own for each mention: checking one may not mend the next.
            return replace(party, numbers=dict(party.numbers)) if party else None
        names = names_of(element)
        name = self._spellings.name_of(names[0]) if names else ""
        kind = "label" if folded(name) in self._labels else ""
        return PartyRow(name, kind, numbers_of(element), self._spellings.others_of(name))

    @staticmethod
    def reference_of(element: Element) -> str:
        return next((text(kid) for kid in element if local(kid).endswith("PartyReference")), "")

    def _label(self, element: Element, places: list[Element]) -> PartyRow | None:
        label = self.parties.get(text(element, "ReleaseLabelReference"))
        if label is not None:
            label.kind = label.kind or "label"
            return label
        if name := text_in(places, "LabelName"):
            self._labels.add(folded(name))
            self._named.append(label := PartyRow(self._spellings.name_of(name), "label"))
        return label

    # --- Works and releases -------------------------------------------------------------------

    def _note_work(self, element: Element) -> None:
        places = places_of(element)
        ids = list(children(element, "MusicalWorkId"))
        own, ref = proprietary(ids, self.portal)
        writers: list[Writer] = []
        for place in places:
            for kid in children(place, "MusicalWorkContributor"):
                party = PartyRow(next(iter(names_of(kid)), ""), "", numbers_of(kid))
                self._named.append(party)
                roles = children(kid, "MusicalWorkContributorRole", "Role")
                writers += [Writer(party, *listed_value(role)) for role in roles]
        title = next(iter(titles_of(places, self.language)), "")
        entry = WorkEntry(title, text_in(ids, "ISWC"), own, ref, writers)
        self.works[text(element, "MusicalWorkReference")] = entry

    def release_of(self, element: Element, position: int | None = None) -> Track:
        places = places_of(element)
        ids = [kid for kid in children(element, "ReleaseId") if not is_replaced(kid)]
        date = next(filter(None, (text_in(places, name) for name in DATES)), "")[:10]
        vague = date if re.fullmatch("[0-9]{4}(-[0-9]{2})?", date) else ""
        titles = titles_of(places, self.language)
        release = ReleaseRow(
            title=titles[0] if titles else "",
            upc=text_in(ids, "ICPN") or text_in(ids, "EAN") or text_in(ids, "UPC"),
            grid=text_in(ids, "GRid"),
            label=self._label(element, places),
            released_on="" if vague else date,
            position=position,
            other_titles=titles[1:],
        )
        return Track(release, position, vague)

    def _note_release(self, element: Element) -> None:
        if _is_track_release(element):
            return
        found = self.release_of(element)
        discs = [items for group in _groups(element) if (items := _ordered(_items(group)))]
        if not discs:
            # A message of ERN 3 may list its tracks without grouping them.
            listed = child(element, "ReleaseResourceReferenceList")
            discs = [list(_listed(listed))] if listed is not None else []
        for place, (reference, number) in enumerate((item for disc in discs for item in disc), 1):
            tracks = self.tracks.setdefault(reference, [])
            if not tracks or tracks[-1].release is not found.release:
                # Discs are groups of groups, each numbered from 1: across several we count on.
                sequence = number if len(discs) == 1 else None
                tracks.append(replace(found, position=sequence or place))


def numbers_of(element: Element) -> dict[str, str]:
    """Read the numbers that we know. The text of a PartyId is a DPID or, if it says so, an ISNI."""
    numbers: dict[str, str] = {}
    for party_id in children(element, "PartyId"):
        if value := clean(party_id.text or ""):
            scheme = _scheme_of(party_id, value)
            if scheme:
                numbers[scheme] = value
        for kid in party_id:
            if known := NUMBERS.get(local(kid)):
                numbers[known] = text(kid)
            elif kid.attrib.get("Namespace") == IPI_BASE:
                numbers[Scheme.IPI_BASE] = text(kid)
    return numbers


def _scheme_of(party_id: Element, value: str) -> Scheme | None:
    if is_true(party_id.attrib.get("IsISNI")):
        return Scheme.ISNI
    if is_true(party_id.attrib.get("IsDPID")):
        return Scheme.DPID
    if "Namespace" in party_id.attrib:
        return NAMESPACES.get(party_id.attrib["Namespace"])
    return Scheme.DPID if re.match("PA-?DPID", value) else None


def places_of(element: Element) -> list[Element]:
    """Return where an element's facts are: in ERN 3 its details for the whole world, else its first
    ones, and then the element itself."""
    return [*territories_of(element)[:1], element]


def territories_of(element: Element) -> list[Element]:
    """Return the details by territory, those for the whole world first."""
    blocks = [kid for kid in element if local(kid).endswith("DetailsByTerritory")]
    return sorted(blocks, key=lambda block: "Worldwide" not in codes_of(block))


def codes_of(block: Element) -> list[str]:
    return [text(kid) for kid in children(block, "TerritoryCode")]


def text_in(places: Iterable[Element], name: str) -> str:
    return next(filter(None, (text(kid) for place in places for kid in children(place, name))), "")


def is_replaced(ids: Element) -> bool:
    return is_true(ids.attrib.get("IsReplaced"))


def proprietary(ids: Iterable[Element], portal: str) -> tuple[int | None, str]:
    """Return our own number, where the message is an export of ours, and the sender's."""
    own, ref = None, ""
    for element in ids:
        for kid in children(element, "ProprietaryId"):
            if portal and kid.attrib.get("Namespace") == portal:
                own = whole_number(text(kid))
            else:
                ref = f"{kid.attrib.get('Namespace', '')}:{text(kid)}"
    return own, ref


def related(element: Element) -> Iterator[tuple[Element, int]]:
    """Yield the releases that an export of ours puts a recording on, with its track number."""
    for release in children(element, "RelatedRelease"):
        relation = child(release, "ReleaseRelationshipType")
        value = listed_value(relation)[1] if relation is not None else ""
        position = (
            whole_number(value.removeprefix(TRACK_OF)) if value.startswith(TRACK_OF) else None
        )
        if position is not None:
            yield release, position


def _is_track_release(release: Element) -> bool:
    """Whether it sells one track of another release, as ERN 3 says by type or by an ISRC alone."""
    places = places_of(release)
    if any(
        listed_value(kid)[0].endswith("TrackRelease")
        for place in places
        for kid in children(place, "ReleaseType")
    ):
        return True
    names = {local(kid) for ids in children(release, "ReleaseId") for kid in ids}
    return "ISRC" in names and not names & {"ICPN", "EAN", "UPC", "GRid"}


def _groups(release: Element) -> Iterator[Element]:
    """Yield the groups that may hold tracks. Those of other territories repeat the same ones."""
    for place in territories_of(release)[:1] or [release]:
        yield from _groups_in(place)


def _groups_in(place: Element) -> Iterator[Element]:
    """Yield the groups at any depth: each before those in it, and discs by their numbers."""
    numbered = [
        (group, whole_number(text(group, "SequenceNumber")))
        for group in children(place, "ResourceGroup")
    ]
    for group, _ in _ordered(numbered):
        yield group
        yield from _groups_in(group)


def _ordered(numbered: Iterable[tuple[Thing, int | None]]) -> list[tuple[Thing, int | None]]:
    """Return the things by their numbers, or as they stand where one of them has none."""
    things = list(numbered)
    if any(number is None for _, number in things):
        return things
    return sorted(things, key=lambda pair: pair[1] or 0)


def _items(group: Element) -> Iterator[tuple[str, int | None]]:
    """Yield references of tracks with their numbers; a cover or booklet is no track."""
    for item in children(group, "ResourceGroupContentItem"):
        reference = child(item, "ReleaseResourceReference")
        if reference is None or _is_secondary(reference) or text(item, "ResourceType") in NO_TRACKS:
            continue
        yield text(reference), whole_number(text(item, "SequenceNumber"))


def _listed(references: Element) -> Iterator[tuple[str, int | None]]:
    for kid in children(references, "ReleaseResourceReference"):
        if not _is_secondary(kid):
            yield text(kid), None


def _is_secondary(reference: Element) -> bool:
    return reference.attrib.get("ReleaseResourceType") == "SecondaryResource"
