"""What may come in as audio, and what each bad file is told."""

import io
import tracemalloc
from collections.abc import Callable

import numpy as np
import pytest
import soundfile

from portal import storage
from portal.models import AuditEvent, Blob, User
from rights.catalogue import audio_intake, catalogue
from rights.catalogue.catalogue import Refused
from rights.models import Recording
from tests.tones import tone

NOT_NUMBERS = np.full((44_100, 2), np.nan)


def written(audio: np.ndarray, rate: int, **options: str) -> io.BytesIO:
    file = io.BytesIO()
    soundfile.write(file, audio, rate, **options)
    file.seek(0)
    return file


@pytest.mark.parametrize(
    ("format", "extension", "name"),
    [("WAV", "wav", "WAV"), ("FLAC", "flac", "FLAC"), ("MP3", "mp3", "MP3"), ("OGG", "ogg", "Ogg")],
)
def test_the_four_formats_are_taken_in(format: str, extension: str, name: str) -> None:  # noqa: A002
    audio = audio_intake.examine(tone(format=format), filename=f"a.{extension}")
    assert (audio.format, audio.sample_rate, audio.channels) == (name, 44_100, 2)
    assert audio.duration == pytest.approx(2.0, abs=0.1)
    assert audio.lufs == pytest.approx(-11.15, abs=0.3)
    assert audio.warnings == []


def cut(file: io.BytesIO) -> io.BytesIO:
    return io.BytesIO(file.getvalue()[: len(file.getvalue()) // 2])


@pytest.mark.parametrize(
    ("file", "code"),
    [
        (io.BytesIO, "empty"),
        (lambda: io.BytesIO(b"no audio at all" * 100), "broken"),
        (lambda: io.BytesIO(np.random.default_rng(1).bytes(50_000)), "broken"),
        (lambda: cut(tone(format="WAV")), "truncated"),
        (lambda: written(np.zeros((0, 2)), 44_100, format="WAV"), "empty"),
        (lambda: written(np.zeros((44_100, 2)), 44_100, format="FLAC"), "silent"),
        (
            lambda: written(np.full((44_100, 2), np.nan), 44_100, format="WAV", subtype="FLOAT"),
            "not_finite",
        ),
        (lambda: tone(format="CAF"), "format"),
        (lambda: tone(channels=6, format="WAV"), "channels"),
        (lambda: tone(rate=2_000, format="WAV"), "rate"),
    ],
)
def test_unusable_files_are_refused(file: Callable[[], io.BytesIO], code: str) -> None:
    with pytest.raises(audio_intake.BadAudio) as refusal:
        audio_intake.examine(file(), filename="a.wav")
    assert refusal.value.code == code
    assert str(refusal.value).endswith(".")


def test_a_flac_that_breaks_off_is_refused() -> None:
    rng = np.random.default_rng(1)
    file = written(rng.uniform(-0.5, 0.5, (200_000, 2)), 44_100, format="FLAC")
    with pytest.raises(audio_intake.BadAudio) as refusal:
        audio_intake.examine(cut(file), filename="a.flac")
    assert refusal.value.code in {"truncated", "broken"}


@pytest.mark.parametrize(
    ("file", "filename", "warning"),
    [
        (lambda: tone(channels=1), "a.flac", "Mono"),
        (lambda: tone(rate=8_000), "a.flac", "Sample rate of 8,000 Hz"),
        (lambda: tone(format="MP3"), "a.wav", "ends in .wav, but the file is MP3"),
        (tone, "noname", "has no ending, but the file is FLAC"),
        (lambda: tone(seconds=0.3), "a.flac", "Too short"),
        (lambda: shifted(1.5), "a.wav", "Its peaks are 6.0 dB above full scale"),
        (lambda: shifted(1.0, offset=-0.1), "a.wav", "constant offset (DC) of 10.0%"),
    ],
)
def test_odd_files_are_taken_with_a_warning(
    file: Callable[[], io.BytesIO], filename: str, warning: str
) -> None:
    (said,) = audio_intake.examine(file(), filename=filename).warnings
    assert warning in said


def shifted(level: float, offset: float = 0.0) -> io.BytesIO:
    """A tone at a level and with an offset, as floats, which may be above full scale."""
    time = np.arange(44_100 * 2) / 44_100
    wave = level * (4 / 3) * np.sin(2 * np.pi * 440 * time) * (1 if level > 1 else 0.5) + offset
    return written(np.stack([wave, wave], axis=1), 44_100, format="WAV", subtype="FLOAT")


def test_a_single_sample_is_taken_and_said() -> None:
    said = audio_intake.examine(
        written(np.full((1, 2), 0.5), 44_100, format="WAV"), filename="a.wav"
    ).warnings
    assert any("1 sample long" in warning for warning in said)


def test_192_khz_is_taken_as_it_is() -> None:
    audio = audio_intake.examine(tone(rate=192_000, seconds=1, format="WAV"), filename="a.wav")
    assert (audio.sample_rate, audio.warnings) == (192_000, [])


def test_ten_minutes_never_lie_in_memory_whole() -> None:
    file = tone(seconds=600, rate=22_050, format="WAV", channels=1)
    tracemalloc.start()
    try:
        audio = audio_intake.examine(file, filename="a.wav")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert audio.duration == 600
    # The whole would be 53 MB as float32 and 106 MB as float64; a block's spectrum with its
    # neighbours (audio/prints.py) is 36 MB with all that finding its peaks needs.
    assert peak < 40_000_000


@pytest.mark.django_db
def test_a_recording_is_kept_as_delivered_with_its_audit_line(rosa: User) -> None:
    file = tone()
    made = catalogue.add_recording(by=rosa, file=file, filename="a.flac", title=" A ", isrc="")
    assert made.title == "A"
    with storage.open_blob(made.audio_id) as kept:
        assert kept.read() == file.getvalue()
    assert AuditEvent.objects.get(verb="recording.added").body["audio"] == made.audio_id


@pytest.mark.django_db
def test_the_same_file_twice_names_the_recording_that_has_it(rosa: User) -> None:
    catalogue.add_recording(by=rosa, file=tone(), filename="a.flac", title="First", isrc="")
    with pytest.raises(Refused, match="in the catalogue as “First”") as refusal:
        catalogue.add_recording(by=rosa, file=tone(), filename="b.flac", title="B", isrc="")
    assert refusal.value.field == "file"


@pytest.mark.django_db
def test_a_refused_file_leaves_nothing_behind(rosa: User) -> None:
    with pytest.raises(audio_intake.BadAudio):
        catalogue.add_recording(
            by=rosa, file=io.BytesIO(b"x"), filename="a.wav", title="A", isrc=""
        )
    assert not Recording.objects.exists()
    assert not Blob.objects.exists()
    assert not AuditEvent.objects.exists()
