"""A DDEX ERN 4.3.2 message of recordings, in pieces of text, as importing/ern/ reads it.

The recordings are read twice, since parties come before them and releases after them. A message
has one release at most; several are written with their recordings, as related releases. It has no
place for a recording's genre, tempo and key. For a recording with several works it lists the
works without writers and shares, since it could not say which work these belong to.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from xml.sax.saxutils import escape, quoteattr

from django.conf import settings

from backline.uses import ARTISTS
from rights.exchange.exporting import reading
from rights.exchange.exporting.writing import percent
from rights.exchange.importing.ern.vocabulary import IPI_BASE, STUDIO_PRODUCER, TRACK_OF
from rights.exchange.importing.rows import CreditRow, PartyRow, ReleaseRow, Row, ShareRow
from rights.models import RecordingQuerySet, RoleCode, Scheme

NAMESPACE = "http://ddex.net/xml/ern/432"
AVS = "9"
# Roles of the ERN 3 value sets that those of ERN 4.3.2 have under another name.
ROLES: dict[str, str] = {RoleCode.PRODUCER: STUDIO_PRODUCER}
# In the order that the standard's PartyId demands.
NUMBERS = (
    (Scheme.ISNI, "ISNI"), (Scheme.DPID, "DPID"), (Scheme.IPI_NAME, "IpiNameNumber"),
)  # fmt: skip
# The schema demands a DPID of sender and recipient. This stands in for an unknown one: it fits the
# pattern and is too short to be anybody's.
NO_DPID = "PADPIDAUNKNOWN"
UNKNOWN = "Unknown"
# Characters that XML cannot represent.
UNWRITABLE = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def as_ern(recordings: RecordingQuerySet) -> Iterator[str]:
    """Yield the whole message. Its MessageId is the time, so two exports are two messages."""
    message = _Message()
    for part in reading.rows(recordings):
        message.collect(part)
    message.choose_own_release()
    yield message.head()
    yield message.parties()
    yield "  <ResourceList>\n"
    for part in reading.rows(recordings):
        yield "".join(message.recording(row) for row in part)
    yield "  </ResourceList>\n"
    yield message.releases()
    yield "</ern:NewReleaseMessage>\n"


def _text(name: str, value: str, **attributes: str) -> str:
    rendered = "".join(f" {key}={quoteattr(text)}" for key, text in attributes.items())
    return f"<{name}{rendered}>{escape(UNWRITABLE.sub('', value))}</{name}>"


@dataclass
class _Release:
    """A release with its tracks, and their artists and genres."""

    row: ReleaseRow
    tracks: list[tuple[int, str]] = field(default_factory=list)
    # The different line-ups of main artists on its tracks.
    artists: dict[tuple[str, ...], None] = field(default_factory=dict)
    genres: dict[str, None] = field(default_factory=dict)


def _key(release: ReleaseRow) -> tuple[str, str, str]:
    label = release.label.name if release.label else ""
    return release.upc or release.grid, release.title, label


class _Message:
    def __init__(self) -> None:
        self._refs: dict[str, str] = {}
        self._known: dict[str, PartyRow] = {}
        self._releases: dict[tuple[str, str, str], _Release] = {}
        # The key of the message's own release, if it has one.
        self._own: tuple[str, str, str] | None = None

    def collect(self, part: list[reading.Exported]) -> None:
        for row in part:
            for party in row.parties():
                if party.name not in self._refs:
                    self._refs[party.name] = f"P{len(self._refs) + 1}"
                    self._known[party.name] = party
            for release in row.releases:
                entry = self._releases.setdefault(_key(release), _Release(release))
                entry.tracks.append((release.position or len(entry.tracks) + 1, f"A{row.number}"))
                entry.artists[tuple(party.name for party in row.artists)] = None
                if genre := row.tags.get("genre"):
                    entry.genres[str(genre)] = None

    def choose_own_release(self) -> None:
        """Make a single release the message's own, if it has the label and genre that the schema
        demands; a related release may lack them."""
        if len(self._releases) == 1:
            [(key, entry)] = self._releases.items()
            self._own = key if entry.row.label and entry.genres else None

    def head(self) -> str:
        now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        return (
            '<?xml version="1.0" encoding="UTF-8"?>\n'
            f'<ern:NewReleaseMessage xmlns:ern="{NAMESPACE}" LanguageAndScriptCode="en" '
            f'AvsVersionId="{AVS}">\n'
            f"  <MessageHeader>{_text('MessageId', 'backline-' + now)}"
            f"{_messaging('MessageSender', settings.PORTAL_URL, settings.LAB_DPID)}"
            f"{_messaging('MessageRecipient', 'Whoever asked')}"
            f"{_text('MessageCreatedDateTime', now)}</MessageHeader>\n"
        )

    def parties(self) -> str:
        elements = []
        for name, reference in self._refs.items():
            party = self._known[name]
            ids = "".join(
                _text(tag, party.numbers[scheme])
                for scheme, tag in NUMBERS
                if scheme in party.numbers
            )
            if base := party.numbers.get(Scheme.IPI_BASE):
                ids += _text("ProprietaryId", base, Namespace=IPI_BASE)
            party_id = f"<PartyId>{ids}</PartyId>" if ids else ""
            elements.append(
                f"    <Party>{_text('PartyReference', reference)}{_name(name)}{party_id}</Party>\n"
            )
        if not elements:
            # An empty list is not valid.
            sender = f"{_text('PartyReference', 'P0')}{_name(settings.PORTAL_URL)}"
            elements.append(f"    <Party>{sender}</Party>\n")
        return f"  <PartyList>\n{''.join(elements)}  </PartyList>\n"

    def recording(self, row: reading.Exported) -> str:
        ids = _text("ISRC", row.isrc) if row.isrc else ""
        ids += _text("ProprietaryId", str(row.own), Namespace=settings.PORTAL_URL)
        works = "".join(
            "<WorkId>"
            + (_text("ISWC", work.iswc) if work.iswc else "")
            + _text("ProprietaryId", str(work.own), Namespace=settings.PORTAL_URL)
            + "</WorkId>"
            for work in row.works
        )
        credit_rows = list(row.credits)
        shares: list[ShareRow] = []
        if len(row.works) == 1:
            credit_rows += row.works[0].credits
            shares = row.works[0].split
        return (
            f"    <SoundRecording>{_text('ResourceReference', f'A{row.number}')}"
            "<Type>MusicalWorkSoundRecording</Type>"
            f"<SoundRecordingEdition><ResourceId>{ids}</ResourceId>{_line(row)}"
            f"</SoundRecordingEdition>{works}"
            f"{_title(row.title)}{self._display(credit_rows)}{self._contributors(credit_rows)}"
            f"{self._controllers('ResourceRightsController', row.split)}"
            f"{self._controllers('WorkRightsController', shares)}"
            f"{_text('Duration', _duration(row.duration))}{self._related(row)}</SoundRecording>\n"
        )

    def _display(self, credit_rows: list[CreditRow]) -> str:
        """Write the display artists. The schema demands some: unknown ones are a value of ours."""
        artists = [credit for credit in credit_rows if credit.role in ARTISTS]
        main = [artist for artist in artists if artist.role == RoleCode.MAIN_ARTIST] or artists
        names = ", ".join(credit.party.name for credit in main)
        if not artists:
            return _special("UserDefined", UNKNOWN, UserDefinedValue=UNKNOWN)
        return _text("DisplayArtistName", names) + "".join(
            f'<DisplayArtist SequenceNumber="{place}">'
            f"{_text('ArtistPartyReference', self._refs[credit.party.name])}"
            f"{_text('DisplayArtistRole', credit.role)}</DisplayArtist>"
            for place, credit in enumerate(artists, start=1)
        )

    def _contributors(self, credit_rows: list[CreditRow]) -> str:
        others = [credit for credit in credit_rows if credit.role not in ARTISTS]
        return "".join(
            f'<Contributor SequenceNumber="{place}">'
            f"{_text('ContributorPartyReference', self._refs[other.party.name])}"
            f"<Role>{_value('Value', ROLES.get(other.role, other.role), other.user_defined)}</Role>"
            + (
                _value("InstrumentType", "UserDefined", other.instrument)
                if other.instrument
                else ""
            )
            + "</Contributor>"
            for place, other in enumerate(others, start=1)
        )

    def _controllers(self, name: str, shares: list[ShareRow]) -> str:
        return "".join(
            f"<{name}>"
            f"{_text('RightsControllerPartyReference', self._refs[share.party.name])}"
            f"<RightsControlType>RightsController</RightsControlType>"
            f"{_text('RightSharePercentage', percent(share.ppm))}</{name}>"
            for share in shares
        )

    def _related(self, row: Row) -> str:
        """Write its releases. The schema has no place for a track's number but the relation."""
        return "".join(
            "<RelatedRelease>"
            + _value("ReleaseRelationshipType", "UserDefined", f"{TRACK_OF}{release.position}")
            + f"{_release_id(release)}{_text('DisplayTitleText', release.title)}"
            f"{self._label(release)}{_day(release)}</RelatedRelease>"
            for release in row.releases
            if _key(release) != self._own
        )

    def _label(self, release: ReleaseRow) -> str:
        if release.label is None:
            return ""
        return _text("ReleaseLabelReference", self._refs[release.label.name])

    def releases(self) -> str:
        own = self._release(self._releases[self._own]) if self._own else ""
        return f"  <ReleaseList>\n{own}  </ReleaseList>\n"

    def _release(self, entry: _Release) -> str:
        release = entry.row
        items = "".join(
            f"<ResourceGroupContentItem><SequenceNumber>{position}</SequenceNumber>"
            f"{_text('ReleaseResourceReference', reference)}</ResourceGroupContentItem>"
            for position, reference in sorted(entry.tracks)
        )
        genre = _text("GenreText", ", ".join(entry.genres))
        return (
            "    <Release><ReleaseReference>R0</ReleaseReference>"
            f"<ReleaseType>Album</ReleaseType>{_release_id(release)}{_title(release.title)}"
            f"{self._artists_of(entry)}{self._label(release)}<DisplayGenre>{genre}</DisplayGenre>"
            f"{_day(release)}<ResourceGroup><SequenceNumber>1</SequenceNumber>{items}"
            "</ResourceGroup></Release>\n"
        )

    def _artists_of(self, entry: _Release) -> str:
        if len(entry.artists) > 1:
            return _special("VariousArtists", "Various Artists")
        [names] = entry.artists
        return self._display([CreditRow(self._known[name], RoleCode.MAIN_ARTIST) for name in names])


def _messaging(name: str, full_name: str, dpid: str = "") -> str:
    return f"<{name}>{_text('PartyId', dpid or NO_DPID)}{_name(full_name)}</{name}>"


def _name(name: str) -> str:
    return f"<PartyName>{_text('FullName', name)}</PartyName>"


def _title(title: str) -> str:
    return (
        f"{_text('DisplayTitleText', title)}"
        f'<DisplayTitle ApplicableTerritoryCode="Worldwide">{_text("TitleText", title)}'
        "</DisplayTitle>"
    )


def _special(kind: str, display_name: str, **attributes: str) -> str:
    if attributes:
        attributes["Namespace"] = settings.PORTAL_URL
    artist = _text("SpecialDisplayArtist", kind, **attributes)
    return f"{_text('DisplayArtistName', display_name)}<DisplayArtist>{artist}</DisplayArtist>"


def _release_id(release: ReleaseRow) -> str:
    ids = _text("GRid", release.grid) if release.grid else ""
    ids += _text("ICPN", release.upc) if release.upc else ""
    return f"<ReleaseId>{ids}</ReleaseId>"


def _day(release: ReleaseRow) -> str:
    return _text("ReleaseDate", release.released_on) if release.released_on else ""


def _duration(seconds: float) -> str:
    """Return ISO 8601; zero without a file, as the schema demands one and has none for unknown."""
    minutes, thousandths = divmod(round(seconds * 1000), 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"PT{hours}H{minutes}M{thousandths / 1000:g}S"


def _value(name: str, value: str, user_defined: str) -> str:
    if value == RoleCode.USER_DEFINED:
        return _text(name, value, UserDefinedValue=user_defined, Namespace=settings.PORTAL_URL)
    return _text(name, value)


def _line(row: Row) -> str:
    """Return the P-line (who published it, and when) from the first release with both."""
    for release in row.releases:
        if release.label and release.released_on:
            year = release.released_on[:4]
            line = f"\N{SOUND RECORDING COPYRIGHT} {year} {release.label.name}"
            return f"<PLine>{_text('Year', year)}{_text('PLineText', line)}</PLine>"
    return ""
