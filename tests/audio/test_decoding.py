"""Every file is read to its last byte, or refused with what is missing."""

import io
import struct

import numpy as np
import pytest
import soundfile

from audio import containers, decoding, rendition
from audio.decoding import BadAudio, Limits

LIMITS = Limits("file", max_seconds=7_200, min_rate=4_000, max_rate=384_000)
RATE, SECONDS = 44_100, 12


def sound() -> np.ndarray:
    """Its second half is noise: a variable bitrate differs by much."""
    time = np.arange(RATE * SECONDS) / RATE
    noise = np.random.default_rng(1).standard_normal(len(time)) * (time > SECONDS / 2)
    left = 0.3 * np.sin(2 * np.pi * 220 * time) + 0.1 * noise
    return np.stack([left, left / 2], axis=1).astype(np.float32)


SOUND = sound()


def encoded(kind: str, subtype: str | None = None, **more: object) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, SOUND, RATE, format=kind, subtype=subtype, **more)
    return file.getvalue()


def vbr(*, header: bool = True) -> bytes:
    data = encoded("MP3", bitrate_mode="VARIABLE", compression_level=0.5)
    frame = containers._mp3_frame(containers.View(io.BytesIO(data)), 0)
    assert frame is not None
    assert frame.promised is not None
    return data if header else data[frame.size :]


ID3 = b"ID3\x04\0\0\0\0\0\x0a" + b"\0" * 10


def wav(*, riff: int | None = None, data: int | None = None, subtype: str = "PCM_16") -> bytes:
    whole = bytearray(encoded("WAV", subtype))
    at = whole.index(b"data")
    if riff is not None:
        whole[4:8] = struct.pack("<I", riff % 2**32)
    if data is not None:
        whole[at + 4 : at + 8] = struct.pack("<I", data)
    return bytes(whole)


def flac_of_a_pipe() -> bytes:
    data = bytearray(encoded("FLAC"))
    data[21] &= 0xF0
    data[22:26] = bytes(4)
    return bytes(data)


def half(data: bytes) -> bytes:
    return data[: len(data) // 2]


def decode(data: bytes) -> tuple[float, list[str]]:
    file = io.BytesIO(data)
    with decoding.opened(file, LIMITS) as decoder:
        frames = sum(len(block) for block in decoder.blocks())
        found = frames / decoder.rate, decoder.warnings
    assert file.tell() == 0
    return found


UNSAID = [containers.UNSAID]
SEVERAL = ["It is 2 files, one after the other."]
CUT = ["It ends in the middle of a frame: its end may be missing."]
LENGTH = len(wav())


@pytest.mark.parametrize(
    ("data", "seconds", "warnings"),
    [
        (encoded("WAV"), 12, []),
        (encoded("WAV", "DOUBLE"), 12, []),
        (encoded("AIFF"), 12, []),
        (encoded("FLAC"), 12, []),
        (ID3 + encoded("FLAC"), 12, []),
        (encoded("OGG"), 12, []),
        (encoded("MP3"), 12, []),
        (ID3 + vbr() + b"TAG" + bytes(125), 12, []),
        (vbr(header=False), 12, []),
        (vbr() + vbr(), 24, SEVERAL),
        (vbr() + ID3 + vbr(), 24, SEVERAL),
        (vbr(header=False) + ID3 + vbr(header=False), 24, []),
        (encoded("OGG") * 2, 24, ["It is several files, one after the other."]),
        (flac_of_a_pipe(), 12, UNSAID),
        (wav(riff=0, data=0), 12, UNSAID),
        (wav(riff=2**32 - 1, data=2**32 - 1), 12, UNSAID),
        (wav(riff=LENGTH), 12, []),
        (wav(riff=LENGTH - 16), 12, []),
        (wav() + b"LIST\x04\0\0\0abcd", 12, []),
        (half(vbr(header=False)), 6.4, CUT),
    ],
)  # fmt: skip
def test_files_are_read_to_their_last_byte(
    data: bytes, seconds: float, warnings: list[str]
) -> None:
    length, said = decode(data)
    # Encoders of MP3 put some thousandths before and after.
    assert length == pytest.approx(seconds, abs=0.12 if seconds != 6.4 else 2.5)
    assert said == warnings


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (half(wav()), "breaks off after 6.0 s of 12.0 s"),
        (half(encoded("AIFF")), "breaks off after 6.0 s of 12.0 s"),
        (half(vbr()), "s of 12.0 s. Send it again"),
        (half(encoded("FLAC")), "of 12.0 s. Send it again"),
        (half(encoded("OGG")), "s: its end is missing. Send it again"),
        (encoded("OGG")[:-3], "11.8 s: its end is missing"),
        (wav(data=LENGTH), "of 12.0 s"),
    ],
)
def test_a_file_whose_end_is_missing_is_refused_with_both_lengths(data: bytes, words: str) -> None:
    with pytest.raises(BadAudio, match=words.replace(".", r"\.")) as refused:
        decode(data)
    assert refused.value.code == "truncated"


@pytest.mark.parametrize(
    "data",
    [
        b"", b"hello" * 1_000, bytes(100_000), b"RIFF", b"RIFF\0\0\0\0WAVE", b"OggS", b"fLaC",
        b"FORM\0\0\0\0AIFF", ID3, b"\xff\xfb\x90\x44" * 3, np.random.default_rng(0).bytes(200_000),
        b"RIFF\xff\xff\xff\xffWAVEdata\xff\xff\xff\xff" + bytes(1_000),
        b"OggS\0\x02" + bytes(22), b"ID3\x04\0\0\x7f\x7f\x7f\x7f",
    ],
)  # fmt: skip
def test_what_is_no_sound_is_refused(data: bytes) -> None:
    with pytest.raises(BadAudio):
        decode(data)


def test_only_audio_that_was_asked_for_is_decoded() -> None:
    """FFmpeg knows hundreds of formats; none of them is reached."""
    assert set(decoding.DEMUXERS) == set(decoding.MEDIA_TYPES)
    with pytest.raises(BadAudio, match="CAF"):
        decode(encoded("CAF"))


# --- What browsers play --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "needed"),
    [
        (encoded("AIFF"), True), (encoded("WAV", "DOUBLE"), True), (encoded("WAV"), False),
        (encoded("WAV", "FLOAT"), False), (encoded("FLAC"), False), (vbr(), False), (b"", False),
    ],
)  # fmt: skip
def test_a_rendition_is_made_of_what_no_browser_plays(data: bytes, needed: bool) -> None:
    assert rendition.is_needed(data[: rendition.HEAD_BYTES]) is needed


@pytest.mark.parametrize("data", [encoded("AIFF", "PCM_24"), encoded("WAV", "DOUBLE")])
def test_any_part_of_a_rendition_is_that_of_the_whole(data: bytes) -> None:
    shape = rendition.Rendition.of_file(io.BytesIO(data))
    whole = b"".join(shape.pieces(io.BytesIO(data), 0, shape.size))
    assert len(whole) == shape.size
    decoded, rate = soundfile.read(io.BytesIO(whole), dtype="float32")
    assert rate == RATE
    assert np.abs(decoded - SOUND).max() < 2**-22
    for start, count in (
        (0, 1),
        (0, 44),
        (10, 40),
        (43, 7),
        (44, 6),
        (47, 1_000),
        (shape.size - 5, 5),
    ):
        part = b"".join(shape.pieces(io.BytesIO(data), start, count))
        assert part == whole[start : start + count]
