"""The row of one sound recording, from a message of ERN 3 or ERN 4.

Both are read by one reader, since senders mix them. ERN 4 refers to parties, and a role may be
`<Role>Composer</Role>` or `<Role><Value>Composer</Value></Role>`. ERN 3 names parties in place,
within details by territory, and refers to works.
"""

import re
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal, InvalidOperation
from xml.etree.ElementTree import Element

from rights.exchange.importing.ern import files
from rights.exchange.importing.ern.index import (
    Index,
    Track,
    WorkEntry,
    codes_of,
    is_replaced,
    places_of,
    proprietary,
    related,
    territories_of,
)
from rights.exchange.importing.ern.names import names_of, titles_of
from rights.exchange.importing.ern.vocabulary import ROLES
from rights.exchange.importing.ern.xml import child, children, listed_value, local, text
from rights.exchange.importing.rows import (
    ROLE_CODES,
    WORK_ROLES,
    CreditRow,
    PartyRow,
    Row,
    ShareRow,
    WorkRow,
    folded,
)
from rights.models import RoleCode

RECORDING_IDS = ("ResourceId", "SoundRecordingId")
WORK_IDS = ("WorkId", "MusicalWorkId", "IndirectSoundRecordingId")
ARTIST_ROLES = ("DisplayArtistRole", "ArtistRole")
CONTRIBUTORS = (
    "Contributor", "ResourceContributor", "IndirectResourceContributor", "DisplayConductor",
)  # fmt: skip
CONTRIBUTOR_ROLES = (
    "Role", "ResourceContributorRole", "IndirectResourceContributorRole", "ArtistRole",
)  # fmt: skip
MASTER_CONTROLLERS = ("ResourceRightsController", "RightsController")
WORK_CONTROLLERS = ("WorkRightsController",)


def is_described(element: Element) -> bool:
    """Whether the message says what a recording is, and does not only refer to it."""
    return bool(titles_of(places_of(element), "") or isrcs_of(element))


def editions_of(element: Element) -> list[Element]:
    """Return the editions (ERN 4) for two loudspeakers, else those that there are."""
    editions = list(children(element, "SoundRecordingEdition"))
    return [kid for kid in editions if text(kid, "Type") != "ImmersiveEdition"] or editions


def ids_of(element: Element) -> list[Element]:
    """Return the elements with the recording's numbers, wherever a sender puts them."""
    places = [*editions_of(element), element]
    ids = [kid for place in places for kid in children(place, *RECORDING_IDS)]
    return [kid for kid in ids if not is_replaced(kid)]


def isrcs_of(element: Element) -> list[str]:
    """Return each ISRC once, however it is spelled."""
    unique: dict[str, str] = {}
    for ids in ids_of(element):
        for kid in children(ids, "ISRC"):
            if isrc := text(kid):
                unique.setdefault(re.sub(r"[\s.-]", "", isrc).upper(), isrc)
    return list(unique.values())


class Recording:
    """The row of one sound recording."""

    def __init__(self, number: int, element: Element, index: Index) -> None:
        self._index = index
        self._element = element
        self._places = places_of(element)
        titles = titles_of(self._places, index.language)
        self.row = row = Row(number, title=titles[0] if titles else "", other_titles=titles[1:])
        row.own, row.ref = proprietary(ids_of(element), index.portal)
        self._isrc()
        self._works = list(self._all_works())
        self._artists()
        self._contributors()
        self._machine()
        row.split = self._shares(MASTER_CONTROLLERS, "master_split")
        self._composition()
        row.works = self._works
        if genre := self._genre():
            row.tags["genre"] = genre
        for track in index.tracks.get(text(element, "ResourceReference"), []):
            self._release(track)
        for release, position in related(element):
            self._release(index.release_of(release, position))
        files.read_file(row, [*editions_of(element), *self._places])

    def _kids(self, *names: str) -> Iterator[Element]:
        return (kid for place in self._places for kid in children(place, *names))

    def _isrc(self) -> None:
        isrcs = isrcs_of(self._element)
        self.row.isrc = isrcs[0] if isrcs else ""
        if len(isrcs) > 1:
            listed = " and ".join(isrc[:20] for isrc in isrcs[:3])
            self.row.add_problem(
                "isrc",
                f"The message gives the recording several ISRCs, {listed}. Each names another "
                "recording: ask the sender which one this is.",
            )
        read = {id(edition) for edition in editions_of(self._element)}
        for edition in children(self._element, "SoundRecordingEdition"):
            isrc = text(edition, "ResourceId", "ISRC")
            if isrc and id(edition) not in read:
                self.row.add_problem(
                    "isrc",
                    f"Its immersive edition has the ISRC {isrc[:20]}, which is another recording; "
                    "it is passed over.",
                    warning=True,
                )

    def _genre(self) -> str:
        names = ("DisplayGenre", "Genre")
        found = (text(kid, "GenreText") for name in names for kid in self._kids(name))
        return next(filter(None, found), "")

    def _release(self, track: Track) -> None:
        release = track.release
        if not (release.title or release.upc or release.grid):
            return
        label = release.label
        if label:
            label = replace(label, numbers=dict(label.numbers))
        self.row.releases.append(replace(release, label=label, position=track.position))
        if track.vague_date:
            self.row.add_problem(
                "release_date",
                f"The release's date, {track.vague_date}, is no day; it is left out.",
                warning=True,
            )

    # --- Works --------------------------------------------------------------------------------

    def _all_works(self) -> Iterator[WorkRow]:
        """Yield the works of which it gives numbers, then those that it refers to (ERN 3)."""
        iswcs = set()
        for ids in self._kids(*WORK_IDS):
            work = WorkRow(iswc=text(ids, "ISWC"))
            work.own, work.ref = proprietary([ids], self._index.portal)
            iswcs.add(work.iswc)
            yield work
        for element in self._element.iter():
            if local(element) == "ResourceMusicalWorkReference" and not len(element):
                entry = self._index.works.get(text(element))
                if entry is None:
                    self.row.add_problem(
                        "work_title", f"The work {text(element)[:40]} is not in the work list."
                    )
                elif not entry.iswc or entry.iswc not in iswcs:
                    yield self._listed_work(entry)

    def _listed_work(self, entry: WorkEntry) -> WorkRow:
        work = WorkRow(entry.title, entry.iswc, own=entry.own, ref=entry.ref)
        for writer in entry.writers:
            party = replace(writer.party, numbers=dict(writer.party.numbers))
            role, user_defined = self._role(writer.role, writer.user_defined)
            work.credits.append(CreditRow(party, role, user_defined))
        return work

    # --- People -------------------------------------------------------------------------------

    def _party(self, field_name: str, element: Element) -> PartyRow | None:
        party = self._index.party_of(element)
        if party is None:
            reference = self._index.reference_of(element)
            self.row.add_problem(
                field_name, f"The party {reference[:40]} is not in the party list."
            )
        return party

    def _artists(self) -> None:
        for kid in self._kids("DisplayArtist"):
            if child(kid, "SpecialDisplayArtist") is not None:
                continue  # Nobody in particular: various artists, or unknown.
            party = self._party("main_artist", kid)
            roles = [listed_value(role)[0] for role in children(kid, *ARTIST_ROLES)]
            code = RoleCode.MAIN_ARTIST
            if code not in roles and RoleCode.FEATURED_ARTIST in roles:
                code = RoleCode.FEATURED_ARTIST
            if party and roles and set(roles) <= WORK_ROLES:
                # A composer who is displayed as an artist, as classical music has it.
                self._credit(party, roles[0], "", "")
            elif party:
                self.row.credits.append(CreditRow(party, code))
        self._other_territories()

    def _other_territories(self) -> None:
        """Warn where other artists are named elsewhere: only one answer can be entered."""
        chosen, *others = territories_of(self._element) or [self._element]
        names = _artist_names(chosen)
        codes = [
            _territories_in(block, "other territories")
            for block in others
            if (elsewhere := _artist_names(block)) and elsewhere != names
        ]
        if codes:
            self.row.add_problem(
                "main_artist",
                f"In {', '.join(codes)[:60]} the message names other artists; those of "
                f"{_territories_in(chosen, 'the first block')[:60]} are taken.",
                warning=True,
            )

    def _contributors(self) -> None:
        artists = {folded(credit.party.name) for credit in self.row.credits}
        for kid in self._kids(*CONTRIBUTORS):
            if child(kid, "SpecialContributor") is not None:
                continue
            party = self._party("contributors", kid)
            played = child(kid, "InstrumentType")
            instrument = (
                listed_value(played)[1] or listed_value(played)[0] if played is not None else ""
            )
            roles = [listed_value(role) for role in children(kid, *CONTRIBUTOR_ROLES)]
            if not roles and local(kid) == "DisplayConductor":
                roles = [(str(RoleCode.CONDUCTOR), "")]
            for role, user_defined in roles:
                # The role "Artist" adds nothing for a display artist.
                if party and not (role == "Artist" and folded(party.name) in artists):
                    self._credit(party, role, user_defined, instrument)

    def _machine(self) -> None:
        """Note what generative AI made (ERN 4.3.2); if all of it, it is nobody's recording."""
        contains_ai = text(self._element, "ContainsAI")
        declarations = [f"ContainsAI: {contains_ai}"] if contains_ai else []
        for kid in self._kids(*CONTRIBUTORS):
            special = text(kid, "SpecialContributor")
            by_machine = "generativeai" in special.casefold()
            contribution = text(kid, "AiContribution") or ("All" if by_machine else "")
            if contribution:
                declarations.append(f"AiContribution of {_role_of(kid)}: {contribution}")
        machine_made = [said for said in declarations if not said.casefold().endswith(": none")]
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
        role, user_defined = self._role(role_name, user_defined)
        credit = CreditRow(party, role, user_defined, instrument)
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

    def _role(self, role_name: str, user_defined: str) -> tuple[str, str]:
        """Return our code of a role; one that our list has not is kept as it is written."""
        role = ROLES.get(role_name, role_name)
        if role not in ROLE_CODES or (role == RoleCode.USER_DEFINED and not user_defined):
            self.row.add_problem(
                "contributors",
                f"“{role_name}” is not a role of our list; it is kept as it is written.",
                warning=True,
            )
            return RoleCode.USER_DEFINED.value, user_defined or role_name
        return str(role), user_defined

    def _one_work(self) -> WorkRow:
        if not self._works:
            self._works.append(WorkRow())
        return self._works[0]

    def _composition(self) -> None:
        shares = self._shares(WORK_CONTROLLERS, "composition_split")
        if shares and len(self._works) > 1:
            self.row.add_problem(
                "composition_split",
                "The recording has several works, and the message does not say whose shares "
                "these are; they are left out.",
                warning=True,
            )
        elif shares:
            self._one_work().split = shares

    def _shares(self, names: tuple[str, ...], field_name: str) -> list[ShareRow]:
        """Read shares in per cent. Controllers without a share are no split: they are skipped."""
        shares: list[ShareRow] = []
        for kid in self._kids(*names):
            percentage = text(kid, "RightSharePercentage")
            party = self._party(field_name, kid)
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


def _territories_in(block: Element, unnamed: str) -> str:
    """Return a block's territories in words, also where it only names those that it is not for."""
    if codes := codes_of(block):
        return ", ".join(codes)
    excluded = ", ".join(text(kid) for kid in children(block, "ExcludedTerritoryCode"))
    return f"all territories but {excluded}" if excluded else unnamed


def _role_of(contributor: Element) -> str:
    """Return the first role of a contributor, in a word or two."""
    role = next(children(contributor, *CONTRIBUTOR_ROLES), None)
    return ((listed_value(role)[0] or listed_value(role)[1]) if role is not None else "")[
        :60
    ] or "a contributor"


def _artist_names(block: Element) -> set[str]:
    return {folded(name) for kid in children(block, "DisplayArtist") for name in names_of(kid)[:1]}
