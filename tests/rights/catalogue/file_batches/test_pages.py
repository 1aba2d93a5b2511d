"""The pages of file batches: sent, read, decided, confirmed, by a rights admin alone."""

import csv
import io
import json
import re

import pytest
from django.conf import LazySettings
from django.core.files.uploadedfile import SimpleUploadedFile
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse

from portal.models import User
from rights.catalogue.file_batches import batches
from rights.forms.picks import label
from rights.models import BatchFile, FileBatch, Recording
from tests.catalogue import make_party
from tests.rights.catalogue.file_batches.files import (
    announce,
    attached,
    looked_at,
    received,
    row,
    sound,
    states,
    work_off,
    zipped,
)
from tests.rights.exchange.importing import imported, table
from tests.rights.exchange.importing import song as title_and_isrc

pytestmark = pytest.mark.django_db
State = BatchFile.State


@pytest.fixture
def admin(client: Client, rosa: User) -> Client:
    client.force_login(rosa)
    return client


def at(name: str, *numbers: int) -> str:
    return reverse(f"rights:{name}", args=numbers)


def text(response: object) -> str:
    streaming = getattr(response, "streaming_content", None)
    content = b"".join(streaming) if streaming is not None else response.content  # type: ignore[attr-defined]
    return content.decode("utf-8-sig")


def seal_of(page: str) -> str:
    found = re.search(r'name="shown" value="([^"]+)"', page)
    assert found
    return found[1]


def send(client: Client, **fields: object) -> FileBatch:
    response = client.post(at("file_batch_new"), fields)
    assert response.status_code == 302, text(response)
    return FileBatch.objects.latest("pk")


def upload(name: str, pitch: float = 300) -> SimpleUploadedFile:
    return SimpleUploadedFile(name, sound(pitch))


def test_the_whole_way(admin: Client, rosa: User) -> None:
    song = announce(rosa, "Song", isrc="QZABC2600001")
    content = zipped({"02 Unknown.wav": sound(400), "cover.jpg": b"x"})
    batch = send(admin, sent=[upload("Song.wav"), SimpleUploadedFile("a.zip", content)])
    page = text(admin.get(batch.get_absolute_url()))
    assert "Being looked at" in page
    assert 'hx-trigger="every 2s"' in page
    assert "HX-Refresh" not in admin.get(at("file_batch_progress", batch.pk)).headers
    work_off()
    assert "HX-Refresh" in admin.get(at("file_batch_progress", batch.pk)).headers
    page = text(admin.get(batch.get_absolute_url()))
    assert "Waits for a yes" in page
    assert "by its title" in page
    assert f'href="{song.get_absolute_url()}"' in page
    song.refresh_from_db()
    assert song.audio_id is None
    response = admin.post(
        at("file_batch_attach_all", batch.pk), {"shown": seal_of(page)}, follow=True
    )
    assert "Being attached" in text(response)
    work_off()
    song.refresh_from_db()
    assert song.audio_id is not None
    page = text(admin.get(batch.get_absolute_url()))
    assert "a.zip/02 Unknown.wav" in page
    assert "cover.jpg" in text(admin.get(batch.get_absolute_url() + "?show=nothing"))
    assert str(batch) in text(admin.get(at("file_batches")))


def test_a_folder_keeps_its_names_if_they_are_those_of_its_files(admin: Client) -> None:
    files = [upload("01.wav", 300), upload("02.wav", 400)]
    paths = ["LP/CD 1/01.wav", "LP/CD 1/02.wav"]
    batch = send(admin, folder=files, paths=json.dumps(paths))
    assert set(states(batch)) == set(paths)
    assert batch.name == "LP"


@pytest.mark.parametrize(
    "paths",
    ["", "no json", "[]", "{}", "null", '["a/01.wav"]', '["a/02.wav", "a/01.wav"]', "[1, 2]",
     '["a/01.wav", {"b": 1}]', "[" * 100_000],
    ids=range(10),
)  # fmt: skip
def test_names_of_a_folder_that_do_not_fit_are_not_believed(admin: Client, paths: str) -> None:
    batch = send(admin, folder=[upload("01.wav", 300), upload("02.wav", 400)], paths=paths)
    assert set(states(batch)) == {"01.wav", "02.wav"}


def test_nothing_chosen_is_said_beside_the_field(admin: Client) -> None:
    page = text(admin.post(at("file_batch_new"), {}))
    assert "Choose files, a folder or a zip." in page
    assert not FileBatch.objects.exists()


def test_too_many_files_are_refused_in_words(admin: Client, settings: LazySettings) -> None:
    settings.DATA_UPLOAD_MAX_NUMBER_FILES = 2
    files = [upload(f"{number}.wav", 300 + number) for number in range(3)]
    response = admin.post(at("file_batch_new"), {"sent": files})
    assert response.status_code == 413
    assert "More than 2 files came at once" in text(response)


def test_an_empty_file_and_an_odd_name_are_taken_and_told_of(admin: Client) -> None:
    batch = send(admin, sent=[SimpleUploadedFile("a\N{RIGHT-TO-LEFT OVERRIDE}b.wav", b"")])
    work_off()
    (only,) = batch.files.all()
    assert only.state == State.REFUSED
    assert "empty" in text(admin.get(batch.get_absolute_url()))


def test_only_those_that_are_ticked_are_attached(admin: Client, rosa: User) -> None:
    for title in ("One", "Two"):
        announce(rosa, title)
    batch = looked_at(rosa, {"One.wav": sound(300), "Two.wav": sound(400)})
    page = text(admin.get(batch.get_absolute_url()))
    # Nothing is chosen for anybody.
    assert "checked" not in page
    ticked = {"shown": seal_of(page), "file": [row(batch, "Two.wav").pk]}
    admin.post(at("file_batch_attach", batch.pk), ticked)
    work_off()
    assert states(batch) == {"One.wav": State.MATCHED, "Two.wav": State.ATTACHED}


def test_no_tick_attaches_nothing(admin: Client, rosa: User) -> None:
    announce(rosa, "One")
    batch = looked_at(rosa, {"One.wav": sound(300)})
    shown = {"shown": seal_of(text(admin.get(batch.get_absolute_url())))}
    response = admin.post(at("file_batch_attach", batch.pk), shown, follow=True)
    assert "Tick the files that are to be attached." in text(response)
    assert states(batch) == {"One.wav": State.MATCHED}


def test_a_file_of_another_batch_is_not_attached_by_its_number(admin: Client, rosa: User) -> None:
    for title in ("One", "Two"):
        announce(rosa, title)
    mine = looked_at(rosa, {"One.wav": sound(300)})
    other = looked_at(rosa, {"Two.wav": sound(400)})
    ticked = {"file": [row(other, "Two.wav").pk]}
    ticked["shown"] = seal_of(text(admin.get(mine.get_absolute_url())))  # type: ignore[assignment]
    admin.post(at("file_batch_attach", mine.pk), ticked)
    work_off()
    assert {**states(mine), **states(other)} == {"One.wav": State.MATCHED, "Two.wav": State.MATCHED}


def changed_by_a_choice(batch: FileBatch, rosa: User, song: Recording) -> None:
    batches.leave_out(row(batch, "Song.wav"), by=rosa)
    batches.choose(row(batch, "x.wav"), by=rosa, recording=song)


def changed_by_the_catalogue(batch: FileBatch, rosa: User, song: Recording) -> None:
    """The recording got its file on its own page."""
    attached(rosa, {"Song.aiff": sound(500)})


@pytest.mark.parametrize("change", [changed_by_a_choice, changed_by_the_catalogue])
def test_what_is_confirmed_is_what_was_shown(admin: Client, rosa: User, change: object) -> None:
    song = announce(rosa, "Song")
    batch = looked_at(rosa, {"Song.wav": sound(300), "x.wav": sound(400)})
    shown = {"shown": seal_of(text(admin.get(batch.get_absolute_url())))}
    change(batch, rosa, song)  # type: ignore[operator]
    response = admin.post(at("file_batch_attach_all", batch.pk), shown, follow=True)
    assert "is not what the page showed you" in text(response)
    assert State.ATTACHING not in states(batch).values()


@pytest.mark.parametrize("seal", ["", "made up"])
def test_without_the_seal_of_a_page_nothing_is_attached(
    admin: Client, rosa: User, seal: str
) -> None:
    announce(rosa, "Song")
    batch = looked_at(rosa, {"Song.wav": sound(300)})
    admin.post(at("file_batch_attach_all", batch.pk), {"shown": seal})
    assert states(batch) == {"Song.wav": State.MATCHED}


def choose(client: Client, batch: FileBatch, path: str, recording: str) -> HttpResponse:
    address = at("file_batch_choose", batch.pk, row(batch, path).pk)
    response: HttpResponse = client.post(address, {"recording": recording}, follow=True)
    return response


def test_an_uncertain_file_has_its_candidates_with_links_and_buttons(
    admin: Client, rosa: User
) -> None:
    songs = [announce(rosa, "Intro", make_party(rosa, name)) for name in ("Ada", "Bea")]
    batch = looked_at(rosa, {"Intro.wav": sound(300)})
    page = text(admin.get(batch.get_absolute_url()))
    assert "Not certain" in page
    for song, name in zip(songs, ("Ada", "Bea"), strict=True):
        assert f'href="{song.get_absolute_url()}">Intro</a>, {name}' in page
        assert f'name="recording" value="{label(song)}"' in page
    choose(admin, batch, "Intro.wav", label(songs[1]))
    found = row(batch, "Intro.wav")
    assert (found.state, found.recording) == (State.MATCHED, songs[1])
    assert "by Rosa Lindqvist" in text(admin.get(batch.get_absolute_url()))


def test_a_recording_that_is_not_there_is_said_beside_the_field_of_its_file(
    admin: Client, rosa: User
) -> None:
    announce(rosa, "Song")
    batch = looked_at(rosa, {"x.wav": sound(300), "y.wav": sound(400)})
    response = choose(admin, batch, "x.wav", "Nothing like it")
    assert response.status_code == 422
    page = text(response)
    assert "There is no recording “Nothing like it”." in page
    assert "y.wav" not in page
    assert '<details class="more small" open>' in page


def test_a_recording_that_has_its_file_is_refused_beside_the_field(
    admin: Client, rosa: User
) -> None:
    done = announce(rosa, "Done")
    attached(rosa, {"Done.wav": sound(400)})
    batch = looked_at(rosa, {"x.wav": sound(300)})
    response = choose(admin, batch, "x.wav", label(done))
    assert "“Done” has its file already" in text(response)


def test_leaving_out_comes_back_to_the_same_list(admin: Client, rosa: User) -> None:
    announce(rosa, "Song")
    batch = looked_at(rosa, {"Song.wav": sound(300)})
    address = at("file_batch_leave_out", batch.pk, row(batch, "Song.wav").pk)
    response = admin.post(address, {"show": "matched", "page": "1"})
    assert response.headers["Location"].endswith("?show=matched&page=1")
    assert states(batch) == {"Song.wav": State.LEFT_OUT}


def test_what_sounds_alike_is_said_with_its_question(admin: Client, rosa: User) -> None:
    for title in ("One", "Two"):
        announce(rosa, title)
    attached(rosa, {"One.wav": sound(300)})
    batch = attached(rosa, {"Two.flac": sound(300, "FLAC")})
    page = text(admin.get(batch.get_absolute_url()))
    assert "“Two” has the very same samples as “One”" in page
    assert "Listen to both and answer" in page


def test_what_did_not_match_is_a_file_too(admin: Client, rosa: User) -> None:
    song = announce(rosa, "Intro", make_party(rosa, "Ada"))
    other = announce(rosa, "Intro", make_party(rosa, "Bea"))
    announce(rosa, "Song")
    files = {
        "Intro.wav": sound(300),
        "Song.wav": sound(400),
        "=cmd().wav": sound(500),
        "a.txt": b"",
    }
    batch = looked_at(rosa, files)
    lines = list(csv.DictReader(io.StringIO(text(admin.get(at("file_batch_left_over", batch.pk))))))
    assert [line["file"] for line in lines] == ["'=cmd().wav", "Intro.wav"]
    assert lines[1]["state"] == "Not certain"
    assert lines[1]["possible recordings"] == f"{label(song)}; {label(other)}"


def test_discarding_says_what_it_takes_and_does_no_other(admin: Client, rosa: User) -> None:
    batch = looked_at(rosa, {"x.wav": sound(300)})
    address = at("file_batch_discard", batch.pk)
    page = text(admin.get(address))
    assert "Discard 1 file" in page
    assert admin.post(address, {"shown": ""}).status_code != 302
    batch.refresh_from_db()
    assert batch.state == FileBatch.State.READY
    assert admin.post(address, {"shown": seal_of(page)}).status_code == 302
    batch.refresh_from_db()
    assert batch.state == FileBatch.State.DISCARDED
    page = text(admin.get(batch.get_absolute_url()))
    assert "What was not attached is discarded." in page
    assert "Leave out" not in page


def test_a_seal_for_attaching_discards_nothing(admin: Client, rosa: User) -> None:
    announce(rosa, "Song")
    batch = looked_at(rosa, {"Song.wav": sound(300)})
    seal = seal_of(text(admin.get(batch.get_absolute_url())))
    admin.post(at("file_batch_discard", batch.pk), {"shown": seal})
    batch.refresh_from_db()
    assert batch.state == FileBatch.State.READY


def test_many_files_are_shown_in_pages(admin: Client, rosa: User) -> None:
    batch = looked_at(rosa, {f"{number:02d} x.wav": sound(300 + number) for number in range(30)})
    first = text(admin.get(batch.get_absolute_url()))
    second = text(admin.get(batch.get_absolute_url() + "?show=unmatched&page=2"))
    assert "00 x.wav" in first
    assert "29 x.wav" not in first
    assert "29 x.wav" in second


def test_names_of_files_are_text(admin: Client, rosa: User) -> None:
    batch = looked_at(rosa, {"<script>alert(1)<.wav": sound(300)})
    page = text(admin.get(batch.get_absolute_url()))
    assert "&lt;script&gt;" in page
    assert "<script>alert" not in page


def test_others_do_not_find_the_pages(client: Client, rosa: User, ada: User, olga: User) -> None:
    batch = received(rosa, {"x.wav": sound(300)})
    file = row(batch, "x.wav").pk
    for user in (ada, olga):
        client.force_login(user)
        for address in (
            at("file_batches"), at("file_batch_new"), batch.get_absolute_url(),
            at("file_batch_left_over", batch.pk), at("file_batch_discard", batch.pk),
        ):  # fmt: skip
            assert client.get(address).status_code == 404
        for address in (
            at("file_batch_attach_all", batch.pk), at("file_batch_choose", batch.pk, file),
            at("file_batch_leave_out", batch.pk, file), at("file_batch_again", batch.pk),
        ):  # fmt: skip
            assert client.post(address).status_code == 404


def test_what_is_still_without_a_file_is_a_list(admin: Client, rosa: User) -> None:
    announced_alone = reverse("rights:recordings") + "?file=announced"
    assert "Every recording has its file." in text(admin.get(announced_alone))
    for title in ("Arrived", "Expected"):
        announce(rosa, title)
    batch = attached(rosa, {"Arrived.wav": sound(300)})
    assert announced_alone in text(admin.get(batch.get_absolute_url()))
    page = text(admin.get(announced_alone))
    assert ("Expected" in page, "Arrived" in page) == (True, False)


def test_the_ways_there(admin: Client, rosa: User) -> None:
    new = f'href="{at("file_batch_new")}"'
    assert new in text(admin.get(reverse("rights:recordings")))
    assert new in text(admin.get(at("file_batches")))
    assert new in text(admin.get(imported(rosa, table([title_and_isrc(1)])).get_absolute_url()))
    song = announce(rosa, "Song", expected_file="take_1.wav", expected_hash="d" * 32)
    page = text(admin.get(song.get_absolute_url()))
    assert "take_1.wav" in page
    assert "md5:" + "d" * 32 in page
