"""DDEX messages: what they say is entered, and what they try is refused."""

import io

import pytest

from portal.models import User
from rights.exchange.importing.ern import ErnReader
from rights.exchange.importing.rows import BadFile
from rights.models import ImportJob, Party, Recording, Release, Signal, SplitSheet, Use
from tests.rights.exchange.importing import checked, counts, imported, told

MESSAGE = """<?xml version="1.0" encoding="UTF-8"?>
<ern:NewReleaseMessage xmlns:ern="http://ddex.net/xml/ern/{version}" AvsVersionId="9"
    LanguageAndScriptCode="en">
  <MessageHeader><MessageId>1</MessageId><MessageSender>
    <PartyId>PADPIDA2013020802I</PartyId></MessageSender></MessageHeader>
  <PartyList>
    <Party><PartyReference>P1</PartyReference>
      <PartyName><FullName>Jane Doe</FullName></PartyName>
      <PartyId><ISNI>000000012281955X</ISNI></PartyId></Party>
    <Party><PartyReference>P2</PartyReference>
      <PartyName><FullName>Max &amp; Co</FullName></PartyName>
      <PartyId><IpiNameNumber>00000000199</IpiNameNumber></PartyId></Party>
    <Party><PartyReference>P3</PartyReference>
      <PartyName><FullName>Good Label</FullName></PartyName>
      <PartyId><DPID>PADPIDA2014120301U</DPID></PartyId></Party>
  </PartyList>
  <ResourceList>
    <SoundRecording><ResourceReference>A1</ResourceReference>
      <Type>MusicalWorkSoundRecording</Type>
      <SoundRecordingEdition><ResourceId><ISRC>USSKG1912345</ISRC></ResourceId>
        <PLine><Year>2026</Year><PLineText>(P) 2026 Good Label</PLineText></PLine>
      </SoundRecordingEdition>
      <WorkId><ISWC>T0345246801</ISWC></WorkId>
      <DisplayTitleText>First light</DisplayTitleText>
      <DisplayArtist SequenceNumber="1"><ArtistPartyReference>P1</ArtistPartyReference>
        <DisplayArtistRole>MainArtist</DisplayArtistRole></DisplayArtist>
      <Contributor><ContributorPartyReference>P1</ContributorPartyReference>
        <Role>{open}Artist{close}</Role><Role>{open}Composer{close}</Role></Contributor>
      <Contributor><ContributorPartyReference>P2</ContributorPartyReference>
        <Role>{open}Producer{close}</Role></Contributor>
      <ResourceRightsController><RightsControllerPartyReference>P1</RightsControllerPartyReference>
        <RightSharePercentage>33.3333</RightSharePercentage></ResourceRightsController>
      <ResourceRightsController><RightsControllerPartyReference>P3</RightsControllerPartyReference>
        <RightSharePercentage>66.6667</RightSharePercentage></ResourceRightsController>
    </SoundRecording>
    <SoundRecording><ResourceReference>A2</ResourceReference>
      <SoundRecordingEdition><ResourceId><ISRC>USSKG1912346</ISRC></ResourceId>
      </SoundRecordingEdition>
      <DisplayTitleText>Second light</DisplayTitleText>
      <DisplayArtist><ArtistPartyReference>P1</ArtistPartyReference>
        <DisplayArtistRole>MainArtist</DisplayArtistRole></DisplayArtist>
    </SoundRecording>
  </ResourceList>
  <ReleaseList>
    <Release><ReleaseReference>R0</ReleaseReference><ReleaseType>Album</ReleaseType>
      <ReleaseId><GRid>A12425GABC1234002M</GRid><ICPN>4006381333931</ICPN></ReleaseId>
      <DisplayTitleText>Lights</DisplayTitleText>
      <ReleaseLabelReference>P3</ReleaseLabelReference><ReleaseDate>2026-03-01</ReleaseDate>
      <ResourceGroup><SequenceNumber>1</SequenceNumber>
        <ResourceGroupContentItem><SequenceNumber>1</SequenceNumber>
          <ReleaseResourceReference>A2</ReleaseResourceReference></ResourceGroupContentItem>
        <ResourceGroupContentItem><SequenceNumber>2</SequenceNumber>
          <ReleaseResourceReference>A1</ReleaseResourceReference></ResourceGroupContentItem>
      </ResourceGroup></Release>
  </ReleaseList>
</ern:NewReleaseMessage>"""


def message(version: str = "43") -> bytes:
    wrapped = version == "432"
    return MESSAGE.format(
        version=version,
        open="<Value>" if wrapped else "",
        close="</Value>" if wrapped else "",
    ).encode()


@pytest.mark.django_db
@pytest.mark.parametrize("version", ["43", "431", "432"])
def test_a_message_enters_recordings_works_parties_and_releases(rosa: User, version: str) -> None:
    job = imported(rosa, message(version), "release.xml")
    assert (job.format, job.added) == (ImportJob.Format.ERN, 2), told(job)
    first = Recording.objects.get(isrc="USSKG1912345")
    assert first.works.get().iswc == "T0345246801"
    assert {(credit.role, credit.party.name) for credit in first.credits.all()} == {
        ("MainArtist", "Jane Doe"),
        ("Producer", "Max & Co"),
    }
    assert first.works.get().credits.get().role == "Composer"
    lines = first.splits.get().lines.values_list("party__name", "ppm")
    assert sorted(lines) == [("Good Label", 666_667), ("Jane Doe", 333_333)]
    release = Release.objects.get()
    assert (release.upc, release.grid) == ("4006381333931", "A12425GABC1234002M")
    assert release.label == Party.objects.get(name="Good Label", kind="label")
    assert [track.recording.isrc for track in release.tracks.all()] == [
        "USSKG1912346",
        "USSKG1912345",
    ]
    numbers = Party.objects.values_list("name", "identifiers__scheme", "identifiers__value")
    assert ("Max & Co", "ipi_name", "00000000199") in numbers
    assert any("DPID" in sentence for _, _, sentence in told(job))
    before = counts()
    again = imported(rosa, message(version), "release.xml")
    assert (again.unchanged, again.added, again.changed) == (2, 0, 0)
    assert counts() == before


def test_a_party_that_is_not_in_the_list_is_a_problem(rosa: User) -> None:
    text = message().replace(b"<ArtistPartyReference>P1<", b"<ArtistPartyReference>P9<")
    job = checked(rosa, text, "release.xml")
    assert job.refused == 2
    assert {field for _, field, _ in told(job)} >= {"main_artist"}


def test_controllers_without_a_whole_are_a_problem(rosa: User) -> None:
    job = imported(rosa, message().replace(b"66.6667", b"66.6666"), "release.xml")
    assert (job.added, job.refused) == (1, 1)
    assert not SplitSheet.objects.exists()


LAUGHS = b"""<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY a "lol">
<!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;">]>
<ern:NewReleaseMessage xmlns:ern="http://ddex.net/xml/ern/43"><A>&c;</A>
</ern:NewReleaseMessage>"""
STEALER = b"""<?xml version="1.0"?><!DOCTYPE x [<!ENTITY f SYSTEM "file:///etc/hostname">]>
<ern:NewReleaseMessage xmlns:ern="http://ddex.net/xml/ern/43"><A>&f;</A>
</ern:NewReleaseMessage>"""
CALLER = b"""<?xml version="1.0"?><!DOCTYPE x SYSTEM "http://127.0.0.1:9/evil.dtd">
<ern:NewReleaseMessage xmlns:ern="http://ddex.net/xml/ern/43"/>"""
HEAD = b'<ern:NewReleaseMessage xmlns:ern="http://ddex.net/xml/ern/43"'
END = b"</ern:NewReleaseMessage>"
DEEP = HEAD + b">" + b"<a>" * 5_000 + b"</a>" * 5_000 + END
WIDE = HEAD + b"><PartyList><Party>" + b"<a/>" * 300_000 + b"</Party></PartyList>" + END
LONG_ATTRIBUTE = HEAD + b' x="' + b"y" * 5_000_000 + b'"/>'
MANY_ATTRIBUTES = HEAD + b" " + b" ".join(b'a%d="1"' % n for n in range(2_000)) + b"/>"
LONG_TEXT = HEAD + b"><PartyList><Party>" + b"y" * 5_000_000 + b"</Party></PartyList>" + END
LONG_COMMENT = HEAD + b"><!--" + b"y" * 5_000_000 + b"-->" + END
FOREIGN = b'<feed xmlns="http://www.w3.org/2005/Atom"/>'
OLD = b'<ern:NewReleaseMessage xmlns:ern="http://ddex.net/xml/ern/382"/>'
BROKEN = message()[:-200]
NONSENSE = b"<?xml version='1.0' encoding='rot13'?><a/>"


@pytest.mark.parametrize(
    "hostile",
    [
        LAUGHS, STEALER, CALLER, DEEP, WIDE, LONG_ATTRIBUTE, MANY_ATTRIBUTES, LONG_TEXT,
        LONG_COMMENT, FOREIGN, OLD, BROKEN, NONSENSE,
    ],
    ids=[
        "billion laughs", "file entity", "external document type", "deep", "wide",
        "long attribute", "many attributes", "long text", "long comment", "foreign", "ern 3",
        "broken", "unknown encoding",
    ],
)  # fmt: skip
def test_a_hostile_file_is_refused_before_it_costs_anything(hostile: bytes) -> None:
    with pytest.raises(BadFile):
        list(ErnReader(io.BytesIO(hostile)).rows())


def test_a_hostile_file_is_a_sentence_on_its_job(rosa: User) -> None:
    before = counts()
    job = checked(rosa, LAUGHS, "laughs.xml")
    assert job.state == ImportJob.State.FAILED
    assert "document type" in job.error
    assert counts() == before


# --- What a machine made --------------------------------------------------------------------------


def declared(element: str, *, of: str = "", version: str = "432") -> bytes:
    """The first recording with an element of ERN 4.3.2, of itself or of one of its contributors."""
    place = of or "<Type>MusicalWorkSoundRecording</Type>"
    text = message(version).decode()
    assert place in text
    return text.replace(place, place + element, 1).encode()


@pytest.mark.django_db
def test_a_recording_that_a_machine_made_is_not_entered(rosa: User) -> None:
    job = imported(rosa, declared("<ContainsAI>All</ContainsAI>"), "message.xml")
    assert (job.added, job.refused) == (1, 1)
    assert any("a machine made all of it" in problem.sentence for problem in job.problems.all())


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("element", "of", "words"),
    [
        ("<ContainsAI>Partly</ContainsAI>", "", "ContainsAI: Partly"),
        (
            "<AiContribution>All</AiContribution>",
            "<ContributorPartyReference>P2</ContributorPartyReference>",
            "AiContribution of Producer: All",
        ),
    ],
)
def test_what_a_machine_made_in_part_is_noted_and_denied(
    rosa: User, element: str, of: str, words: str
) -> None:
    file = declared(element, of=of)
    imported(rosa, file, "message.xml")
    signal = Signal.objects.get()
    assert (signal.recording, signal.info) == (Recording.objects.get(isrc="USSKG1912345"), words)
    assert signal.denied == [use.value for use in Use]
    before = counts()
    again = imported(rosa, file, "message.xml")
    assert (again.added, again.changed) == (0, 0)
    assert counts() == before


@pytest.mark.django_db
def test_none_is_nothing(rosa: User) -> None:
    imported(rosa, declared("<ContainsAI>None</ContainsAI>"), "message.xml")
    assert Recording.objects.count() == 2
    assert not Signal.objects.exists()
