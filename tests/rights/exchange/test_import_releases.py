"""A release with a fault of its own waits; its recordings are entered, and get it later."""

import json
from typing import Any

import pytest

from portal.models import User
from rights.models import ImportJob, Party, Recording, Release
from tests.rights.exchange.importing import checked, counts, imported, song, table, told, upc

pytestmark = pytest.mark.django_db
RIGHT, WRONG = "4006381333931", "4006381333932"
WAITS = "The release “Lights” waits: correct this, and import the file again."


def album(number: str = RIGHT, *, tracks: int = 14, extra: str = "") -> bytes:
    """A message of ERN 4 with one album."""
    recordings = "".join(
        f"<SoundRecording><ResourceReference>A{n}</ResourceReference>"
        f"<ResourceId><ISRC>USSKG19{n:05d}</ISRC></ResourceId>"
        f"<DisplayTitleText>Light {n}</DisplayTitleText>"
        "<DisplayArtist><ArtistPartyReference>P1</ArtistPartyReference></DisplayArtist>"
        "</SoundRecording>"
        for n in range(1, tracks + 1)
    )
    items = "".join(
        f"<ResourceGroupContentItem><SequenceNumber>{n}</SequenceNumber>"
        f"<ReleaseResourceReference>A{n}</ReleaseResourceReference></ResourceGroupContentItem>"
        for n in range(1, tracks + 1)
    )
    return (
        '<ern:NewReleaseMessage xmlns:ern="http://ddex.net/xml/ern/43"><PartyList>'
        "<Party><PartyReference>P1</PartyReference>"
        "<PartyName><FullName>Jane Doe</FullName></PartyName></Party>"
        "<Party><PartyReference>P2</PartyReference>"
        "<PartyName><FullName>Good Label</FullName></PartyName></Party></PartyList>"
        f"<ResourceList>{recordings}</ResourceList><ReleaseList><Release>"
        f"<ReleaseId><ICPN>{number}</ICPN></ReleaseId><DisplayTitleText>Lights</DisplayTitleText>"
        "<ReleaseLabelReference>P2</ReleaseLabelReference>"
        f"{extra}<ResourceGroup>{items}</ResourceGroup></Release></ReleaseList>"
        "</ern:NewReleaseMessage>"
    ).encode()


def outcome(job: ImportJob) -> tuple[int, int, int, int]:
    return job.added, job.changed, job.unchanged, job.refused


def test_a_wrong_release_number_does_not_lose_the_recordings(rosa: User) -> None:
    job = imported(rosa, album(WRONG), "album.xml")
    assert outcome(job) == (14, 0, 0, 0)
    assert Recording.objects.count() == 14
    assert not Release.objects.exists()
    problems = job.problems.all()
    assert {(problem.field, problem.warning) for problem in problems} == {("upc", True)}
    assert {problem.row for problem in problems} == set(range(1, 15))
    sentence = problems[0].sentence
    assert "would have to be 1, not 2" in sentence
    assert sentence.endswith(WAITS)


def test_a_label_that_only_a_waiting_release_names_is_not_entered(rosa: User) -> None:
    imported(rosa, album(WRONG), "album.xml")
    assert list(Party.objects.values_list("name", flat=True)) == ["Jane Doe"]


def test_the_corrected_file_adds_the_release_to_the_recordings(rosa: User) -> None:
    imported(rosa, album(WRONG), "album.xml")
    recordings = set(Recording.objects.values_list("pk", flat=True))
    job = imported(rosa, album(), "album.xml")
    assert outcome(job) == (0, 14, 0, 0)
    release = Release.objects.get()
    assert (release.upc, release.label) == (RIGHT, Party.objects.get(name="Good Label"))
    assert list(release.tracks.values_list("position", "recording__isrc")) == [
        (n, f"USSKG19{n:05d}") for n in range(1, 15)
    ]
    assert set(Recording.objects.values_list("pk", flat=True)) == recordings
    before = counts()
    assert outcome(imported(rosa, album(), "album.xml")) == (0, 0, 14, 0)
    assert counts() == before


def test_the_same_wrong_file_again_changes_nothing(rosa: User) -> None:
    imported(rosa, album(WRONG), "album.xml")
    before = counts()
    assert outcome(imported(rosa, album(WRONG), "album.xml")) == (0, 0, 14, 0)
    assert counts() == before


def test_the_check_counts_what_comes_of_it(rosa: User) -> None:
    dry, real = checked(rosa, album(WRONG), "a.xml"), imported(rosa, album(WRONG), "a.xml")
    assert outcome(dry) == outcome(real)
    assert told(dry) == told(real)


@pytest.mark.parametrize(
    ("cells", "field"),
    [
        ({"UPC": WRONG}, "upc"),
        ({"GRid": "A1"}, "grid"),
        ({"Release date": "soon"}, "release_date"),
        ({"Track number": "B2"}, "track_number"),
        ({"Album": "x" * 301}, "release_title"),
        ({"Album": "a\x93b"}, "release_title"),
        ({"Label": "x" * 201}, "label"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_each_fault_of_a_release_alone_lets_it_wait(
    rosa: User, cells: dict[str, str], field: str
) -> None:
    job = imported(rosa, table([song(1, **cells)]))
    assert outcome(job) == (1, 0, 0, 0), told(job)
    assert {(problem.field, problem.warning) for problem in job.problems.all()} == {(field, True)}
    assert Recording.objects.get().title == "Song 1"
    assert not Release.objects.exists()
    assert not Party.objects.filter(name__startswith="xx").exists()


def test_a_long_title_does_not_cut_off_what_to_do(rosa: User) -> None:
    imported(rosa, table([song(1, Album="x" * 300)]))
    job = imported(rosa, table([song(2, Album="y" * 300)]))
    sentence = told(job)[0][2]
    assert len(sentence) <= 400
    assert sentence.endswith(f"“{'y' * 60}” waits: correct this, and import the file again.")


def test_a_fault_of_a_recording_or_work_refuses_it_with_a_release_that_waits(rosa: User) -> None:
    job = imported(
        rosa, table([song(1, UPC=WRONG, ISWC="T-1"), song(2, UPC=WRONG, ISRC="US-1")])
    )  # fmt: skip
    assert outcome(job) == (0, 0, 0, 2)
    assert sorted(job.problems.values_list("row", "field", "warning")) == [
        (1, "iswc", False), (1, "upc", True), (2, "isrc", False), (2, "upc", True),
    ]  # fmt: skip
    assert not Recording.objects.exists()


def test_the_tracks_that_are_right_have_their_release_at_once(rosa: User) -> None:
    rows = [song(n, UPC=upc(0) if n else WRONG) for n in range(3)]
    assert outcome(imported(rosa, table(rows))) == (3, 0, 0, 0)
    release = Release.objects.get()
    assert list(release.tracks.values_list("position", flat=True)) == [2, 3]
    rows[0]["UPC"] = upc(0)
    assert outcome(imported(rosa, table(rows))) == (0, 1, 2, 0)
    assert list(release.tracks.values_list("position", flat=True)) == [1, 2, 3]


# --- What does not fit what is here ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("cells", "field", "words"),
    [
        ({"Album": "Another"}, "release_title", "It is “Album 0” here and “Another” in the file"),
        ({"Track number": "2"}, "track_number", "Track 2 of “Album 0” is “Song 1” already."),
        ({"Label": "Label 9"}, "label", "The label of “Album 0” is Label 1 here and Label 9"),
        ({"Release date": "2026-01-02"}, "release_date", "It is “2026-01-01” here"),
    ],
)
def test_a_conflict_of_a_release_alone_lets_it_wait(
    rosa: User, cells: dict[str, str], field: str, words: str
) -> None:
    usual = {"Label": "Label 1", "Release date": "2026-01-01"}
    imported(rosa, table([song(1, **usual)]))
    job = imported(rosa, table([song(2, **(usual | cells))]))
    assert outcome(job) == (1, 0, 0, 0), told(job)
    problem = job.problems.get()
    assert (problem.field, problem.warning) == (field, True)
    assert words in problem.sentence
    release = Release.objects.get()
    assert [track.recording.isrc for track in release.tracks.all()] == ["QZXYZ2600001"]
    assert not Party.objects.filter(name="Label 9").exists()


def test_a_conflict_of_two_rows_of_one_file_lets_the_second_ones_release_wait(rosa: User) -> None:
    rows = [song(1), song(2, **{"Track number": "2"})]
    job = imported(rosa, table(rows))
    assert outcome(job) == (2, 0, 0, 0)
    assert [(row, field) for row, field, _ in told(job)] == [(2, "track_number")]
    assert Release.objects.get().tracks.count() == 1


def test_a_release_that_has_no_title_waits_for_it(rosa: User) -> None:
    job = imported(rosa, table([song(1, Album="", UPC=RIGHT)]))
    assert outcome(job) == (1, 0, 0, 0)
    assert told(job)[0][2] == (
        "This release is not here yet: it needs a title. The release “4006381333931” waits: "
        "correct this, and import the file again."
    )


def test_a_party_that_a_waiting_release_would_add_can_still_be_another_rows(rosa: User) -> None:
    rows = [
        song(1, UPC=upc(0), Album="One", Label="Lab"),
        song(2, UPC=upc(0), Album="Two", Label="New label"),
        song(3, UPC=upc(1), Album="Three", Label="New label"),
    ]
    assert outcome(imported(rosa, table(rows))) == (3, 0, 0, 0)
    assert Release.objects.get(title="Three").label == Party.objects.get(name="New label")


# --- Our JSON -------------------------------------------------------------------------------------


def document(*releases: Any) -> bytes:
    recording = {
        "title": "First light", "isrc": "USSKG1912345", "releases": list(releases),
        "credits": [{"party": {"name": "Jane Doe"}, "role": "MainArtist"}],
    }  # fmt: skip
    value = {"format": "backline.catalogue/1", "recordings": [recording]}
    return json.dumps(value).encode()


@pytest.mark.parametrize(
    "faulty",
    [
        {"title": "Lights", "upc": WRONG}, {"title": "Lights", "track": 0},
        {"title": "Lights", "track": "one"}, {"title": "Lights", "cover": "a.jpg"},
        {"title": "Lights", "released_on": 2026}, {"title": 7}, 7, None,
    ],
    ids=str,
)  # fmt: skip
def test_a_faulty_release_of_a_document_waits_and_the_others_do_not(
    rosa: User, faulty: object
) -> None:
    job = imported(rosa, document(faulty, {"title": "Best of", "track": 3}), "a.json")
    assert outcome(job) == (1, 0, 0, 0), told(job)
    assert all(problem.warning for problem in job.problems.all())
    assert "waits: correct this, and import the file again." in told(job)[0][2]
    assert Release.objects.get().title == "Best of"


def test_a_label_of_a_release_that_waits_is_still_the_next_releases(rosa: User) -> None:
    imported(rosa, document({"title": "Lights", "upc": RIGHT}), "a.json")
    label = {"name": "New label", "numbers": {"isni": "000000012281955X"}}
    conflict = {"title": "Another", "upc": RIGHT, "label": label}
    job = imported(rosa, document(conflict, {"title": "Best of", "label": label}), "a.json")
    assert outcome(job) == (0, 1, 0, 0), told(job)
    party = Party.objects.get(name="New label")
    assert Release.objects.get(title="Best of").label == party
    assert party.identifiers.get().value == "000000012281955X"


def test_a_faulty_release_does_not_hide_another_fault(rosa: User) -> None:
    content = json.loads(document({"title": "Lights", "track": 0}))
    content["recordings"][0]["works"] = [{"iswc": 7}]
    job = imported(rosa, json.dumps(content).encode(), "a.json")
    assert outcome(job) == (0, 0, 0, 1)
    assert {field for _, field, _ in told(job)} >= {"works.0.iswc", "releases.0.track"}
