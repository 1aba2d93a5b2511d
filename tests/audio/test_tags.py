"""ISRC, title and artist out of the tags of each kind of file, and out of what is none."""

import io
import struct

import av
import numpy as np
import pytest

from audio import tags
from audio.tags import Tags

ISRC = "QZABC2600001"


def encoded(kind: str, codec: str, **metadata: str) -> bytes:
    file = io.BytesIO()
    # AIFF has an ID3 chunk only where it is asked for.
    options = {"write_id3v2": "1"} if kind == "aiff" else {}
    with av.open(file, "w", format=kind, options=options) as container:
        container.metadata.update(metadata)
        stream = container.add_stream(codec, rate=48_000)
        stream.layout = "stereo"
        samples = np.zeros((1, 2 * 48_000), np.int16)
        frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="stereo")
        frame.rate = 48_000
        for packet in (*stream.encode(frame), *stream.encode(None)):
            container.mux(packet)
    return file.getvalue()


def read(content: bytes, kind: str) -> Tags:
    file = io.BytesIO(content)
    found = tags.read(file, kind)
    assert file.tell() == 0
    return found


@pytest.mark.parametrize(
    ("kind", "codec", "name", "isrc_name"),
    [
        ("flac", "flac", "FLAC", "ISRC"),
        ("mp3", "libmp3lame", "MP3", "TSRC"),
        ("wav", "pcm_s16le", "WAV", "ISRC"),
        ("aiff", "pcm_s16be", "AIFF", "TSRC"),
        ("ogg", "libopus", "Ogg", "ISRC"),
    ],
)
def test_tags_are_read(kind: str, codec: str, name: str, isrc_name: str) -> None:
    metadata = {"title": "Song", "artist": "Bea Voice", isrc_name: ISRC}
    found = read(encoded(kind, codec, **metadata), name)
    assert (list(found.isrcs), found.title, found.artist) == ([ISRC], "Song", "Bea Voice")


def wav_with(chunk: bytes, body: bytes) -> bytes:
    """A WAV with one more chunk before its samples."""
    wav = encoded("wav", "pcm_s16le")
    more = chunk + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)
    return wav[:12] + more + wav[12:]


@pytest.mark.parametrize(
    ("chunk", "body"),
    [
        (b"iXML", b"<BWFXML><ISRC>QZ-ABC-26-00001</ISRC></BWFXML>"),
        (b"axml", b"<identifier><dc:identifier>ISRC:QZABC2600001</dc:identifier></identifier>"),
        (b"bext", b"Song, ISRC QZABC2600001".ljust(602, b"\0")),
    ],
)
def test_an_isrc_in_a_broadcast_file_is_read(chunk: bytes, body: bytes) -> None:
    assert [code.replace("-", "") for code in read(wav_with(chunk, body), "WAV").isrcs] == [ISRC]


@pytest.mark.parametrize(
    "body", [b"ISRC", b"ISRC: none", b"QZABC2600001", b"ISRC:QZABC26000012", b"\xff" * 100, b""]
)
def test_what_is_no_isrc_in_a_chunk_is_none(body: bytes) -> None:
    assert list(read(wav_with(b"iXML", body), "WAV").isrcs) == []


def test_a_chunk_that_says_it_is_endless_ends_the_search() -> None:
    content = bytearray(wav_with(b"iXML", b"x" * 10))
    content[16:20] = b"\xff\xff\xff\xff"
    assert list(read(bytes(content), "WAV").isrcs) == []


def test_a_file_of_nothing_but_chunks_is_not_read_for_ever() -> None:
    content = (
        b"RIFF\xff\xff\xff\xffWAVE" + b"junk\0\0\0\0" * 100_000 + b"iXML\x11\0\0\0ISRC QZABC2600001"
    )
    assert list(read(content, "WAV").isrcs) == []


def test_several_codes_in_one_tag_are_told_apart() -> None:
    found = read(encoded("flac", "flac", ISRC=f"{ISRC}; QZABC2600002/{ISRC}"), "FLAC")
    assert list(found.isrcs) == [ISRC, "QZABC2600002"]


def test_long_texts_are_cut() -> None:
    found = read(encoded("flac", "flac", title="x" * 10_000), "FLAC")
    assert found.title == "x" * tags.MOST_TEXT


@pytest.mark.parametrize("content", [b"", b"RIFF", b"no sound at all" * 100])
@pytest.mark.parametrize("kind", ["WAV", "AIFF", "FLAC", "MP3", "Ogg"])
def test_what_is_no_sound_has_no_tags(content: bytes, kind: str) -> None:
    assert read(content, kind) == Tags([])
