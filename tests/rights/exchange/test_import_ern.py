"""DDEX messages: what they say is entered, and what they try is refused."""

import io

import pytest

from portal.models import User
from rights.exchange.importing.ern import ErnReader
from rights.exchange.importing.rows import BadFile, Row
from rights.models import ImportJob, Party, Recording, Release, Signal, SplitSheet, Use
from tests.rights.exchange.importing import checked, counts, imported, song, table, told

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
OLD = b'<ern:NewReleaseMessage xmlns:ern="http://ddex.net/xml/ern/33"/>'
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


# --- Where senders put the ISRC -------------------------------------------------------------------


def rows(text: str) -> list[Row]:
    return list(ErnReader(io.BytesIO(text.encode())).rows())


def with_ids(ids: str) -> Row:
    """The first recording with these numbers in place of its own."""
    text = message().decode()
    start = text.index("<SoundRecordingEdition>")
    end = text.index("</SoundRecordingEdition>") + len("</SoundRecordingEdition>")
    return rows(text[:start] + ids + text[end:])[0]


def sentences(row: Row, *, warning: bool) -> list[str]:
    return [problem.sentence for problem in row.problems if problem.warning == warning]


@pytest.mark.parametrize(("number", "own"), [("12", 12), ("1" + "0" * 30, None)])
def test_a_number_of_our_own_is_one_that_a_column_holds(number: str, own: int | None) -> None:
    text = (
        '<ern:NewReleaseMessage xmlns:ern="http://ddex.net/xml/ern/43"><ResourceList>'
        f'<SoundRecording><ResourceId><ProprietaryId Namespace="x">{number}</ProprietaryId>'
        "</ResourceId><DisplayTitleText>One</DisplayTitleText></SoundRecording>"
        "</ResourceList></ern:NewReleaseMessage>"
    )
    (row,) = ErnReader(io.BytesIO(text.encode()), portal="x").rows()
    assert row.own == own


def edition(isrc: str, kind: str = "") -> str:
    named = f"<Type>{kind}</Type>" if kind else ""
    return (
        f"<SoundRecordingEdition>{named}<ResourceId><ISRC>{isrc}</ISRC></ResourceId>"
        "</SoundRecordingEdition>"
    )


@pytest.mark.parametrize(
    "ids",
    [
        "<SoundRecordingId><ISRC>USSKG1912345</ISRC></SoundRecordingId>",
        "<ResourceId><ISRC>USSKG1912345</ISRC></ResourceId>",
        edition("USSKG1912345"),
        edition("USSKG1912345", "NonImmersiveEdition"),
        edition("USSKG1912345", "ImmersiveEdition"),
        (
            "<SoundRecordingId><ProprietaryId Namespace='x'>7</ProprietaryId></SoundRecordingId>"
            "<SoundRecordingId><ISRC>USSKG1912345</ISRC></SoundRecordingId>"
        ),
        edition("USSKG1912345")
        + "<SoundRecordingId><ISRC>US-SKG-19-12345</ISRC></SoundRecordingId>",
        edition("USSKG1912345") + "<ResourceId><ISRC>usskg1912345</ISRC></ResourceId>",
        (
            "<ResourceId IsReplaced='true'><ISRC>USSKG1900000</ISRC></ResourceId>"
            "<ResourceId><ISRC>USSKG1912345</ISRC></ResourceId>"
        ),
    ],
)
def test_an_isrc_is_read_wherever_it_stands(ids: str) -> None:
    row = with_ids(ids)
    assert (row.isrc, sentences(row, warning=False)) == ("USSKG1912345", [])


@pytest.mark.parametrize(
    "ids",
    [
        edition("USSKG1912345") + edition("USSKG1912399"),
        edition("USSKG1912345") + "<ResourceId><ISRC>USSKG1912399</ISRC></ResourceId>",
        "<ResourceId><ISRC>USSKG1912345</ISRC><ISRC>USSKG1912399</ISRC></ResourceId>",
    ],
)
def test_two_isrcs_of_one_recording_are_a_problem(ids: str) -> None:
    (sentence,) = sentences(with_ids(ids), warning=False)
    assert sentence.startswith(
        "The message gives the recording several ISRCs, USSKG1912345 and USSKG1912399."
    )


def test_the_isrc_of_an_immersive_edition_is_passed_over_with_a_warning() -> None:
    row = with_ids(
        edition("USSKG1912399", "ImmersiveEdition") + edition("USSKG1912345", "NonImmersiveEdition")
    )
    assert (row.isrc, sentences(row, warning=False)) == ("USSKG1912345", [])
    assert sentences(row, warning=True) == [
        (
            "Its immersive edition has the ISRC USSKG1912399, which is another recording; it is "
            "passed over."
        )
    ]


@pytest.mark.parametrize(
    "details",
    [
        (
            "<TechnicalDetails><DeliveryFile><Type>AudioFile</Type><File><URI>resources/A%201.wav</URI>"
            "<HashSum><Algorithm>SHA-256</Algorithm><HashSumValue>{digest}</HashSumValue></HashSum>"
            "</File></DeliveryFile></TechnicalDetails>"
        ),
        (
            "<TechnicalDetails><IsClip>true</IsClip><File><URI>clip.mp3</URI></File></TechnicalDetails>"
            "<TechnicalDetails><File><URI>file:///in/A%201.wav</URI><HashSum><Algorithm><Value>SHA256"
            "</Value></Algorithm><HashSumValue>{digest}</HashSumValue></HashSum></File>"
            "</TechnicalDetails>"
        ),
    ],
)
@pytest.mark.parametrize("inside", [True, False])
def test_the_file_that_is_to_come_is_read_with_its_hash(details: str, inside: bool) -> None:
    details = details.format(digest="AB" * 32)
    whole = edition("USSKG1912345")
    row = with_ids(
        whole.replace("</SoundRecordingEdition>", f"{details}</SoundRecordingEdition>")
        if inside
        else whole + details
    )
    assert (row.expected_file, row.expected_hash) == ("A 1.wav", f"sha256:{'ab' * 32}")


def test_a_partys_wrong_number_is_a_problem_of_each_of_its_recordings(rosa: User) -> None:
    job = checked(rosa, message().replace(b"000000012281955X", b"0000000122819551"), "release.xml")
    assert job.refused == 2


# --- Titles and names in several scripts ----------------------------------------------------------


def titled(titles: str, *, language: str = "en") -> Row:
    text = message().decode().replace("<DisplayTitleText>First light</DisplayTitleText>", titles)
    text = text.replace('LanguageAndScriptCode="en"', f'LanguageAndScriptCode="{language}"')
    return rows(text)[0]


DEFAULT = 'IsDefault="true"'


@pytest.mark.parametrize(
    ("titles", "title", "others"),
    [
        (
            ('<DisplayTitleText LanguageAndScriptCode="ja-Jpan">初光</DisplayTitleText>'
            f"<DisplayTitleText {DEFAULT}>Hatsuhikari</DisplayTitleText>"),
            "Hatsuhikari", ["初光"],
        ),
        (
            (f'<DisplayTitleText ApplicableTerritoryCode="JP" {DEFAULT}>初光</DisplayTitleText>'
            f'<DisplayTitleText ApplicableTerritoryCode="Worldwide" {DEFAULT}>Hatsuhikari'
            "</DisplayTitleText>"),
            "Hatsuhikari", ["初光"],
        ),
        (
            ('<DisplayTitleText LanguageAndScriptCode="ja-Jpan">初光</DisplayTitleText>'
            '<DisplayTitleText LanguageAndScriptCode="en">Hatsuhikari</DisplayTitleText>'),
            "Hatsuhikari", ["初光"],
        ),
        (
            ("<DisplayTitleText>Hatsuhikari</DisplayTitleText>"
            "<DisplayTitleText>初光</DisplayTitleText>"
            "<DisplayTitle><TitleText>Hatsuhikari</TitleText><SubTitle>Live</SubTitle>"
            "</DisplayTitle>"
            '<AdditionalTitle TitleType="TranslatedTitle"><TitleText>First light</TitleText>'
            "</AdditionalTitle>"
            "<AlternativeTitle><TitleText>HATSUHIKARI</TitleText></AlternativeTitle>"),
            "Hatsuhikari", ["初光", "Hatsuhikari (Live)", "First light"],
        ),
        (
            ('<Title TitleType="TranslatedTitle"><TitleText>First light</TitleText></Title>'
            '<Title TitleType="OriginalTitle"><TitleText>初光</TitleText></Title>'
            '<Title TitleType="FormalTitle"><TitleText>Hatsuhikari</TitleText></Title>'),
            "Hatsuhikari", ["初光", "First light"],
        ),
        (
            ("<DisplayTitle><TitleText>Light</TitleText><SubTitle>Live</SubTitle>"
            "<SubTitle>Remaster</SubTitle></DisplayTitle>"),
            "Light (Live) (Remaster)", [],
        ),
        (
            ("<DisplayTitle><TitleText>Light (Live)</TitleText><SubTitle>live</SubTitle>"
            "</DisplayTitle>"),
            "Light (Live)", [],
        ),
        ("<DisplayTitleText/><DisplayTitleText>光</DisplayTitleText>", "光", []),
    ],
)  # fmt: skip
def test_the_default_title_is_the_title(titles: str, title: str, others: list[str]) -> None:
    row = titled(titles)
    assert (row.title, row.other_titles, row.problems) == (title, others, [])


BOTH_TITLES = (
    f"<DisplayTitleText {DEFAULT}>Hatsuhikari</DisplayTitleText>"
    "<DisplayTitleText>First light</DisplayTitleText>"
)


@pytest.mark.django_db
def test_a_title_in_another_script_is_no_other_title(rosa: User) -> None:
    imported(rosa, message(), "release.xml")
    both = message().decode().replace(
        "<DisplayTitleText>First light</DisplayTitleText>", BOTH_TITLES
    ).replace(
        "<DisplayTitleText>Lights</DisplayTitleText>",
        f"<DisplayTitleText {DEFAULT}>Hikari</DisplayTitleText>"
        "<DisplayTitleText>Lights</DisplayTitleText>",
    ).encode()  # fmt: skip
    before = counts()
    again = imported(rosa, both, "release.xml")
    assert (again.unchanged, again.added, again.changed) == (2, 0, 0), told(again)
    assert counts() == before
    imported(rosa, both, "release.xml", update_titles=True)
    assert Recording.objects.get(isrc="USSKG1912345").title == "Hatsuhikari"
    assert Release.objects.get().title == "Hikari"


def with_parties(*parties: str) -> list[Row]:
    """The message with these parties, whose references are P1, P2 and so on."""
    text = message().decode()
    start, end = text.index("<PartyList>"), text.index("</PartyList>")
    listed = "".join(
        f"<Party><PartyReference>P{number}</PartyReference>{party}</Party>"
        for number, party in enumerate(parties, start=1)
    )
    return rows(f"{text[:start]}<PartyList>{listed}{text[end:]}")


def spelled(*names: str, ascii_name: str = "", isni: str = "", default: int = -1) -> str:
    transcribed = (
        ascii_name and f"<FullNameAsciiTranscribed>{ascii_name}</FullNameAsciiTranscribed>"
    )
    party_names = "".join(
        f"<PartyName {DEFAULT if place == default else ''}><FullName>{name}</FullName>{transcribed}"
        "</PartyName>"
        for place, name in enumerate(names)
    )
    return party_names + (f"<PartyId><ISNI>{isni}</ISNI></PartyId>" if isni else "")


def names_in(row: Row) -> set[str]:
    return {party.name for party in row.parties()}


def test_the_first_or_default_name_of_a_party_is_its_name() -> None:
    first, _ = with_parties(
        spelled("片山", "Katayama"), spelled("光", "Hikari", default=1), spelled("L")
    )
    assert names_in(first) == {"片山", "Hikari", "L"}


def test_a_name_in_parts_is_put_together() -> None:
    parts = (
        "<PartyName><KeyName>Doe</KeyName><NamesBeforeKeyName>Jane</NamesBeforeKeyName></PartyName>"
    )
    first, _ = with_parties(parts, spelled("M"), spelled("L"))
    assert "Jane Doe" in names_in(first)


@pytest.mark.parametrize("order", [1, -1])
def test_a_party_in_two_scripts_is_one_party_of_the_message(order: int) -> None:
    parties = [spelled("片山", "Katayama"), spelled("Katayama")][::order]
    first, _ = with_parties(*parties, spelled("L"))
    assert names_in(first) == {"片山", "L"}


def test_a_transcription_of_a_party_is_the_same_party() -> None:
    first, _ = with_parties(
        spelled("片山", ascii_name="Katayama"), spelled("Katayama"), spelled("L")
    )
    assert names_in(first) == {"片山", "L"}


def test_parties_that_name_each_other_are_one() -> None:
    first, _ = with_parties(spelled("片山", "Katayama"), spelled("Katayama", "片山"), spelled("L"))
    assert names_in(first) == {"片山", "L"}


def test_a_transcription_that_fits_two_people_is_neither_of_them() -> None:
    first, _ = with_parties(
        spelled("李娜", ascii_name="Li Na"), spelled("李那", ascii_name="Li Na"), spelled("Li Na")
    )
    assert names_in(first) == {"李娜", "李那", "Li Na"}


def test_a_spelling_with_another_number_is_another_party() -> None:
    first, _ = with_parties(
        spelled("李娜", ascii_name="Li Na", isni="000000012281955X"),
        spelled("Li Na", isni="0000000121032683"),
        spelled("L"),
    )
    assert names_in(first) == {"李娜", "Li Na", "L"}


@pytest.mark.django_db
def test_a_message_in_two_scripts_makes_each_party_once(rosa: User) -> None:
    text = message().decode().replace(
        "<FullName>Jane Doe</FullName></PartyName>",
        "<FullName>Jane Doe</FullName></PartyName>"
        "<PartyName><FullName>ジェーン</FullName></PartyName>",
    ).replace("Max &amp; Co", "ジェーン")  # fmt: skip
    imported(rosa, text.encode(), "release.xml")
    assert sorted(Party.objects.values_list("name", flat=True)) == ["Good Label", "Jane Doe"]


@pytest.mark.django_db
def test_an_artist_who_is_credited_by_another_spelling_is_no_further_artist(rosa: User) -> None:
    unnumbered = message().decode().replace("<ISNI>000000012281955X</ISNI>", "")
    imported(rosa, unnumbered.encode(), "release.xml")
    text = unnumbered.replace(
        "<PartyName><FullName>Jane Doe<",
        "<PartyName><FullName>ジェーン</FullName></PartyName><PartyName><FullName>Jane Doe<",
    )  # fmt: skip
    before = counts()
    again = imported(rosa, text.encode(), "release.xml")
    assert (again.unchanged, again.refused) == (2, 0), told(again)
    assert counts() == before


@pytest.mark.django_db
def test_a_spelling_alone_makes_nobody_of_another_recording_the_same(rosa: User) -> None:
    imported(rosa, table([song(1, Artist="Katayama")]))
    text = message().decode().replace(
        "<PartyName><FullName>Jane Doe<",
        "<PartyName><FullName>片山</FullName></PartyName><PartyName><FullName>Katayama<",
    ).replace("<ISNI>000000012281955X</ISNI>", "")  # fmt: skip
    imported(rosa, text.encode(), "release.xml")
    artist = Recording.objects.get(isrc="USSKG1912345").credits.get(role="MainArtist")
    assert artist.party.name == "片山"


@pytest.mark.django_db
def test_a_number_and_a_spelling_together_name_a_party_that_is_here(rosa: User) -> None:
    imported(rosa, table([song(1, Artist="Jane Doe", **{"Artist ISNI": "000000012281955X"})]))
    text = message().decode().replace(
        "<PartyName><FullName>Jane Doe<",
        "<PartyName><FullName>ジェーン</FullName></PartyName><PartyName><FullName>Jane Doe<",
    )  # fmt: skip
    job = imported(rosa, text.encode(), "release.xml")
    assert job.added == 2, told(job)
    assert not Party.objects.filter(name="ジェーン").exists()
