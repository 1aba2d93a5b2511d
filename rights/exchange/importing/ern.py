"""DDEX ERN 4 messages: sound recordings, who made them, and the releases they are on.

The file is read twice in pieces, never as a whole: first parties, releases and the kind of
message, then one recording after the other. Nothing in a file makes us fetch anything: document
types, entities and external references are refused before they are looked at, and so are
elements too deep, too many or too long. Structure: ERN 4.3 and 4.3.2, where a role may be
`<Role>Composer</Role>` or `<Role><Value>Composer</Value></Role>`.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import IO
from xml.etree.ElementTree import Element, ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import iterparse

from rights.exchange.importing.rows import (
    MAX_ROWS,
    ROLE_CODES,
    WORK_ROLES,
    BadFile,
    CreditRow,
    PartyRow,
    ReleaseRow,
    Row,
    ShareRow,
    WorkRow,
    clean,
    whole_number,
)
from rights.models import RoleCode, Scheme

NAMESPACE = re.compile(r"\{https?://(?:service\.)?ddex\.net/xml/ern/4[0-9]{0,2}\}NewReleaseMessage")
DEEPEST = 40
MOST_ATTRIBUTES = 30
# For one element's text or attribute, and for the bytes between two elements.
LONGEST_TEXT = 100_000
LONGEST_GAP = 1024 * 1024
# For one party, recording or release: elements in it, and bytes.
MOST_ELEMENTS = 200_000
MAX_ELEMENT_BYTES = 32 * 1024 * 1024
# The elements that are processed whole, and freed afterwards.
BUFFERED_ELEMENTS = frozenset({"Party", "SoundRecording", "Release", "TrackRelease"})
NUMBERS = {
    "ISNI": Scheme.ISNI, "DPID": Scheme.DPID, "IpiNameNumber": Scheme.IPI_NAME,
    "IpnBaseNumber": Scheme.IPI_BASE, "IpiBaseNumber": Scheme.IPI_BASE,
}  # fmt: skip
# Among a party's proprietary ids: the schema of ERN 4.3.2 has no element for it.
IPI_BASE = "IpiBaseNumber"
STUDIO_PRODUCER = "StudioProducer"
# Roles of the standard that we have under another name.
ROLES = {
    "Artist": RoleCode.ASSOCIATED_PERFORMER, "PrimaryArtist": RoleCode.MAIN_ARTIST,
    STUDIO_PRODUCER: RoleCode.PRODUCER,
}  # fmt: skip
# How an export says that a recording is track 3 of a related release: "HasAsTrack3".
TRACK_OF = "HasAsTrack"


@dataclass
class Track:
    release: "ReleaseRow"
    position: int | None


@dataclass
class Index:
    """The message's parties by their references, and its tracks by those of the recordings."""

    parties: dict[str, PartyRow] = field(default_factory=dict)
    tracks: dict[str, list[Track]] = field(default_factory=dict)


class _BoundedFile:
    """The file; raises BadFile where too much is read without an element starting or ending."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        # Bytes in all, bytes since the last element, and where the current whole element began.
        self.total = self.since = self.whole = 0
        self.elements = 0

    def begin(self) -> None:
        self.whole, self.elements = self.total, 0

    def heed(self) -> None:
        """Count an element; the current whole element may not grow without end."""
        self.since = 0
        self.elements += 1
        if self.elements > MOST_ELEMENTS or self.total - self.whole > MAX_ELEMENT_BYTES:
            raise BadFile("A party, recording or release is larger than any message needs.")

    def read(self, count: int = -1) -> bytes:
        piece = self._file.read(min(count, 65_536) if count > 0 else 65_536)
        self.total += len(piece)
        self.since += len(piece)
        if self.since > LONGEST_GAP:
            raise BadFile("One text, comment or attribute of the file is longer than 1 MB.")
        return piece


class ErnReader:
    """Reads rows of a message; `portal` is our own address, which marks our own numbers."""

    def __init__(self, file: IO[bytes], *, portal: str = "") -> None:
        self._file = file
        self._portal = portal

    def rows(self, after: int = 0) -> Iterator[Row]:
        index = self._index()
        number = 0
        for name, element in self._elements():
            if name != "SoundRecording":
                continue
            number += 1
            if number > MAX_ROWS:
                raise BadFile(f"The message has more than {MAX_ROWS:,} recordings.")
            if number > after:
                yield _Recording(number, element, index, self._portal).row

    def _index(self) -> Index:
        index = Index()
        for name, element in self._elements():
            if name == "Party":
                index.parties[_text(element, "PartyReference")] = _party(element)
            elif name == "Release":
                _tracks(element, index)
            elif name == "SoundRecording":
                # Before the first row is read, so that a label is one from its first mention on.
                for release, _ in _related(element):
                    _label(release, index)
        return index

    def _elements(self) -> Iterator[tuple[str, Element]]:
        """Yield the elements that are processed whole, and empty each after its use."""
        self._file.seek(0)
        fed = _BoundedFile(self._file)
        depth, inside, path = 0, 0, list[Element]()
        try:
            events = iterparse(
                fed, events=("start", "end"), forbid_dtd=True, forbid_entities=True,
                forbid_external=True,
            )  # fmt: skip
            for event, element in events:
                fed.heed()
                name = _local(element)
                if event == "start":
                    depth += 1
                    _refuse_odd(element, depth, path)
                    path.append(element)
                    inside += name in BUFFERED_ELEMENTS
                    continue
                depth -= 1
                path.pop()
                if len(element.text or "") > LONGEST_TEXT:
                    raise BadFile(f"The text of {name[:40]} is longer than any message needs.")
                if name in BUFFERED_ELEMENTS:
                    inside -= 1
                    if not inside:
                        yield name, element
                if not inside:
                    fed.begin()
                    element.clear()
                    if path:
                        path[-1].remove(element)
        except DefusedXmlException as error:
            raise BadFile(
                "The file declares a document type or entities. No DDEX message needs them, so "
                "it is not read."
            ) from error
        except ParseError as error:
            raise BadFile(f"The file is not well-formed XML: {error}.") from error
        except (UnicodeError, LookupError, ValueError) as error:
            if isinstance(error, BadFile):
                raise
            raise BadFile("The file's characters cannot be read; save it as UTF-8.") from error


def _refuse_odd(element: Element, depth: int, path: list[Element]) -> None:
    if not path and not NAMESPACE.fullmatch(element.tag):
        raise BadFile("This is not an ERN 4 message: its root is not a NewReleaseMessage of ERN 4.")
    if depth > DEEPEST:
        raise BadFile(f"Elements lie more than {DEEPEST} deep in one another.")
    if len(element.attrib) > MOST_ATTRIBUTES or any(
        len(value) > LONGEST_TEXT for value in element.attrib.values()
    ):
        raise BadFile("An element has more or longer attributes than any message needs.")


def _local(element: Element) -> str:
    return element.tag.rpartition("}")[2]


def _children(element: Element, name: str) -> Iterator[Element]:
    return (child for child in element if _local(child) == name)


def _child(element: Element, *names: str) -> Element | None:
    """Return the first element on the path of these names, each a child of the one before."""
    node: Element | None = element
    for name in names:
        node = next(_children(node, name), None) if node is not None else None
    return node


def _text(element: Element | None, *names: str) -> str:
    node = _child(element, *names) if element is not None else None
    return clean(node.text or "") if node is not None else ""


def _party(element: Element) -> PartyRow:
    """Read a full name, and the numbers we know. A DPID may be the text of PartyId itself."""
    name = _text(element, "PartyName", "FullName") or _text(element, "PartyName", "KeyName")
    party = PartyRow(name)
    for party_id in _children(element, "PartyId"):
        if text := clean(party_id.text or ""):
            party.numbers[Scheme.DPID] = text
        for child in party_id:
            if scheme := NUMBERS.get(_local(child)):
                party.numbers[scheme] = _text(child)
            elif child.attrib.get("Namespace") == IPI_BASE:
                party.numbers[Scheme.IPI_BASE] = _text(child)
    return party


def _related(element: Element) -> Iterator[tuple[Element, int]]:
    """Yield the releases that an export of ours puts a recording on, with its track number."""
    for release in _children(element, "RelatedRelease"):
        relation = _child(release, "ReleaseRelationshipType")
        value = _listed_value(relation)[1] if relation is not None else ""
        position = (
            whole_number(value.removeprefix(TRACK_OF)) if value.startswith(TRACK_OF) else None
        )
        if position is not None:
            yield release, position


def _label(element: Element, index: Index) -> PartyRow | None:
    label = index.parties.get(_text(element, "ReleaseLabelReference"))
    if label is not None and not label.kind:
        label.kind = "label"
    return label


def _release(element: Element, index: Index, position: int | None = None) -> ReleaseRow:
    release_id = _child(element, "ReleaseId")
    release_date = (
        _text(element, "ReleaseDate")
        or _text(element, "OriginalReleaseDate")
        or _text(element, "GlobalReleaseDate")
    )
    return ReleaseRow(
        title=_title(element),
        upc=_text(release_id, "ICPN") or _text(release_id, "EAN") or _text(release_id, "UPC"),
        grid=_text(release_id, "GRid"),
        label=_label(element, index),
        released_on=release_date[:10],
        position=position,
    )


def _tracks(element: Element, index: Index) -> None:
    release = _release(element, index)
    groups = [kid for kid in element.iter() if _local(kid) == "ResourceGroup"]
    discs = [items for group in groups if (items := _items(group))]
    for place, item in enumerate((item for items in discs for item in items), start=1):
        tracks = index.tracks.setdefault(_text(item, "ReleaseResourceReference"), [])
        if not any(track.release is release for track in tracks):
            # Discs are groups of groups, each numbered from 1: across several we count on.
            sequence = whole_number(_text(item, "SequenceNumber")) if len(discs) == 1 else None
            tracks.append(Track(release, sequence or place))


def _items(group: Element) -> list[Element]:
    return list(_children(group, "ResourceGroupContentItem"))


def _title(element: Element) -> str:
    title = _text(element, "DisplayTitleText") or _text(element, "DisplayTitle", "TitleText")
    if not title:
        return _text(element, "ReferenceTitle", "TitleText")
    return title


class _Recording:
    """The row of one sound recording."""

    def __init__(self, number: int, element: Element, index: Index, portal: str) -> None:
        self._index = index
        self._portal = portal
        self._element = element
        ids = _child(element, "SoundRecordingEdition", "ResourceId")
        ids = ids if ids is not None else _child(element, "ResourceId")
        self.row = row = Row(number, title=_title(element), isrc=_text(ids, "ISRC"))
        self._works = [self._work(kid) for kid in self._work_ids()]
        self._own(ids)
        self._artists()
        self._contributors()
        self._machine()
        row.split = self._shares("ResourceRightsController")
        self._composition()
        row.works = self._works
        genre = _text(element, "DisplayGenre", "GenreText") or _text(element, "Genre", "GenreText")
        if genre:
            row.tags["genre"] = genre
        for track in index.tracks.get(_text(element, "ResourceReference"), []):
            release = track.release
            if release.title or release.upc or release.grid:
                row.releases.append(
                    ReleaseRow(
                        release.title,
                        release.upc,
                        release.grid,
                        release.label,
                        release.released_on,
                        track.position,
                    )
                )
        row.releases += [_release(release, index, place) for release, place in _related(element)]

    def _work_ids(self) -> Iterator[Element]:
        return (kid for kid in self._element if _local(kid) in {"WorkId", "MusicalWorkId"})

    def _work(self, ids: Element) -> WorkRow:
        work = WorkRow(iswc=_text(ids, "ISWC"))
        work.own, work.ref = self._proprietary(ids)
        return work

    def _own(self, ids: Element | None) -> None:
        if ids is not None:
            self.row.own, self.row.ref = self._proprietary(ids)

    def _proprietary(self, ids: Element) -> tuple[int | None, str]:
        """Return our own number, where the message is an export of ours, and the sender's."""
        own, ref = None, ""
        for kid in _children(ids, "ProprietaryId"):
            if self._portal and kid.attrib.get("Namespace") == self._portal:
                own = whole_number(_text(kid))
            else:
                ref = f"{kid.attrib.get('Namespace', '')}:{_text(kid)}"
        return own, ref

    def _party(self, field_name: str, reference: str) -> PartyRow | None:
        party = self._index.parties.get(reference)
        if party is None:
            self.row.add_problem(
                field_name, f"The party {reference[:40]} is not in the party list."
            )
        return party

    def _artists(self) -> None:
        for kid in _children(self._element, "DisplayArtist"):
            if _child(kid, "SpecialDisplayArtist") is not None:
                continue  # Nobody in particular: various artists, or unknown.
            party = self._party("main_artist", _text(kid, "ArtistPartyReference"))
            role = _text(kid, "DisplayArtistRole", "Value") or _text(kid, "DisplayArtistRole")
            featured = role == RoleCode.FEATURED_ARTIST
            code = RoleCode.FEATURED_ARTIST if featured else RoleCode.MAIN_ARTIST
            if party:
                self.row.credits.append(CreditRow(party, code))

    def _contributors(self) -> None:
        artists = {id(credit.party) for credit in self.row.credits}
        for kid in _children(self._element, "Contributor"):
            if _child(kid, "SpecialContributor") is not None:
                continue
            party = self._party("contributors", _text(kid, "ContributorPartyReference"))
            played = _child(kid, "InstrumentType")
            instrument = (
                _listed_value(played)[1] or _listed_value(played)[0] if played is not None else ""
            )
            for element in _children(kid, "Role"):
                role, user_defined = _listed_value(element)
                # The role "Artist" adds nothing for a display artist.
                if party and not (role == "Artist" and id(party) in artists):
                    self._credit(party, role, user_defined, instrument)

    def _machine(self) -> None:
        """Note what generative AI made (ERN 4.3.2); if all of it, it is nobody's recording."""
        contains_ai = _text(self._element, "ContainsAI")
        declarations = [f"ContainsAI: {contains_ai}"] if contains_ai else []
        for kid in _children(self._element, "Contributor"):
            special = _text(kid, "SpecialContributor")
            by_machine = "generativeai" in special.casefold()
            contribution = _text(kid, "AiContribution") or ("All" if by_machine else "")
            if contribution:
                declarations.append(f"AiContribution of {_role_of(kid)}: {contribution}")
        machine_made = [text for text in declarations if not text.casefold().endswith(": none")]
        if contains_ai.casefold() == "all":
            self.row.add_problem(
                "ai",
                "The message says that a machine made all of it (ContainsAI: All). What a machine "
                "made is not taken as somebody's recording.",
            )
        elif machine_made:
            self.row.machine = "; ".join(machine_made)[:300]
            self.row.add_problem(
                "ai",
                f"The message says that a machine made part of it ({self.row.machine}). That is "
                "noted, and no use is permitted until each holder permits it for this very "
                "recording.",
                warning=True,
            )

    def _credit(self, party: PartyRow, role_name: str, user_defined: str, instrument: str) -> None:
        role = ROLES.get(role_name, role_name)
        if role not in ROLE_CODES or (role == RoleCode.USER_DEFINED and not user_defined):
            role, user_defined = RoleCode.USER_DEFINED.value, user_defined or role_name
            self.row.add_problem(
                "contributors",
                f"“{role_name}” is not a role of our list; it is kept as it is written.",
                warning=True,
            )
        credit = CreditRow(party, str(role), user_defined, instrument)
        if role not in WORK_ROLES:
            self.row.credits.append(credit)
        elif len(self._works) <= 1:
            self._one_work().credits.append(credit)
        else:
            self.row.add_problem(
                "contributors",
                f"The recording has several works, and the message does not say in which "
                f"{party.name} is {role_name}; it is left out.",
                warning=True,
            )

    def _one_work(self) -> WorkRow:
        if not self._works:
            self._works.append(WorkRow())
        return self._works[0]

    def _composition(self) -> None:
        shares = self._shares("WorkRightsController")
        if shares and len(self._works) > 1:
            self.row.add_problem(
                "composition_split",
                "The recording has several works, and the message does not say whose shares "
                "these are; they are left out.",
                warning=True,
            )
        elif shares:
            self._one_work().split = shares

    def _shares(self, name: str) -> list[ShareRow]:
        """Read shares in per cent. Controllers without a share are no split: they are skipped."""
        field_name = "master_split" if name.startswith("Resource") else "composition_split"
        shares: list[ShareRow] = []
        for kid in _children(self._element, name):
            percentage = _text(kid, "RightSharePercentage")
            party = self._party(field_name, _text(kid, "RightsControllerPartyReference"))
            if not percentage or party is None:
                continue
            try:
                ppm = Decimal(percentage) * 10_000
            except InvalidOperation:
                ppm = Decimal("NaN")
            if not ppm.is_finite() or not 0 < ppm <= 1_000_000 or ppm != int(ppm):
                self.row.add_problem(field_name, f"“{percentage[:40]}” is not a share in per cent.")
                continue
            shares.append(ShareRow(party, int(ppm)))
        return shares


def _role_of(contributor: Element) -> str:
    """Return the first role of a contributor, in a word or two."""
    role = _child(contributor, "Role")
    return ((_listed_value(role)[0] or _listed_value(role)[1]) if role is not None else "")[
        :60
    ] or "a contributor"


def _listed_value(element: Element) -> tuple[str, str]:
    """Return a value of a DDEX list, and the user-defined value where the list has none."""
    value = _child(element, "Value")
    value = element if value is None else value
    user = value.attrib.get("UserDefinedValue", "") or element.attrib.get("UserDefinedValue", "")
    return clean(value.text or ""), clean(user) or _text(element, "UserDefinedValue")
