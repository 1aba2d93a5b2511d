"""The repertoire in the browser's terms: announced recordings, stems, releases, credits, works."""

from importlib import import_module

import pytest
from django.apps import apps
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from portal import audit
from portal.models import User
from rights import identifiers
from rights.catalogue import catalogue
from rights.consent import consent
from rights.errors import Refused
from rights.models import Credit, Party, Purpose, Recording, Release, Stem, Use, Work
from tests.catalogue import allow, make_party, make_recording
from tests.tones import tone

pytestmark = pytest.mark.django_db

HERE = consent.Context(Purpose.RESEARCH, "world", "backline")


@pytest.fixture
def party(rosa: User, noor: User) -> Party:
    return make_party(rosa, "Mira Sol", people=[noor])


@pytest.fixture
def song(rosa: User, party: Party) -> Recording:
    return make_recording(rosa, party, title="Tidal")


def audio(name: str, **how: float) -> SimpleUploadedFile:
    return SimpleUploadedFile(name, tone(**how).getvalue())  # type: ignore[arg-type]


def address(name: str, *args: object) -> str:
    return reverse(f"rights:{name}", args=args)


def test_a_recording_is_announced_and_gets_its_file_later(
    client: Client, rosa: User, party: Party
) -> None:
    client.force_login(rosa)
    given = {"title": "Not here yet", "isrc": "QZABC2699999", "new_work": "Not here yet"}
    client.post(address("upload"), given | {"artist": "Mira Sol"})
    row = Recording.objects.get()
    assert row.audio is None
    assert "Announced" in client.get(row.get_absolute_url()).content.decode()
    assert "announced" in client.get(address("recordings")).content.decode()
    assert client.get(address("recording_audio", row.pk)).status_code == 404
    reasons = consent.evaluate([row], Use.EVAL, HERE)[row.pk].reasons
    assert reasons[0]["code"] == "no_audio"
    wrong = client.post(
        address("recording_file", row.pk), {"file": SimpleUploadedFile("a.wav", b"nonsense")}
    )
    assert "could not be decoded" in wrong.context["file_form"].errors["file"][0]
    client.post(address("recording_file", row.pk), {"file": audio("a.flac", frequency=999)})
    row.refresh_from_db()
    assert row.audio is not None
    assert audit.history(row)[0].verb == "recording.audio"
    # A file is never exchanged: what was allowed was this one.
    again = client.post(address("recording_file", row.pk), {"file": audio("b.flac", frequency=998)})
    assert "has its file already" in again.context["file_form"].errors["file"][0]


def test_a_stem_is_added_listed_and_heard(
    client: Client, rosa: User, noor: User, lou: User, song: Recording
) -> None:
    client.force_login(rosa)
    stem = {"part": "vocals", "name": "Lead vocals"}
    client.post(
        address("recording_stem", song.pk),
        stem | {"file": audio("v.flac", seconds=1, frequency=5e2)},
    )
    row = Stem.objects.get()
    page = client.get(song.get_absolute_url()).content.decode()
    assert "Lead vocals" in page
    heard = address("stem_audio", song.pk, row.pk)
    assert client.get(heard).getvalue()[:4] == b"fLaC"
    long = client.post(
        address("recording_stem", song.pk), stem | {"file": audio("v.flac", seconds=9)}
    )
    assert "The stem is 9.0 s long" in long.context["stem_form"].errors["file"][0]
    assert "Lead vocals" in long.content.decode()
    # Whoever may hear the recording hears its parts; nobody else.
    other = make_recording(rosa, make_party(rosa))
    assert client.get(address("stem_audio", other.pk, row.pk)).status_code == 404
    client.force_login(noor)
    assert client.get(heard).status_code == 200
    assert client.post(address("recording_stem", song.pk), stem).status_code == 404
    client.force_login(lou)
    assert client.get(heard).status_code == 404


def test_a_release_has_its_tracks_in_order_and_its_numbers_checked(
    client: Client, *, rosa: User, ada: User, noor: User, song: Recording, party: Party
) -> None:
    other = make_recording(rosa, party, title="Estuary")
    client.force_login(rosa)
    given = {"title": "Tides", "label": "Mira Sol", "released_on": "2026-05-01"}
    given |= {"tracks": f"Estuary\n{song.isrc}"}
    wrong = client.post(address("release_new"), given | {"upc": "036000291453"})
    assert "is not a UPC" in wrong.context["form"].errors["upc"][0]
    lost = client.post(address("release_new"), given | {"tracks": "Estuary\nNo such song"})
    assert "There is no recording “No such song”" in lost.context["form"].errors["tracks"][0]
    client.post(address("release_new"), given | {"upc": "036000291452"})
    row = Release.objects.get()
    assert [track.recording for track in row.tracks.all()] == [other, song]
    client.force_login(ada)
    assert "Estuary" in client.get(row.get_absolute_url()).content.decode()
    assert list(client.get(address("releases"), {"q": "036000291452"}).context["page"]) == [row]
    assert row.get_absolute_url() in client.get(song.get_absolute_url()).content.decode()
    client.force_login(noor)
    assert client.get(row.get_absolute_url()).status_code == 404


def test_a_credit_has_a_role_of_its_own_and_its_own_wording(
    client: Client, rosa: User, song: Recording
) -> None:
    client.force_login(rosa)
    given = {"party": "Mira Sol", "role": "UserDefined", "display_text": "with sea by Mira"}
    wrong = client.post(address("recording_credit", song.pk), given)
    assert "Say what the role is" in wrong.context["credit_form"].errors["user_defined"][0]
    assert "with sea by Mira" in wrong.content.decode()
    client.post(address("recording_credit", song.pk), given | {"user_defined": "Field recordist"})
    assert Credit.objects.filter(user_defined="Field recordist").exists()
    page = client.get(song.get_absolute_url()).content.decode()
    assert "Field recordist" in page
    assert "with sea by Mira" in page


def test_a_work_carries_its_musicbrainz_id(client: Client, rosa: User) -> None:
    client.force_login(rosa)
    wrong = client.post(address("work_new"), {"title": "X", "mbid": "nonsense"})
    assert "is not a MusicBrainz id" in wrong.context["form"].errors["mbid"][0]
    number = "5b11f4ce-a62d-471e-81fc-a69a8278c7da"
    client.post(
        address("work_new"), {"title": "X", "mbid": f"https://musicbrainz.org/work/{number}"}
    )
    assert Work.objects.get().mbid == number
    assert number in client.get(Work.objects.get().get_absolute_url()).content.decode()


def test_a_form_stays_short_however_long_the_catalogue(
    client: Client, rosa: User, song: Recording
) -> None:
    """A list to choose from would hold a million recordings; rows are typed and looked up."""
    allow(rosa, song.credits.get().party, Use.EVAL)
    client.force_login(rosa)
    for name in ("grant_new", "upload", "release_new", "mandate_new", "agreement_new"):
        page = client.get(address(name)).content.decode()
        assert song.title not in page, name
        assert "hx-get" in page or name == "release_new"


# --- Numbers of releases have one form -----------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("036000291452", "036000291452"),
        ("0036000291452", "036000291452"),
        ("00036000291452", "036000291452"),
        # A spreadsheet has left out the zero.
        ("36000291452", "036000291452"),
        ("0-36000-29145-2", "036000291452"),
        ("4006381333931", "4006381333931"),
        ("04006381333931", "4006381333931"),
        ("96385074", "96385074"),
        ("0000096385074", "96385074"),
        ("10012345678902", "10012345678902"),
        ("", ""),
    ],
)
def test_upc_ean_and_gtin_of_one_number_are_one(text: str, number: str) -> None:
    assert identifiers.upc(text) == number


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("036000291453", "would have to be 2, not 3"),
        ("3.60003E+10", "rounded by a spreadsheet"),
        ("123", "has 8, 12, 13 or 14 digits"),
        ("\u0660" * 12, "has 8, 12, 13 or 14 digits"),
    ],
)
def test_a_wrong_upc_is_answered_by_its_digit(text: str, words: str) -> None:
    with pytest.raises(identifiers.BadIdentifier, match=words):
        identifiers.upc(text)


@pytest.mark.django_db
def test_a_release_is_found_by_each_form_of_its_number(client: Client, rosa: User) -> None:
    catalogue.add_release(by=rosa, title="Album", upc="0036000291452")
    with pytest.raises(Refused):
        catalogue.add_release(by=rosa, title="The same", upc="36000291452")
    client.force_login(rosa)
    for text in ("036000291452", "0036000291452", "00036000291452"):
        assert "Album" in client.get(address("releases"), {"q": text}).content.decode()


@pytest.mark.django_db
def test_older_numbers_get_the_one_form(rosa: User) -> None:
    migration = import_module("rights.migrations.0024_one_form_of_upcs")
    first = Release.objects.create(title="a", upc="0036000291452")
    kept = Release.objects.create(title="b", upc="4006381333931")
    double = Release.objects.create(title="c", upc="04006381333931")
    migration.one_form(apps, None)
    rows = dict(Release.objects.values_list("pk", "upc"))
    assert rows == {first.pk: "036000291452", kept.pk: kept.upc, double.pk: double.upc}
