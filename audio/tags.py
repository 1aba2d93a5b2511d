"""What a file's tags say of its recording: ISRC, title, artist, album.

FFmpeg (PyAV) reads ID3, Vorbis comments, RIFF INFO and the texts of AIFF. An ISRC in a broadcast
file is in chunks of XML that it does not read: iXML, and axml as EBU Tech 3352 has it. Whoever has
sent the file wrote the tags: they are a hint and no evidence.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import IO, Literal

import av

from audio import decoding

# Characters of a value, and bytes of a chunk, that are read.
MOST_TEXT = 300
MOST_BYTES = 1 << 18
MOST_CHUNKS = 500
NAMES = {
    "title": ("title", "tit2", "inam"),
    "artist": ("artist", "tpe1", "author", "album_artist", "iart"),
    "album": ("album", "talb", "iprd"),
}
ISRC_NAMES = ("isrc", "tsrc")
IN_XML = re.compile(
    rb"ISRC[^A-Z0-9]{0,20}([A-Z]{2}-?[A-Z0-9]{3}-?[0-9]{2}-?[0-9]{5})(?![A-Z0-9])", re.IGNORECASE
)
WITH_TEXT = frozenset({b"iXML", b"axml", b"bext"})
BETWEEN = re.compile(r"[/;,\0]")


@dataclass(frozen=True)
class Tags:
    """Texts as they are in the file, cut; `isrcs` are not checked."""

    isrcs: Sequence[str] = ()
    title: str = ""
    artist: str = ""
    album: str = ""


def read(file: IO[bytes], format_name: str) -> Tags:
    """Read the tags of a seekable file, left at its start; empty where there are none.

    `format_name` is what its bytes are (audio/decoding.py).
    """
    values = _values(file, format_name)
    isrcs = [code for name in ISRC_NAMES for code in BETWEEN.split(values.get(name, ""))]
    if format_name in {"WAV", "AIFF"}:
        isrcs += _isrcs_in_xml(file, "little" if format_name == "WAV" else "big")
    file.seek(0)
    codes = dict.fromkeys(code.strip() for code in isrcs if code.strip())
    return Tags(list(codes)[:10], *(_first(values, name) for name in NAMES))


def _first(values: Mapping[str, str], wanted: str) -> str:
    texts = (values.get(name, "").strip() for name in NAMES[wanted])
    return next((text for text in texts if text), "")


def _values(file: IO[bytes], format_name: str) -> dict[str, str]:
    """Return the tags by their names in small letters; those of the file before the stream's."""
    file.seek(0)
    try:
        with av.open(
            file, mode="r", format=decoding.DEMUXERS[format_name], metadata_errors="replace"
        ) as container:
            sources = [stream.metadata for stream in container.streams.audio[:1]]
            sources.append(container.metadata)
    except (av.error.FFmpegError, ValueError):
        return {}
    return {
        str(name).lower(): str(value)[:MOST_TEXT]
        for source in sources
        for name, value in source.items()
    }


def _isrcs_in_xml(file: IO[bytes], order: Literal["little", "big"]) -> Iterator[str]:
    """Yield the ISRCs that the chunks of a RIFF (little-endian) or IFF file name as such."""
    position = 12
    for _ in range(MOST_CHUNKS):
        file.seek(position)
        head = file.read(8)
        if len(head) < 8:
            return
        size = int.from_bytes(head[4:], order)
        if head[:4] in WITH_TEXT and (match := IN_XML.search(file.read(min(size, MOST_BYTES)))):
            yield match[1].decode("ascii")
        position += 8 + size + size % 2
