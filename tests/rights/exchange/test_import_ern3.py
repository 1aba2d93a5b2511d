"""DDEX ERN 3: parties named in place, details by territory, works by reference."""

import io
import re

import pytest

from portal.models import User
from rights.exchange.importing.ern import ErnReader
from rights.exchange.importing.rows import BadFile, Row
from rights.models import ImportJob, Party, Recording, Release
from tests.rights.exchange.importing import counts, imported, told

MESSAGE = """<?xml version="1.0" encoding="UTF-8"?>
<ern:NewReleaseMessage xmlns:ern="http://ddex.net/xml/ern/{version}"
    MessageSchemaVersionId="ern/{version}" LanguageAndScriptCode="en">
  <MessageHeader><MessageId>1</MessageId>
    <MessageSender><PartyId>PADPIDA2013020802I</PartyId>
      <PartyName><FullName>A Distributor</FullName></PartyName></MessageSender>
    <MessageControlType>LiveMessage</MessageControlType></MessageHeader>
  <UpdateIndicator>OriginalMessage</UpdateIndicator>
  <WorkList>
    <MusicalWork><MusicalWorkId><ISWC>T0345246801</ISWC></MusicalWorkId>
      <MusicalWorkReference>W1</MusicalWorkReference>
      <ReferenceTitle><TitleText>The first light</TitleText></ReferenceTitle>
      <MusicalWorkContributor SequenceNumber="1">
        <PartyName><FullName>Jane Doe</FullName></PartyName>
        <MusicalWorkContributorRole>Composer</MusicalWorkContributorRole>
      </MusicalWorkContributor></MusicalWork>
  </WorkList>
  <ResourceList>
    <SoundRecording>
      <SoundRecordingType>MusicalWorkSoundRecording</SoundRecordingType>
      <SoundRecordingId><ISRC>US-SKG-19-12345</ISRC>
        <ProprietaryId Namespace="DPID:PADPIDA2013020802I">77</ProprietaryId></SoundRecordingId>
      <ResourceReference>A1</ResourceReference>
      <ReferenceTitle><TitleText>First light</TitleText><SubTitle>Live</SubTitle></ReferenceTitle>
      <Duration>PT3M31S</Duration>
      <ResourceMusicalWorkReferenceList><ResourceMusicalWorkReference>
        <SequenceNumber>1</SequenceNumber>
        <ResourceMusicalWorkReference>W1</ResourceMusicalWorkReference>
      </ResourceMusicalWorkReference></ResourceMusicalWorkReferenceList>
      <SoundRecordingDetailsByTerritory>
        <TerritoryCode>Worldwide</TerritoryCode>
        <Title TitleType="FormalTitle"><TitleText>First light</TitleText></Title>
        <Title TitleType="DisplayTitle"><TitleText>First light (Live)</TitleText></Title>
        <DisplayArtist SequenceNumber="1">
          <PartyName><FullName>Jane Doe</FullName></PartyName>
          <PartyId IsISNI="true">000000012281955X</PartyId>
          <ArtistRole>MainArtist</ArtistRole></DisplayArtist>
        <DisplayArtist SequenceNumber="2">
          <PartyName><FullName>A Guest</FullName></PartyName>
          <ArtistRole>FeaturedArtist</ArtistRole></DisplayArtist>
        <ResourceContributor SequenceNumber="1">
          <PartyName><FullName>Max &amp; Co</FullName></PartyName>
          <ResourceContributorRole>Producer</ResourceContributorRole>
          <ResourceContributorRole Namespace="X" UserDefinedValue="Tape operator"
            >UserDefined</ResourceContributorRole></ResourceContributor>
        <IndirectResourceContributor SequenceNumber="2">
          <PartyName><FullName>Li Wu</FullName></PartyName>
          <IndirectResourceContributorRole>Lyricist</IndirectResourceContributorRole>
        </IndirectResourceContributor>
        <LabelName>Good Label</LabelName>
        <RightsController><PartyName><FullName>Good Label</FullName></PartyName>
          <RightsControllerRole>RightsController</RightsControllerRole>
          <RightSharePercentage>100.00</RightSharePercentage></RightsController>
        <PLine><Year>2026</Year><PLineText>(P) 2026 Good Label</PLineText></PLine>
        <Genre><GenreText>techno</GenreText></Genre>
        <TechnicalSoundRecordingDetails>
          <TechnicalResourceDetailsReference>T1</TechnicalResourceDetailsReference>
          <IsPreview>true</IsPreview>
          <File><FileName>preview.mp3</FileName></File></TechnicalSoundRecordingDetails>
        <TechnicalSoundRecordingDetails>
          <TechnicalResourceDetailsReference>T2</TechnicalResourceDetailsReference>
          <IsPreview>false</IsPreview>
          <File><FileName>A1_first.wav</FileName><FilePath>resources/</FilePath>
            <HashSum><HashSum>5D41402ABC4B2A76B9719D911017C592</HashSum>
              <HashSumAlgorithmType>MD5</HashSumAlgorithmType></HashSum></File>
        </TechnicalSoundRecordingDetails>
      </SoundRecordingDetailsByTerritory>
    </SoundRecording>
    <SoundRecording>
      <SoundRecordingId><ISRC>USSKG1912346</ISRC></SoundRecordingId>
      <ResourceReference>A2</ResourceReference>
      <ReferenceTitle><TitleText>Second light</TitleText></ReferenceTitle>
      <SoundRecordingDetailsByTerritory>
        <TerritoryCode>DE</TerritoryCode>
        <DisplayArtist><PartyName><FullName>Somebody Else</FullName></PartyName>
          <ArtistRole>MainArtist</ArtistRole></DisplayArtist>
      </SoundRecordingDetailsByTerritory>
      <SoundRecordingDetailsByTerritory>
        <TerritoryCode>Worldwide</TerritoryCode>
        <DisplayArtist><PartyName><FullName>Jane Doe</FullName></PartyName>
          <ArtistRole>MainArtist</ArtistRole></DisplayArtist>
      </SoundRecordingDetailsByTerritory>
    </SoundRecording>
    <Image><ImageType>FrontCoverImage</ImageType>
      <ResourceReference>A3</ResourceReference></Image>
  </ResourceList>
  <ReleaseList>
    <Release IsMainRelease="true">
      <ReleaseId><ICPN IsEan="true">4006381333931</ICPN>
        <CatalogNumber Namespace="X">GL 1</CatalogNumber></ReleaseId>
      <ReleaseReference>R0</ReleaseReference>
      <ReferenceTitle><TitleText>Lights</TitleText></ReferenceTitle>
      <ReleaseType>Album</ReleaseType>
      <ReleaseDetailsByTerritory>
        <TerritoryCode>Worldwide</TerritoryCode>
        <DisplayArtistName>Jane Doe</DisplayArtistName>
        <LabelName>Good Label</LabelName>
        <Title TitleType="DisplayTitle"><TitleText>Lights</TitleText></Title>
        <ResourceGroup><ResourceGroup><SequenceNumber>1</SequenceNumber>
          <ResourceGroupContentItem><SequenceNumber>1</SequenceNumber>
            <ResourceType>SoundRecording</ResourceType>
            <ReleaseResourceReference ReleaseResourceType="PrimaryResource">A2
            </ReleaseResourceReference></ResourceGroupContentItem>
          <ResourceGroupContentItem><SequenceNumber>2</SequenceNumber>
            <ResourceType>SoundRecording</ResourceType>
            <ReleaseResourceReference ReleaseResourceType="PrimaryResource">A1
            </ReleaseResourceReference></ResourceGroupContentItem>
        </ResourceGroup>
        <ResourceGroupContentItem><SequenceNumber>1</SequenceNumber>
          <ResourceType>Image</ResourceType>
          <ReleaseResourceReference ReleaseResourceType="SecondaryResource">A3
          </ReleaseResourceReference></ResourceGroupContentItem></ResourceGroup>
        <ReleaseDate>2026-03-01</ReleaseDate>
      </ReleaseDetailsByTerritory>
    </Release>
    <Release>
      <ReleaseId><GRid>A12425GABC1234002M</GRid></ReleaseId>
      <ReleaseReference>R1</ReleaseReference>
      <ReferenceTitle><TitleText>First light</TitleText></ReferenceTitle>
      <ReleaseResourceReferenceList><ReleaseResourceReference>A1</ReleaseResourceReference>
      </ReleaseResourceReferenceList>
      <ReleaseType>TrackRelease</ReleaseType>
      <ReleaseDetailsByTerritory><TerritoryCode>Worldwide</TerritoryCode>
        <LabelName>Good Label</LabelName></ReleaseDetailsByTerritory>
    </Release>
    <Release>
      <ReleaseId><ISRC>USSKG1912346</ISRC></ReleaseId>
      <ReleaseReference>R2</ReleaseReference>
      <ReferenceTitle><TitleText>Second light</TitleText></ReferenceTitle>
      <ReleaseResourceReferenceList><ReleaseResourceReference>A2</ReleaseResourceReference>
      </ReleaseResourceReferenceList>
      <ReleaseType>Single</ReleaseType>
    </Release>
  </ReleaseList>
</ern:NewReleaseMessage>"""


def message(version: str = "382") -> str:
    return MESSAGE.format(version=version)


def rows(text: str) -> list[Row]:
    return list(ErnReader(io.BytesIO(text.encode())).rows())


def warnings(row: Row) -> list[str]:
    return [problem.sentence for problem in row.problems if problem.warning]


@pytest.mark.django_db
@pytest.mark.parametrize("version", ["34", "341", "35", "371", "38", "381", "382", "383"])
def test_a_message_enters_recordings_works_parties_and_releases(rosa: User, version: str) -> None:
    job = imported(rosa, message(version).encode(), "release.xml")
    assert (job.format, job.added, job.refused) == (ImportJob.Format.ERN, 2, 0), told(job)
    first = Recording.objects.get(isrc="USSKG1912345")
    assert first.title == "First light (Live)"
    assert first.tags == {"genre": "techno"}
    assert {
        (credit.role, credit.user_defined, credit.party.name) for credit in first.credits.all()
    } == {
        ("MainArtist", "", "Jane Doe"),
        ("FeaturedArtist", "", "A Guest"),
        ("Producer", "", "Max & Co"),
        ("UserDefined", "Tape operator", "Max & Co"),
    }
    work = first.works.get()
    assert (work.title, work.iswc) == ("The first light", "T0345246801")
    assert {(credit.role, credit.party.name) for credit in work.credits.all()} == {
        ("Composer", "Jane Doe"),
        ("Lyricist", "Li Wu"),
    }
    label = Party.objects.get(name="Good Label", kind="label")
    assert [line.party for line in first.splits.get().lines.all()] == [label]
    assert Party.objects.get(name="Jane Doe").identifiers.get().value == "000000012281955X"
    before = counts()
    again = imported(rosa, message(version).encode(), "release.xml")
    assert (again.unchanged, again.added, again.changed) == (2, 0, 0)
    assert counts() == before


@pytest.mark.django_db
def test_the_album_is_a_release_and_its_track_releases_are_none(rosa: User) -> None:
    imported(rosa, message().encode(), "release.xml")
    release = Release.objects.get()
    assert (release.title, release.upc, str(release.released_on)) == (
        "Lights", "4006381333931", "2026-03-01",
    )  # fmt: skip
    assert release.label == Party.objects.get(name="Good Label")
    assert list(release.tracks.values_list("position", "recording__isrc")) == [
        (1, "USSKG1912346"),
        (2, "USSKG1912345"),
    ]


def test_the_whole_world_counts_and_other_artists_elsewhere_are_a_warning() -> None:
    _, second = rows(message())
    assert [artist.name for artist in second.artists] == ["Jane Doe"]
    assert warnings(second) == [
        "In DE the message names other artists; those of Worldwide are taken."
    ]


def test_several_territories_with_other_artists_are_told_once() -> None:
    text = message()
    block = "<SoundRecordingDetailsByTerritory><TerritoryCode>DE</TerritoryCode>"
    other = (
        "<DisplayArtist><PartyName><FullName>A Third</FullName></PartyName></DisplayArtist>"
        "</SoundRecordingDetailsByTerritory>"
    )
    start = text.rindex("<SoundRecordingDetailsByTerritory>\n        <TerritoryCode>DE")
    text = f"{text[:start]}{block.replace('DE', 'JP')}{other}{text[start:]}"
    assert warnings(rows(text)[1]) == [
        "In JP, DE the message names other artists; those of Worldwide are taken."
    ]


def test_without_the_whole_world_the_first_territory_counts() -> None:
    text = message().replace("<TerritoryCode>Worldwide<", "<TerritoryCode>FR<")
    first, second = rows(text)
    assert (first.title, [artist.name for artist in first.artists]) == (
        "First light (Live)", ["Jane Doe"],
    )  # fmt: skip
    assert [artist.name for artist in second.artists] == ["Somebody Else"]
    assert "In FR the message names other artists; those of DE are taken." in warnings(second)


ALL_BUT_DE = "<ExcludedTerritoryCode>DE</ExcludedTerritoryCode>"


@pytest.mark.parametrize(
    ("worldwide", "germany", "sentence"),
    [
        ("<TerritoryCode>DE</TerritoryCode>", ALL_BUT_DE,
         "In DE the message names other artists; those of all territories but DE are taken."),
        (ALL_BUT_DE, "<TerritoryCode>DE</TerritoryCode>",
         "In all territories but DE the message names other artists; those of DE are taken."),
        ("", "",
         "the message names other artists; those of the first block are taken."),
    ],
)  # fmt: skip
def test_territories_without_a_code_are_told_in_words(
    worldwide: str, germany: str, sentence: str
) -> None:
    codes = {"Worldwide": worldwide, "DE": germany}
    text = re.sub(
        r"<TerritoryCode>(Worldwide|DE)</TerritoryCode>", lambda code: codes[code[1]], message()
    )
    assert any(sentence in told for told in warnings(rows(text)[1]))


def disc(number: str, *tracks: tuple[str, str]) -> str:
    """A group of tracks, each by its number and reference; without numbers where they are empty."""
    items = "".join(
        f"<ResourceGroupContentItem>{numbered(track)}"
        f"<ReleaseResourceReference>{reference}</ReleaseResourceReference>"
        "</ResourceGroupContentItem>"
        for track, reference in tracks
    )
    return f"<ResourceGroup>{numbered(number)}{items}</ResourceGroup>"


def numbered(number: str) -> str:
    return f"<SequenceNumber>{number}</SequenceNumber>" if number else ""


@pytest.mark.parametrize(
    ("discs", "positions"),
    [
        (disc("2", ("1", "A1")) + disc("1", ("1", "A2")), [2, 1]),
        (disc("10", ("1", "A1")) + disc("9", ("1", "A2")), [2, 1]),
        (disc("1", ("1", "A1")) + disc("2", ("1", "A2")), [1, 2]),
        (disc("2", ("1", "A1")) + disc("", ("1", "A2")), [1, 2]),
        (disc("2", ("1", "A3")) + disc("1", ("2", "A1"), ("1", "A2")), [2, 1]),
    ],
    ids=["turned", "as numbers", "in order", "one without", "tracks turned"],
)
@pytest.mark.parametrize("version", ["382", "43"])
def test_discs_are_in_the_order_of_their_numbers(
    discs: str, positions: list[int], version: str
) -> None:
    groups = f"<ResourceGroup>{discs}</ResourceGroup>"
    release = (
        "<Release><ReleaseReference>R0</ReleaseReference><ReleaseId><ICPN>4006381333931</ICPN>"
        "</ReleaseId><ReferenceTitle><TitleText>Lights</TitleText></ReferenceTitle>"
        "<DisplayTitleText>Lights</DisplayTitleText>"
    )
    if version == "382":
        groups = (
            "<ReleaseDetailsByTerritory><TerritoryCode>Worldwide</TerritoryCode>"
            f"{groups}</ReleaseDetailsByTerritory>"
        )
    recordings = "".join(
        f"<SoundRecording><ResourceReference>{reference}</ResourceReference>"
        f"<DisplayTitleText>{reference}</DisplayTitleText></SoundRecording>"
        for reference in ("A1", "A2")
    )
    text = (
        f'<ern:NewReleaseMessage xmlns:ern="http://ddex.net/xml/ern/{version}"><ResourceList>'
        f"{recordings}</ResourceList><ReleaseList>{release}{groups}</Release></ReleaseList>"
        "</ern:NewReleaseMessage>"
    )
    assert [row.releases[0].position for row in rows(text)] == positions


def test_tracks_of_several_territories_are_counted_once() -> None:
    block = message().partition("<ReleaseDetailsByTerritory>")[2]
    block = block.partition("</ReleaseDetailsByTerritory>")[0]
    twice = f"<ReleaseDetailsByTerritory>{block.replace('Worldwide', 'DE', 1)}"
    text = message().replace(
        "<ReleaseDetailsByTerritory>", f"{twice}</ReleaseDetailsByTerritory>"
        "<ReleaseDetailsByTerritory>", 1,
    )  # fmt: skip
    assert [[release.position for release in row.releases] for row in rows(text)] == [[2], [1]]


def test_a_cover_is_no_track_whether_its_type_or_its_place_says_so() -> None:
    positions = [[2], [1]]
    untyped = message().replace("<ResourceType>Image</ResourceType>", "")
    assert [[release.position for release in row.releases] for row in rows(untyped)] == positions
    primary = message().replace("SecondaryResource", "PrimaryResource")
    assert [[release.position for release in row.releases] for row in rows(primary)] == positions


def test_a_release_without_groups_has_its_tracks_in_the_order_of_its_list() -> None:
    text = message()
    start, end = text.index("<ResourceGroup>"), text.index("<ReleaseDate>")
    listed = "".join(
        f"<ReleaseResourceReference>{reference}</ReleaseResourceReference>"
        for reference in ("A2", "A1")
    )
    text = text[:start] + text[end:]
    text = text.replace(
        "<ReleaseType>Album",
        f"<ReleaseResourceReferenceList>{listed}</ReleaseResourceReferenceList><ReleaseType>Album",
    )
    assert [[release.position for release in row.releases] for row in rows(text)] == [[2], [1]]


def test_a_work_that_is_not_in_the_list_is_a_problem() -> None:
    text = message().replace("<MusicalWorkReference>W1<", "<MusicalWorkReference>W9<")
    assert [problem.sentence for problem in rows(text)[0].problems if not problem.warning] == [
        "The work W1 is not in the work list."
    ]


@pytest.mark.django_db
def test_a_composer_who_is_displayed_is_no_main_artist(rosa: User) -> None:
    composer = (
        "<DisplayArtist><PartyName><FullName>J. S. Bach</FullName></PartyName>"
        "<ArtistRole>Composer</ArtistRole></DisplayArtist>"
        "<DisplayConductor><PartyName><FullName>A Conductor</FullName></PartyName>"
        "</DisplayConductor>"
    )
    imported(rosa, message().replace("<LabelName>", composer + "<LabelName>", 1).encode(), "a.xml")
    recording = Recording.objects.get(isrc="USSKG1912345")
    assert recording.works.get().credits.get(role="Composer", party__name="J. S. Bach")
    assert not recording.credits.filter(party__name="J. S. Bach").exists()
    assert recording.credits.get(party__name="A Conductor").role == "Conductor"


def test_a_date_without_a_day_is_left_out_and_its_release_does_not_wait() -> None:
    for date in ("2026", "2026-03"):
        first, _ = rows(message().replace(">2026-03-01<", f">{date}<"))
        assert [release.released_on for release in first.releases] == [""]
        assert f"The release's date, {date}, is no day; it is left out." in warnings(first)


@pytest.mark.parametrize(
    ("attributes", "value", "numbers"),
    [
        ('IsISNI="true"', "000000012281955X", {"isni": "000000012281955X"}),
        ('IsDPID="true"', "PADPIDA2014120301U", {"dpid": "PADPIDA2014120301U"}),
        ("", "PADPIDA2014120301U", {"dpid": "PADPIDA2014120301U"}),
        ('Namespace="IPI"', "00000000199", {"ipi_name": "00000000199"}),
        ('Namespace="DPID:PADPIDA2013020802I"', "4711", {}),
        ("", "4711", {}),
    ],
)
def test_numbers_of_parties_are_told_apart(
    attributes: str, value: str, numbers: dict[str, str]
) -> None:
    text = message().replace(
        '<PartyId IsISNI="true">000000012281955X<', f"<PartyId {attributes}>{value}<"
    )
    assert rows(text)[0].artists[0].numbers == numbers


# --- Which messages are read ----------------------------------------------------------------------

ROOT = '<ern:NewReleaseMessage xmlns:ern="http://ddex.net/xml/ern/382"'


@pytest.mark.parametrize(
    ("root", "words"),
    [
        ('<x:NewReleaseMessage xmlns:x="http://ddex.net/xml/ern/50"', "message of ERN 5.0, which"),
        ('<x:NewReleaseMessage xmlns:x="http://ddex.net/xml/ern/2"', "message of ERN 2, which"),
        ('<x:NewReleaseMessage xmlns:x="http://ddex.net/xml/ern/33"', "message of ERN 3.3, which"),
        (
            '<x:NewReleaseMessage xmlns:x="http://ddex.net/xml/2010/ern-main/312"',
            "message of ERN 3.1.2, which",
        ),
        (
            '<x:PurgeReleaseMessage xmlns:x="http://ddex.net/xml/ern/43"',
            "a PurgeReleaseMessage of DDEX: it takes a release back",
        ),
        (
            '<x:CatalogListMessage xmlns:x="http://ddex.net/xml/ern/382"',
            "a CatalogListMessage of DDEX: it lists a sender's releases without",
        ),
        (
            '<x:ManifestMessage xmlns:x="http://ddex.net/xml/ern-c/15"',
            "a ManifestMessage of DDEX: it lists the files",
        ),
        (
            '<x:MeadMessage xmlns:x="http://ddex.net/xml/mead/11"',
            r"a MeadMessage of DDEX \(mead 1.1\)",
        ),
        ("<NewReleaseMessage", "its first element is “NewReleaseMessage”, in no namespace"),
        ("<html", "its first element is “html”"),
    ],
)
def test_another_message_is_refused_by_its_name(root: str, words: str) -> None:
    with pytest.raises(BadFile, match=words) as refused:
        rows(f"{root}/>")
    assert len(str(refused.value)) < 400


@pytest.mark.parametrize("version", ["4", "41", "411", "42", "43", "431", "432"])
def test_every_version_of_ern_4_is_read(version: str) -> None:
    text = message().replace("/ern/382", f"/ern/{version}")
    assert [row.isrc for row in rows(text)] == ["US-SKG-19-12345", "USSKG1912346"]


# --- Messages without recordings ------------------------------------------------------------------


def without_recordings(resources: str) -> str:
    text = message()
    start, end = text.index("<ResourceList>"), text.index("</ResourceList>")
    return f"{text[:start]}<ResourceList>{resources}{text[end:]}"


def video(number: int) -> str:
    return f"<Video><ResourceReference>A{number}</ResourceReference><Text>words</Text></Video>"


@pytest.mark.parametrize(
    ("resources", "words"),
    [
        (
            video(1) + video(2) + video(3),
            "The message has 3 videos, but no sound recordings: only these are read.",
        ),
        (
            video(1) + "<Image/><SheetMusic/><Software/><Software/><Text/><Odd/><MIDI/>",
            (
                "The message has 2 programs, 1 video, 1 image, 1 piece of sheet music, 1 text, "
                "1 other resource and 1 MIDI file, but no sound recordings:"
            ),
        ),
        ("", "its releases only refer to A1, A2."),
        (
            "<SoundRecording><ResourceReference>A1</ResourceReference></SoundRecording>" * 2,
            "only refers to 2 sound recordings: it says neither title nor ISRC of any.",
        ),
    ],
)
def test_a_message_without_recordings_says_why_it_has_no_rows(resources: str, words: str) -> None:
    with pytest.raises(BadFile) as refused:
        rows(without_recordings(resources))
    assert words in str(refused.value)


def test_an_empty_message_says_so() -> None:
    with pytest.raises(BadFile, match="its ResourceList is empty"):
        rows(f"{ROOT}><ResourceList/></ern:NewReleaseMessage>")


@pytest.mark.django_db
def test_a_video_message_fails_its_job_with_the_sentence(rosa: User) -> None:
    from tests.rights.exchange.importing import checked

    job = checked(rosa, without_recordings(video(1)).encode(), "video.xml")
    assert job.state == ImportJob.State.FAILED
    assert job.error.startswith("The message has 1 video, but no sound recordings:")


def test_what_is_passed_over_beside_recordings_is_told_once() -> None:
    first, second = rows(message().replace("<Image>", video(8) + video(9) + "<Image>"))
    assert warnings(first) == [
        (
            "The message also has 2 videos and 1 image: passed over, since only sound recordings "
            "are read."
        )
    ]
    assert not any("passed over" in sentence for sentence in warnings(second))


def test_a_cover_alone_is_not_worth_a_word() -> None:
    assert warnings(rows(message())[0]) == []


def test_a_test_message_is_said_to_be_one() -> None:
    first, _ = rows(message().replace(">LiveMessage<", ">TestMessage<"))
    assert "The message calls itself a test" in warnings(first)[0]


# --- Files ----------------------------------------------------------------------------------------


def test_the_file_that_is_to_come_is_read_with_its_hash() -> None:
    first, second = rows(message())
    assert (first.expected_file, first.expected_hash) == (
        "A1_first.wav", "md5:5d41402abc4b2a76b9719d911017c592",
    )  # fmt: skip
    assert (second.expected_file, second.expected_hash) == ("", "")


@pytest.mark.parametrize(
    ("algorithm", "value", "stored"),
    [
        ("SHA1", "Hqx2EKbSLUUqfV/ZrxbyUlq/PPU=", "sha1:1eac7610a6d22d452a7d5fd9af16f2525abf3cf5"),
        ("SHA-1", "1EAC7610A6D22D452A7D5FD9AF16F2525ABF3CF5",
         "sha1:1eac7610a6d22d452a7d5fd9af16f2525abf3cf5"),
        ("SHA-256", "ab" * 32, f"sha256:{'ab' * 32}"),
    ],
)  # fmt: skip
def test_hashes_are_read_in_hexadecimal_and_base64(algorithm: str, value: str, stored: str) -> None:
    text = message().replace("5D41402ABC4B2A76B9719D911017C592", value)
    first, _ = rows(text.replace(">MD5<", f">{algorithm}<"))
    assert first.expected_hash == stored
    assert warnings(first) == []


@pytest.mark.parametrize("value", ["PENDING", "0" * 32, "5D41402A", "é" * 32, "ab" * 32])
def test_a_hash_that_is_none_is_left_out_with_a_warning(value: str) -> None:
    first, _ = rows(message().replace("5D41402ABC4B2A76B9719D911017C592", value))
    assert (first.expected_file, first.expected_hash) == ("A1_first.wav", "")
    assert warnings(first) == [f"“{value[:60]}” is no MD5 of a file; it is left out."]


def test_a_hash_of_an_unknown_kind_is_left_out_with_a_warning() -> None:
    first, _ = rows(message().replace(">MD5<", ' UserDefinedValue="CRC32">UserDefined<'))
    assert first.expected_hash == ""
    assert "of the kind “CRC32”" in warnings(first)[0]


@pytest.mark.parametrize(
    "name", ["../A1_first.wav", "/etc/A1_first.wav", r"C:\in\A1_first.wav", "A1_first.wav"]
)
def test_a_files_name_has_no_folders(name: str) -> None:
    assert rows(message().replace(">A1_first.wav<", f">{name}<"))[0].expected_file == "A1_first.wav"
