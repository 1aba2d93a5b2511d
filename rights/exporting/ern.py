"""A DDEX ERN 4.3.2 message of recordings, in pieces of text, as importing/ern.py reads it.

The recordings are read twice, since parties stand before them and releases behind. Genre, tempo
and key have no place in it; of a recording with several works it says which, and neither writers
nor shares, since it could not say of which.
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from xml.sax.saxutils import escape, quoteattr

from django.conf import settings

from rights.exporting import reading
from rights.exporting.writing import percent
from rights.importing.rows import CreditRow, PartyRow, ReleaseRow, Row, ShareRow
from rights.models import RecordingQuerySet, RoleCode, Scheme

NAMESPACE = "http://ddex.net/xml/ern/432"
AVS = "9"
ARTISTS = (RoleCode.MAIN_ARTIST, RoleCode.FEATURED_ARTIST)
# The order in which the standard's party id has them.
NUMBERS = (
    (Scheme.ISNI, "ISNI"), (Scheme.DPID, "DPID"), (Scheme.IPI_NAME, "IpiNameNumber"),
    (Scheme.IPI_BASE, "IpiBaseNumber"),
)  # fmt: skip
# XML has no way to write these.
UNWRITABLE = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def as_ern(recordings: RecordingQuerySet) -> Iterator[str]:
    """The whole message. `message id` is the moment, so two exports are two messages."""
    message = _Message()
    for part in reading.rows(recordings):
        message.note(part)
    yield message.head()
    yield message.parties()
    yield "  <ResourceList>\n"
    for part in reading.rows(recordings):
        yield "".join(message.recording(row) for row in part)
    yield "  </ResourceList>\n"
    yield from message.releases()
    yield "</ern:NewReleaseMessage>\n"


def _text(name: str, value: str, **attributes: str) -> str:
    told = "".join(f" {key}={quoteattr(text)}" for key, text in attributes.items())
    return f"<{name}{told}>{escape(UNWRITABLE.sub('', value))}</{name}>"


class _Message:
    def __init__(self) -> None:
        self._refs: dict[str, str] = {}
        self._known: dict[str, PartyRow] = {}
        # Release key to the release, its artists and its tracks.
        self._releases: dict[tuple[str, str, str], tuple[ReleaseRow, list[tuple[int, str]]]] = {}
        self._artists: dict[tuple[str, str, str], list[PartyRow]] = {}

    def note(self, part: list[Row]) -> None:
        for row in part:
            for party in row.parties():
                if party.name not in self._refs:
                    self._refs[party.name] = f"P{len(self._refs) + 1}"
                    self._known[party.name] = party
            for release in row.releases:
                label = release.label.name if release.label else ""
                key = (release.upc or release.grid, release.title, label)
                tracks = self._releases.setdefault(key, (release, []))[1]
                tracks.append((release.position or len(tracks) + 1, f"A{row.number}"))
                self._artists.setdefault(key, row.artists)

    def head(self) -> str:
        now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        sender = _text("FullName", settings.PORTAL_URL)
        return (
            '<?xml version="1.0" encoding="UTF-8"?>\n'
            f'<ern:NewReleaseMessage xmlns:ern="{NAMESPACE}" LanguageAndScriptCode="en" '
            f'AvsVersionId="{AVS}" ReleaseProfileVersionId="Audio">\n'
            f"  <MessageHeader>{_text('MessageId', 'backline-' + now)}"
            f"<MessageSender><PartyName>{sender}</PartyName></MessageSender>"
            f"<MessageRecipient><PartyName>{_text('FullName', 'Whoever asked')}</PartyName>"
            f"</MessageRecipient>{_text('MessageCreatedDateTime', now)}</MessageHeader>\n"
        )

    def parties(self) -> str:
        found = []
        for name, reference in self._refs.items():
            party = self._known[name]
            ids = "".join(
                _text(tag, party.numbers[scheme])
                for scheme, tag in NUMBERS
                if scheme in party.numbers
            )
            told = f"<PartyId>{ids}</PartyId>" if ids else ""
            found.append(
                f"    <Party>{_text('PartyReference', reference)}"
                f"<PartyName>{_text('FullName', name)}</PartyName>{told}</Party>\n"
            )
        return f"  <PartyList>\n{''.join(found)}  </PartyList>\n"

    def recording(self, row: Row) -> str:
        ids = _text("ISRC", row.isrc) if row.isrc else ""
        ids += _text("ProprietaryId", str(row.own), Namespace=settings.PORTAL_URL)
        works = "".join(
            "<WorkId>"
            + (_text("ISWC", work.iswc) if work.iswc else "")
            + _text("ProprietaryId", str(work.own), Namespace=settings.PORTAL_URL)
            + "</WorkId>"
            for work in row.works
        )
        credits_told = list(row.credits)
        shares: list[ShareRow] = []
        if len(row.works) == 1:
            credits_told += row.works[0].credits
            shares = row.works[0].split
        names = ", ".join(party.name for party in row.artists)
        return (
            f"    <SoundRecording>{_text('ResourceReference', f'A{row.number}')}"
            "<Type>MusicalWorkSoundRecording</Type>"
            f"<SoundRecordingEdition><ResourceId>{ids}</ResourceId>{_line(row)}"
            f"</SoundRecordingEdition>{works}"
            f"{_text('DisplayTitleText', row.title)}"
            f'<DisplayTitle ApplicableTerritoryCode="Worldwide">{_text("TitleText", row.title)}'
            f"</DisplayTitle>{_text('DisplayArtistName', names)}"
            f"{self._display(credits_told)}{self._contributors(credits_told)}"
            f"{self._controllers('ResourceRightsController', row.split)}"
            f"{self._controllers('WorkRightsController', shares)}</SoundRecording>\n"
        )

    def _display(self, told: list[CreditRow]) -> str:
        artists = [one for one in told if one.role in ARTISTS]
        return "".join(
            f'<DisplayArtist SequenceNumber="{place}">'
            f"{_text('ArtistPartyReference', self._refs[one.party.name])}"
            f"{_text('DisplayArtistRole', one.role)}</DisplayArtist>"
            for place, one in enumerate(artists, start=1)
        )

    def _contributors(self, told: list[CreditRow]) -> str:
        others = [one for one in told if one.role not in ARTISTS]
        return "".join(
            f'<Contributor SequenceNumber="{place}">'
            f"{_text('ContributorPartyReference', self._refs[one.party.name])}"
            f"<Role>{_value(one.role, one.user_defined)}</Role>"
            + (
                f"<InstrumentType>{_value('UserDefined', one.instrument)}</InstrumentType>"
                if one.instrument
                else ""
            )
            + "</Contributor>"
            for place, one in enumerate(others, start=1)
        )

    def _controllers(self, name: str, shares: list[ShareRow]) -> str:
        return "".join(
            f'<{name} SequenceNumber="{place}">'
            f"{_text('RightsControllerPartyReference', self._refs[share.party.name])}"
            f"<RightsControlType>RightsController</RightsControlType>"
            f"{_text('RightSharePercentage', percent(share.ppm))}</{name}>"
            for place, share in enumerate(shares, start=1)
        )

    def releases(self) -> Iterator[str]:
        yield "  <ReleaseList>\n"
        for number, (key, (release, tracks)) in enumerate(self._releases.items()):
            yield self._release(number, release, tracks, self._artists[key])
        yield "  </ReleaseList>\n"

    def _release(
        self,
        number: int,
        release: ReleaseRow,
        tracks: list[tuple[int, str]],
        artists: list[PartyRow],
    ) -> str:
        ids = _text("GRid", release.grid) if release.grid else ""
        ids += _text("ICPN", release.upc) if release.upc else ""
        items = "".join(
            f"<ResourceGroupContentItem><SequenceNumber>{position}</SequenceNumber>"
            f"{_text('ReleaseResourceReference', reference)}</ResourceGroupContentItem>"
            for position, reference in sorted(tracks)
        )
        label = (
            _text("ReleaseLabelReference", self._refs[release.label.name]) if release.label else ""
        )
        day = _text("ReleaseDate", release.released_on) if release.released_on else ""
        names = ", ".join(party.name for party in artists)
        return (
            f"    <Release>{_text('ReleaseReference', f'R{number}')}"
            "<ReleaseType>Album</ReleaseType>"
            f"<ReleaseId>{ids}</ReleaseId>{_text('DisplayTitleText', release.title)}"
            f'<DisplayTitle ApplicableTerritoryCode="Worldwide">'
            f"{_text('TitleText', release.title)}</DisplayTitle>"
            f"{_text('DisplayArtistName', names)}{label}{day}"
            f"<ResourceGroup><SequenceNumber>1</SequenceNumber>{items}</ResourceGroup></Release>\n"
        )


def _value(value: str, user_defined: str) -> str:
    if value == RoleCode.USER_DEFINED:
        return _text("Value", value, UserDefinedValue=user_defined, Namespace=settings.PORTAL_URL)
    return _text("Value", value)


def _line(row: Row) -> str:
    """Who published the recording, and when: of the first release that says both."""
    for release in row.releases:
        if release.label and release.released_on:
            year = release.released_on[:4]
            line = f"\N{SOUND RECORDING COPYRIGHT} {year} {release.label.name}"
            return f"<PLine>{_text('Year', year)}{_text('PLineText', line)}</PLine>"
    return ""
