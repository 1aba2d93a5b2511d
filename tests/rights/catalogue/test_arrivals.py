"""The same sound in other files, and the same recording twice, are told of when the file comes."""

import hashlib
import io
import struct
import unicodedata
from collections.abc import Callable

import numpy as np
import pytest
import soundfile
from django.core.files.uploadedfile import SimpleUploadedFile
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse

from portal.models import User
from rights.catalogue import catalogue
from rights.errors import Refused
from rights.models import Credit, Party, Recording, SoundQuestion
from tests.catalogue import make_party
from tests.rights.catalogue.test_sound_prints import RATE, played

pytestmark = pytest.mark.django_db


def samples(seed: int = 1) -> np.ndarray:
    """(frames, 2) of eight seconds of music in 16 bits."""
    return (played(seed, 8.0).T * 20_000).astype(np.int16)


def encoded(kind: str, bits: int = 16, seed: int = 1) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples(seed), RATE, format=kind, subtype=f"PCM_{bits}")
    return file.getvalue()


def broadcast(
    wav: bytes, chunk: bytes = b"bext", body: bytes = b"A take".ljust(602, b"\0")
) -> bytes:
    """The same WAV with one more chunk before its samples: a Broadcast Wave File."""
    rest = wav[12:]
    more = chunk + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)
    return wav[:4] + struct.pack("<I", 4 + len(more) + len(rest)) + wav[8:12] + more + rest


SAME = {
    "song.flac": lambda: encoded("FLAC"),
    "song.wav": lambda: encoded("WAV"),
    "song-24.wav": lambda: encoded("WAV", 24),
    "song-24.flac": lambda: encoded("FLAC", 24),
    "song.bwf": lambda: broadcast(encoded("WAV")),
    "song.rf64.wav": lambda: encoded("RF64"),
    "song.aiff": lambda: encoded("AIFF"),
    "song-24.aiff": lambda: encoded("AIFF", 24),
}
Made = Callable[[], bytes]


def add(by: User, content: bytes, name: str, title: str = "Song") -> Recording:
    return catalogue.add_recording(by=by, file=io.BytesIO(content), filename=name, title=title)


def pairs() -> list[tuple[str, str]]:
    """The FLAC before each other file, and after it."""
    others = [name for name in SAME if name != "song.flac"]
    return [("song.flac", name) for name in others] + [(name, "song.flac") for name in others]


@pytest.mark.parametrize(("first", "second"), pairs())
def test_the_same_samples_in_any_file_are_a_question(rosa: User, first: str, second: str) -> None:
    earlier = add(rosa, SAME[first](), first)
    later = add(rosa, SAME[second](), second)
    question = SoundQuestion.objects.get()
    assert (question.recording, question.other) == (later, earlier)
    assert question.same_samples


def test_one_sample_that_differs_is_no_longer_the_very_same(rosa: User) -> None:
    add(rosa, SAME["song.flac"](), "song.flac")
    audio = samples()
    audio[1_000] += 1
    file = io.BytesIO()
    soundfile.write(file, audio, RATE, format="WAV")
    add(rosa, file.getvalue(), "other.wav")
    assert not SoundQuestion.objects.get().same_samples


def test_the_very_file_is_refused_by_the_name_of_who_has_it(rosa: User) -> None:
    add(rosa, SAME["song.flac"](), "song.flac", title="First")
    with pytest.raises(Refused, match="in the catalogue as “First”"):
        add(rosa, SAME["song.flac"](), "renamed.flac")


def add_stem(by: User, recording: Recording, content: bytes) -> None:
    catalogue.add_stem(
        by=by, recording=recording, part="vocals", file=io.BytesIO(content), filename="v.wav"
    )


def test_a_recordings_very_file_as_a_part_of_another_is_a_question(rosa: User) -> None:
    song = add(rosa, SAME["song.flac"](), "song.flac")
    other = add(rosa, encoded("FLAC", seed=2), "other.flac")
    add_stem(rosa, other, SAME["song.flac"]())
    question = SoundQuestion.objects.get()
    assert (question.recording, question.other, question.same_samples) == (other, song, True)


def test_a_parts_very_file_as_a_recording_is_a_question(rosa: User) -> None:
    song = add(rosa, encoded("FLAC", seed=2), "song.flac")
    add_stem(rosa, song, SAME["song.wav"]())
    copy = add(rosa, SAME["song.wav"](), "copy.wav")
    question = SoundQuestion.objects.get()
    assert (question.recording, question.other, question.same_samples) == (copy, song, True)


def test_one_part_of_two_recordings_is_a_question(rosa: User) -> None:
    first = add(rosa, encoded("FLAC", seed=2), "first.flac")
    second = add(rosa, encoded("FLAC", seed=3), "second.flac")
    for recording in (first, second):
        add_stem(rosa, recording, SAME["song.wav"]())
    question = SoundQuestion.objects.get()
    assert (question.recording, question.other) == (second, first)


def test_a_recording_as_a_part_of_itself_is_none(rosa: User) -> None:
    song = add(rosa, SAME["song.flac"](), "song.flac")
    add_stem(rosa, song, SAME["song.flac"]())
    assert not SoundQuestion.objects.exists()


# --- What is said -----------------------------------------------------------------------------


def upload(client: Client, content: bytes, name: str = "song.wav", **more: object) -> HttpResponse:
    fields = {"title": "Again", "file": SimpleUploadedFile(name, content)} | more
    response: HttpResponse = client.post(reverse("rights:upload"), fields, follow=True)
    return response


def notes(response: HttpResponse) -> str:
    return response.content.decode().partition('id="notes"')[2].partition("</div>")[0]


def assert_said(response: HttpResponse, recording: str, other: str) -> None:
    said = notes(response)
    question = SoundQuestion.objects.get()
    assert f"“{recording}” has the very same samples as “{other}”" in said
    assert "used for nothing until" in said
    assert f'href="{reverse("rights:sound_question", args=[question.pk])}"' in said


def test_an_upload_says_what_it_sounds_like(client: Client, rosa: User) -> None:
    add(rosa, SAME["song.flac"](), "song.flac")
    client.force_login(rosa)
    assert_said(upload(client, SAME["song.wav"]()), "Again", "Song")


def test_the_file_of_an_announced_recording_says_it_too(client: Client, rosa: User) -> None:
    add(rosa, SAME["song.flac"](), "song.flac")
    known = catalogue.announce_recording(by=rosa, title="Announced")
    client.force_login(rosa)
    response = client.post(
        reverse("rights:recording_file", args=[known.pk]),
        {"file": SimpleUploadedFile("song.wav", SAME["song.wav"]())},
        follow=True,
    )
    assert_said(response, "Announced", "Song")


def test_a_stem_says_it_once(client: Client, rosa: User) -> None:
    add(rosa, SAME["song.flac"](), "song.flac")
    other = add(rosa, encoded("FLAC", seed=2), "other.flac", title="Other")
    client.force_login(rosa)
    address = reverse("rights:recording_stem", args=[other.pk])
    first = {"part": "vocals", "file": SimpleUploadedFile("v.wav", SAME["song.wav"]())}
    assert_said(client.post(address, first, follow=True), "Other", "Song")
    file = SimpleUploadedFile("d.wav", encoded("WAV", seed=4))
    assert "samples" not in notes(
        client.post(address, {"part": "drums", "file": file}, follow=True)
    )


def test_titles_in_what_is_said_are_text(client: Client, rosa: User) -> None:
    add(rosa, SAME["song.flac"](), "song.flac", title="<b>Song</b>")
    client.force_login(rosa)
    assert "“&lt;b&gt;Song&lt;/b&gt;”" in notes(upload(client, SAME["song.wav"]()))


@pytest.mark.parametrize("with_file", [True, False])
def test_the_isrc_of_an_announced_recording_leads_to_it(
    client: Client, rosa: User, *, with_file: bool
) -> None:
    known = catalogue.announce_recording(by=rosa, title="<i>Waits</i>", isrc="QZABC2600001")
    client.force_login(rosa)
    file = SimpleUploadedFile("song.wav", SAME["song.wav"]()) if with_file else ""
    response = client.post(
        reverse("rights:upload"), {"title": "Song", "isrc": "QZ-ABC-26-00001", "file": file}
    )
    page = response.content.decode()
    assert "“&lt;i&gt;Waits&lt;/i&gt;”, which is announced and has no file yet" in page
    assert f'<a href="{known.get_absolute_url()}#file">' in page
    assert 'id="file"' in client.get(known.get_absolute_url()).content.decode()
    assert Recording.objects.get() == known


def test_the_isrc_of_a_recording_with_its_file_is_refused_without_a_way_on(rosa: User) -> None:
    catalogue.add_recording(
        by=rosa, file=io.BytesIO(SAME["song.wav"]()), filename="a.wav", title="A",
        isrc="QZABC2600001",
    )  # fmt: skip
    with pytest.raises(Refused) as refusal:
        catalogue.announce_recording(by=rosa, title="B", isrc="QZABC2600001")
    assert refusal.value.code == "duplicate"


@pytest.fixture
def bea(rosa: User) -> Party:
    return make_party(rosa, "Bea Voice")


def announce(by: User, party: Party, title: str) -> Recording:
    recording = catalogue.announce_recording(by=by, title=title)
    catalogue.add_credit(by=by, subject=recording, party=party, role=Credit.RoleCode.MAIN_ARTIST)
    return recording


@pytest.mark.parametrize(
    "title",
    [
        "Café-Song",
        "CAFÉ  song",
        unicodedata.normalize("NFD", "Café Song!"),
        "Café Song (feat. Ada)",
    ],
)
def test_the_same_title_by_the_same_artist_is_a_warning(
    client: Client, rosa: User, bea: Party, title: str
) -> None:
    known = announce(rosa, bea, "Café Song")
    client.force_login(rosa)
    response = client.post(
        reverse("rights:upload"), {"title": title, "artist": f"#{bea.pk}"}, follow=True
    )
    assert Recording.objects.count() == 2
    assert "another recording of this title" in notes(response)
    assert f'href="{known.get_absolute_url()}"' in notes(response)


@pytest.mark.parametrize(
    ("title", "by_the_same"),
    [("Song (Dub Mix)", True), ("Songs", True), ("Song", False)],
    ids=["another mix", "another title", "somebody else's"],
)
def test_another_title_or_artist_is_none(
    client: Client, rosa: User, bea: Party, *, title: str, by_the_same: bool
) -> None:
    announce(rosa, bea, "Song")
    artist = bea if by_the_same else make_party(rosa, "Ada Remix")
    client.force_login(rosa)
    response = client.post(
        reverse("rights:upload"), {"title": title, "artist": f"#{artist.pk}"}, follow=True
    )
    assert "of this title" not in notes(response)


def test_an_artist_who_is_credited_later_is_looked_at_then(
    client: Client, rosa: User, bea: Party
) -> None:
    announce(rosa, bea, "Song")
    again = catalogue.announce_recording(by=rosa, title="song")
    client.force_login(rosa)
    response = client.post(
        reverse("rights:recording_credit", args=[again.pk]),
        {"party": f"#{bea.pk}", "role": Credit.RoleCode.MAIN_ARTIST.value},
        follow=True,
    )
    assert "another recording of this title" in notes(response)


@pytest.mark.parametrize(("expected", "warned"), [(True, False), (False, True)])
def test_a_file_with_another_hash_than_announced_comes_with_a_warning(
    rosa: User, *, expected: bool, warned: bool
) -> None:
    content = encoded("WAV")
    digest = hashlib.sha1(content if expected else b"another").hexdigest()  # noqa: S324
    known = catalogue.announce_recording(by=rosa, title="A", expected_hash=f"sha1:{digest}")
    catalogue.attach_audio(by=rosa, recording=known, file=io.BytesIO(content), filename="a.wav")
    assert any("hash of another file" in warning for warning in known.warnings) == warned
