"""An ERN export has the form that DDEX's schema demands, in our own words of it.

Read for these tables: `release-notification.xsd` of ERN 4.3.2 (namespace http://ddex.net/xml/ern/432,
"SCOW Version v0.9.11 250618") with `allowed-value-sets.xsd` of AvsVersionId 9. The place of a line
is the type of its name there: MessageHeader, MessagingPartyWithoutCode, Party, DetailedPartyId,
SoundRecording, SoundRecordingEdition, PLine, DisplayArtist, Contributor, ContributorRole,
ResourceRightsController, WorkRightsController, RelatedRelease, Release, ReleaseId, ResourceGroup,
ResourceGroupContentItem. The tables name only what we write: an element that they lack fails.
"""

import copy
import io
import re
from collections.abc import Iterator
from xml.etree.ElementTree import Element, SubElement

import pytest
from defusedxml.ElementTree import fromstring
from django.conf import LazySettings

from portal.models import User
from rights.catalogue import catalogue
from rights.exchange.exporting import reading
from rights.exchange.exporting.ern import ROLES, as_ern
from rights.exchange.importing.checking import check
from rights.exchange.importing.ern import ErnReader
from rights.exchange.importing.rows import ReleaseRow
from rights.models import Recording, RoleCode
from tests.catalogue import make_party, make_recording
from tests.rights.exchange.importing import counts, imported, song, table, told
from tests.rights.exchange.test_export import world

# Children in the order of the schema: `!` one, `?` one or none, `+` one or more, `*` any number.
# Where the same name is two things, its parent stands before it.
CHILDREN = {
    "NewReleaseMessage": "MessageHeader! PartyList! ResourceList! ReleaseList!",
    "MessageHeader": "MessageId! MessageSender! MessageRecipient+ MessageCreatedDateTime!",
    "MessageSender": "PartyId! PartyName?",
    "MessageRecipient": "PartyId! PartyName?",
    "PartyList": "Party+",
    "Party": "PartyReference! PartyName+ PartyId*",
    "PartyName": "FullName!",
    "Party/PartyId": "ISNI? DPID? IpiNameNumber? ProprietaryId*",
    "ResourceList": "SoundRecording*",
    "SoundRecording": (
        "ResourceReference! Type! SoundRecordingEdition+ WorkId* DisplayTitleText+ DisplayTitle+ "
        "DisplayArtistName+ DisplayArtist+ Contributor* ResourceRightsController* "
        "WorkRightsController* Duration! RelatedRelease*"
    ),
    "SoundRecordingEdition": "ResourceId+ PLine*",
    "ResourceId": "ISRC? ProprietaryId*",
    "WorkId": "ISWC? ProprietaryId*",
    "PLine": "Year? PLineText!",
    "DisplayTitle": "TitleText!",
    "DisplayArtist": "ArtistPartyReference! DisplayArtistRole! | SpecialDisplayArtist!",
    "Contributor": "ContributorPartyReference! Role* InstrumentType*",
    "Role": "Value!",
    "ResourceRightsController": (
        "RightsControllerPartyReference! RightsControlType* RightSharePercentage?"
    ),
    "WorkRightsController": (
        "RightsControllerPartyReference! RightsControlType* RightSharePercentage?"
    ),
    "RelatedRelease": (
        "ReleaseRelationshipType! ReleaseId! DisplayTitleText* ReleaseLabelReference* ReleaseDate?"
    ),
    "ReleaseId": "GRid? ICPN?",
    "ReleaseList": "Release?",
    "Release": (
        "ReleaseReference! ReleaseType+ ReleaseId! DisplayTitleText+ DisplayTitle+ "
        "DisplayArtistName+ DisplayArtist+ ReleaseLabelReference+ DisplayGenre+ ReleaseDate* "
        "ResourceGroup!"
    ),
    "DisplayGenre": "GenreText!",
    "ResourceGroup": "SequenceNumber? ResourceGroupContentItem*",
    "ResourceGroupContentItem": "SequenceNumber? ReleaseResourceReference!",
}
ANY = r"[\s\S]*"
DPID = "PADPIDA[a-zA-Z0-9]+"
PARTY, RESOURCE = "P[_0-9a-zA-Z-]+", "A[_0-9a-zA-Z-]+"
DAY = r"[0-9]{4}(-[0-9]{2})?(-[0-9]{2})?"
# What stands in an element without children: the schema's pattern, or those of its values that we
# write.
TEXTS = {
    "MessageId": ANY,
    "MessageCreatedDateTime": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ",
    "MessageSender/PartyId": DPID,
    "MessageRecipient/PartyId": DPID,
    "FullName": ANY,
    "PartyReference": PARTY,
    "ISNI": "[0-9]{15}[0-9X]",
    "DPID": DPID,
    "IpiNameNumber": "[0-9]{11}",
    "ProprietaryId": ANY,
    "ResourceReference": RESOURCE,
    "Type": "MusicalWorkSoundRecording",
    "ISRC": ANY,
    "ISWC": ANY,
    "Year": r"\d{4}",
    "PLineText": ANY,
    "DisplayTitleText": ANY,
    "TitleText": ANY,
    "DisplayArtistName": ANY,
    "ArtistPartyReference": PARTY,
    "DisplayArtistRole": "MainArtist|FeaturedArtist",
    "SpecialDisplayArtist": "VariousArtists|UserDefined",
    "ContributorPartyReference": PARTY,
    # "Producer" was in the value set of ERN 3, and is not in that of AVS 9.
    "Value": (
        "Adapter|Arranger|AssociatedPerformer|Composer|ComposerLyricist|Conductor|Lyricist|"
        "MasteringEngineer|Mixer|MusicPublisher|Programmer|RecordingEngineer|Remixer|Soloist|"
        "StudioMusician|StudioProducer|Translator|UserDefined|Vocalist"
    ),
    "InstrumentType": "UserDefined",
    "RightsControllerPartyReference": PARTY,
    "RightsControlType": "RightsController",
    "RightSharePercentage": r"\d+(\.\d+)?",
    "Duration": r"PT\d+H\d+M\d+(\.\d+)?S",
    "ReleaseRelationshipType": "UserDefined",
    "GRid": ANY,
    "ICPN": ANY,
    "ReleaseLabelReference": PARTY,
    "ReleaseDate": DAY,
    "ReleaseReference": "R[_0-9a-zA-Z-]+",
    "ReleaseType": "Album",
    "GenreText": ANY,
    "SequenceNumber": r"\d+",
    "ReleaseResourceReference": RESOURCE,
}
OWN_VALUE = "Namespace? UserDefinedValue?"
ATTRIBUTES = {
    "NewReleaseMessage": "AvsVersionId! LanguageAndScriptCode!",
    "ProprietaryId": "Namespace!",
    "DisplayTitle": "ApplicableTerritoryCode?",
    "DisplayArtist": "SequenceNumber?",
    "SpecialDisplayArtist": OWN_VALUE,
    "Contributor": "SequenceNumber?",
    "Value": OWN_VALUE,
    "InstrumentType": OWN_VALUE,
    "ReleaseRelationshipType": OWN_VALUE,
}
COUNTS = {"!": "", "?": "?", "+": "+", "*": "*"}


def order(rule: str) -> re.Pattern[str]:
    """A line of the table as an expression over the names of the children."""
    ways = (
        "".join(f"(?:{name[:-1]} ){COUNTS[name[-1]]}" for name in way.split())
        for way in rule.split("|")
    )
    return re.compile("|".join(ways))


def wrong(element: Element, parent: str = "") -> Iterator[str]:
    """What is not as the tables say, of an element and all below it."""
    name = element.tag.rpartition("}")[2]
    key = next((one for one in (f"{parent}/{name}", name) if one in CHILDREN | TEXTS), "")
    kids = "".join(f"{kid.tag} " for kid in element)
    if key in CHILDREN:
        if not order(CHILDREN[key]).fullmatch(kids):
            yield f"{name} has {kids.split()}, not {CHILDREN[key]}"
    elif not key or kids:
        yield f"{parent}/{name} is not in the tables"
    elif not re.fullmatch(TEXTS[key], element.text or ""):
        yield f"{parent}/{name} is “{element.text}”"
    may = {one[:-1]: one[-1] for one in ATTRIBUTES.get(name, "").split()}
    must = {one for one, count in may.items() if count == "!"}
    if not must <= element.attrib.keys() <= may.keys():
        yield f"{name} has the attributes {sorted(element.attrib)}"
    if element.text == "UserDefined" and not element.attrib.get("UserDefinedValue"):
        yield f"{name} does not say what it is"
    for kid in element:
        yield from wrong(kid, name)


def loose(message: Element) -> set[str]:
    """References that nothing in the message has, and names that two have."""
    texts = [(one.tag, one.text or "") for one in message.iter()]
    anchors = [
        text
        for tag, text in texts
        if tag in {"PartyReference", "ResourceReference", "ReleaseReference"}
    ]
    pointing = {text for tag, text in texts if tag.endswith("Reference")}
    return pointing - set(anchors) | {anchor for anchor in anchors if anchors.count(anchor) > 1}


def exported() -> tuple[bytes, Element]:
    text = "".join(as_ern(Recording.objects.all())).encode()
    return text, fromstring(text)


def release_of(rosa: User, **more: str) -> None:
    """One release with three tracks, entered out of their order."""
    rows = [
        song(1, Label="Good Label", **{"Release date": "2026-03-01", "Track number": str(4 - n)})
        | {"Title": f"Track {n}", "ISRC": f"QZXYZ2600{n:03d}"}
        | more
        for n in (1, 2, 3)
    ]
    job = imported(rosa, table(rows))
    assert job.refused == 0, told(job)


@pytest.mark.django_db
def test_a_whole_catalogue_has_the_order_and_the_elements_of_the_schema(rosa: User) -> None:
    world(rosa)
    numbers = {
        "isni": "0000000121032683",
        "dpid": "PADPIDA2014120301U",
        "ipi_name": "00000000199",
        "ipi_base": "I-000000229-7",
    }
    all_of_them = make_party(rosa, "All numbers", identifiers=numbers)
    recording = make_recording(rosa, all_of_them, title="Every role")
    for role in RoleCode.values:
        named = "Whistler" if role == RoleCode.USER_DEFINED else ""
        party = make_party(rosa, f"Who is {role}")
        catalogue.add_credit(by=rosa, subject=recording, party=party, role=role, user_defined=named)
    text, message = exported()
    assert list(wrong(message)) == []
    assert loose(message) == set()
    before = counts()
    job = imported(rosa, text, "x.xml")
    assert (job.added, job.changed, job.refused) == (0, 0, 0), told(job)
    assert counts() == before


@pytest.mark.django_db
def test_one_release_is_the_release_of_the_message(rosa: User) -> None:
    release_of(rosa)
    text, message = exported()
    assert list(wrong(message)) == []
    assert loose(message) == set()
    assert len(message.findall("ReleaseList/Release")) == 1
    assert message.find(".//RelatedRelease") is None
    before = counts()
    job = imported(rosa, text, "x.xml")
    assert (job.unchanged, job.added, job.changed, job.refused) == (3, 0, 0, 0), told(job)
    assert counts() == before


@pytest.mark.django_db
@pytest.mark.parametrize("unknown", ["Label", "Genre"])
def test_a_release_that_lacks_what_the_schema_wants_of_one_is_a_related_one(
    rosa: User, unknown: str
) -> None:
    release_of(rosa, **{unknown: ""})
    _, message = exported()
    assert list(wrong(message)) == []
    assert message.find("ReleaseList/Release") is None
    assert len(message.findall(".//RelatedRelease")) == 3


@pytest.mark.django_db
def test_artists_that_differ_from_track_to_track_are_various_artists(rosa: User) -> None:
    release_of(rosa)
    track = Recording.objects.order_by("pk")[0]
    catalogue.add_credit(
        by=rosa, subject=track, party=make_party(rosa, "Guest"), role=RoleCode.MAIN_ARTIST
    )
    _, message = exported()
    assert list(wrong(message)) == []
    assert message.findtext("ReleaseList/Release/DisplayArtistName") == "Various Artists"


@pytest.mark.django_db
def test_an_export_of_nothing_is_a_message_all_the_same() -> None:
    _, message = exported()
    assert list(wrong(message)) == []
    assert len(message.findall("PartyList/Party")) == 1


@pytest.mark.django_db
@pytest.mark.parametrize("several", [True, False])
def test_another_portal_reads_releases_with_label_day_and_place(rosa: User, several: bool) -> None:
    release_of(rosa)
    if several:
        tracks = list(Recording.objects.all())
        catalogue.add_release(by=rosa, title="Best of", label=None, tracks=tracks[1:])
    text, _ = exported()
    rows = [check(row) for row in ErnReader(io.BytesIO(text), portal="http://other").rows()]
    assert not any(row.refused for row in rows)

    def said(release: ReleaseRow) -> tuple[object, ...]:
        label = release.label.name if release.label else ""
        return release.title, release.upc, label, release.released_on, release.position

    [here] = reading.rows(Recording.objects.all())
    assert [[said(one) for one in row.releases] for row in rows] == [
        [said(one) for one in row.releases] for row in here
    ]
    labels = {one.label.kind for row in rows for one in row.releases if one.label}
    assert labels == {"label"}


@pytest.mark.django_db
def test_a_duration_is_that_of_the_file_and_none_without_one(rosa: User) -> None:
    make_recording(rosa, make_party(rosa))
    Recording.objects.update(duration=3_723.5)
    imported(rosa, table([song(1)]))
    _, message = exported()
    assert [one.text for one in message.iter("Duration")] == ["PT1H2M3.5S", "PT0H0M0S"]


@pytest.mark.django_db
def test_a_message_out_of_order_or_without_what_is_required_is_noticed(rosa: User) -> None:
    release_of(rosa)
    _, message = exported()
    places = [
        (place, name[:-1])
        for place, one in enumerate(message.iter())
        for name in CHILDREN.get(one.tag.rpartition("}")[2], "").partition("|")[0].split()
        if name[-1] in "!+" and one.find(name[:-1]) is not None
    ]
    assert len(places) > 40
    for place, name in places:
        cut = copy.deepcopy(message)
        element = list(cut.iter())[place]
        for one in element.findall(name):
            element.remove(one)
        assert list(wrong(cut)), (element.tag, name)
    for place, one in enumerate(message.iter()):
        if len({kid.tag for kid in one}) > 1:
            turned = copy.deepcopy(message)
            element = list(turned.iter())[place]
            element[:] = list(element)[::-1]
            assert list(wrong(turned)), element.tag
    more = copy.deepcopy(message)
    SubElement(more, "DealList")
    assert list(wrong(more))


@pytest.mark.django_db
def test_the_sender_is_the_lab_where_it_has_a_number(settings: LazySettings) -> None:
    settings.LAB_DPID = "PADPIDA2014120301U"
    written = exported()[0].decode()
    assert "<MessageSender><PartyId>PADPIDA2014120301U</PartyId>" in written
    assert "<MessageRecipient><PartyId>PADPIDAUNKNOWN</PartyId>" in written


def test_roles_are_values_of_the_standard() -> None:
    shown = {RoleCode.MAIN_ARTIST, RoleCode.FEATURED_ARTIST}
    for role in set(RoleCode) - shown:
        assert re.fullmatch(TEXTS["Value"], ROLES.get(role, role))


OLD = b"""<ern:NewReleaseMessage xmlns:ern="http://ddex.net/xml/ern/432" AvsVersionId="9"
    LanguageAndScriptCode="en"><PartyList><Party><PartyReference>P1</PartyReference>
  <PartyName><FullName>Jane Doe</FullName></PartyName>
  <PartyId><IpiBaseNumber>I-000000229-7</IpiBaseNumber></PartyId></Party></PartyList>
  <ResourceList><SoundRecording><ResourceReference>A1</ResourceReference>
  <SoundRecordingEdition><ResourceId><ISRC>USSKG1912345</ISRC></ResourceId></SoundRecordingEdition>
  <DisplayTitleText>One</DisplayTitleText><Contributor SequenceNumber="1">
  <ContributorPartyReference>P1</ContributorPartyReference><Role><Value>Producer</Value></Role>
  <InstrumentType><Value UserDefinedValue="viola">UserDefined</Value></InstrumentType>
  </Contributor></SoundRecording></ResourceList><ReleaseList>
  <Release><DisplayTitleText>First</DisplayTitleText><ResourceGroup><ResourceGroupContentItem>
  <SequenceNumber>3</SequenceNumber><ReleaseResourceReference>A1</ReleaseResourceReference>
  </ResourceGroupContentItem></ResourceGroup></Release>
  <Release><DisplayTitleText>Second</DisplayTitleText><ResourceGroup><ResourceGroupContentItem>
  <SequenceNumber>1</SequenceNumber><ReleaseResourceReference>A1</ReleaseResourceReference>
  </ResourceGroupContentItem></ResourceGroup></Release></ReleaseList></ern:NewReleaseMessage>"""


def test_exports_from_before_the_schema_was_read_are_read_still() -> None:
    [row] = [check(row) for row in ErnReader(io.BytesIO(OLD)).rows()]
    assert not row.refused
    [credit] = row.credits
    assert (credit.role, credit.instrument) == (RoleCode.PRODUCER, "viola")
    assert credit.party.numbers.keys() == {"ipi_base"}
    assert [(release.title, release.position) for release in row.releases] == [
        ("First", 3),
        ("Second", 1),
    ]
