"""What a file says of its own length, and how much of it is there.

Decoders believe headers: of a file whose header is wrong they decode a part and say nothing. So
containers are walked to the last byte first. A file whose end is missing is refused with both
lengths; one whose header says too little, or nothing, is read to the end by a decoder that does not
ask it.
"""

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import IO

WINDOW = 1 << 20
UNKNOWN = 0xFFFF_FFFF
UNSAID = "Its header does not say how long it is; it was read to its end."
# How far to look for the next frame of an MP3 after something else.
RESYNC = 1 << 17
MP3_RATES = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8_000)}
# kbit/s of layer III by the index in the header: of MPEG 1, and of MPEG 2 and 2.5.
MP3_BITRATES = {
    True: (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    False: (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}


class Truncated(ValueError):
    """The end of the file is missing. Seconds that are there, and that were promised if known."""

    def __init__(self, got: float, promised: float | None) -> None:
        super().__init__(f"{got} of {promised} s")
        self.got, self.promised = got, promised


@dataclass
class Container:
    """A walked file. `frames` are the samples per channel that a decoder has to find, None if its
    header is to be believed; `unsaid`: its header does not say how long it is."""

    format: str
    frames: int | None = None
    unsaid: bool = False
    warnings: list[str] = field(default_factory=list)


def examine(file: IO[bytes]) -> Container | None:
    """Walk a seekable file; None if it is of no format that is known here. Raises Truncated."""
    view = View(file)
    head = view.read(0, 12)
    if head[:4] in {b"RIFF", b"RF64"} and head[8:] == b"WAVE":
        return _wav(view)
    if head[:4] == b"FORM" and head[8:] in {b"AIFF", b"AIFC"}:
        return _aiff(view)
    if head[:4] == b"OggS":
        return _ogg(view)
    start = _after_id3(view, 0)
    if view.read(start, 4) == b"fLaC":
        return _flac(view, start)
    return _mp3(view, start)


class View:
    """Bytes of a seekable file by position, read in windows."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.size = file.seek(0, os.SEEK_END)
        self._start, self._window = 0, b""

    def read(self, position: int, count: int) -> bytes:
        """Return up to `count` bytes, fewer at the end of the file."""
        offset = position - self._start
        if offset < 0 or offset + count > len(self._window):
            self._file.seek(position)
            self._start, self._window = position, self._file.read(max(count, WINDOW))
            offset = 0
        return self._window[offset : offset + count]


# --- WAV and AIFF ------------------------------------------------------------------------------


def _chunks(view: View, size_format: str) -> Iterator[tuple[bytes, int, int]]:
    """Yield name, position of the body and size of each chunk of a RIFF or IFF file."""
    position = 12
    while len(head := view.read(position, 8)) == 8:
        size = struct.unpack(size_format, head[4:])[0]
        yield head[:4], position + 8, size
        position += 8 + size + size % 2


def _wav(view: View) -> Container:
    size_64 = byte_rate = 0
    for name, start, size in _chunks(view, "<I"):
        body = view.read(start, 28)
        if name == b"ds64" and len(body) >= 16:
            size_64 = struct.unpack("<Q", body[8:16])[0]
        elif name == b"fmt " and len(body) >= 16:
            byte_rate = struct.unpack("<I", body[8:12])[0]
        elif name == b"data":
            return _wav_data(
                view, start, size_64 if size == UNKNOWN and size_64 else size, byte_rate
            )
    return Container("WAV")


def _wav_data(view: View, start: int, promised: int, byte_rate: int) -> Container:
    there = view.size - start
    if promised == UNKNOWN or (promised == 0 and there > 0):
        return Container("WAV", unsaid=True, warnings=[UNSAID])
    # Programs forget the byte that makes an odd length even.
    if promised > there + 1:
        raise Truncated(there / max(1, byte_rate), promised / max(1, byte_rate))
    return Container("WAV")


def _aiff(view: View) -> Container:
    for name, start, size in _chunks(view, ">I"):
        if name == b"SSND" and start + size > view.size + 1:
            share = (view.size - start - 8) / max(1, size - 8)
            raise Truncated(share * _aiff_seconds(view), _aiff_seconds(view))
    return Container("AIFF")


def _aiff_seconds(view: View) -> float:
    for name, start, _ in _chunks(view, ">I"):
        body = view.read(start, 18)
        if name == b"COMM" and len(body) == 18:
            frames, exponent = struct.unpack(">I", body[2:6])[0], struct.unpack(">H", body[8:10])[0]
            # The rate is a float of 80 bits.
            rate = struct.unpack(">Q", body[10:18])[0] * 2.0 ** (exponent - 16383 - 63)
            return float(frames / rate) if rate else 0.0
    return 0.0


# --- FLAC and Ogg ------------------------------------------------------------------------------


def _flac(view: View, start: int) -> Container:
    # Of the block STREAMINFO, which comes first.
    packed = int.from_bytes(view.read(start + 18, 8), "big")
    unsaid = packed & (2**36 - 1) == 0
    return Container("FLAC", unsaid=unsaid, warnings=[UNSAID] if unsaid else [])


def _ogg(view: View) -> Container:
    position, rates = 0, dict[int, int]()
    ended: dict[int, bool] = {}
    chained = False
    granules: dict[int, int] = {}
    while position < view.size:
        head = view.read(position, 27)
        if len(head) < 27 or head[:4] != b"OggS":
            # Tags of players after the end are none of its sound.
            if all(ended.values()) and ended:
                break
            raise Truncated(_ogg_seconds(granules, rates), None)
        flags, granule, serial = head[5], *struct.unpack("<qI", head[6:18])
        table = view.read(position + 27, head[26])
        body = position + 27 + head[26]
        if len(table) < head[26] or body + sum(table) > view.size:
            raise Truncated(_ogg_seconds(granules, rates), None)
        if flags & 2:
            chained |= bool(ended) and all(ended.values())
            rates[serial] = _ogg_rate(view.read(body, 40))
        ended[serial] = bool(flags & 4)
        if granule >= 0:
            granules[serial] = granule
        position = body + sum(table)
    seconds = _ogg_seconds(granules, rates)
    if not all(ended.values()):
        raise Truncated(seconds, None)
    warnings = ["It is several files, one after the other."] if chained else []
    return Container("Ogg", unsaid=chained, warnings=warnings)


def _ogg_rate(packet: bytes) -> int:
    if packet[:7] == b"\x01vorbis":
        return max(1, int(struct.unpack("<I", packet[12:16])[0]))
    # Opus counts in 48 kHz whatever it was made from.
    return 48_000


def _ogg_seconds(granules: dict[int, int], rates: dict[int, int]) -> float:
    return sum(granule / rates.get(serial, 48_000) for serial, granule in granules.items())


# --- MP3 ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Mp3Frame:
    """A frame of layer III: bytes, samples per channel, rate in Hz; `promised` frames after it, if
    it is the header of a file."""

    size: int
    samples: int
    rate: int
    promised: int | None


def _mp3(view: View, position: int) -> Container | None:
    found = samples = rate = 0
    promised: list[int | None] = []
    warnings = []
    while position < view.size:
        frame = _mp3_frame(view, position)
        if frame is None:
            position = _next_frame(view, position)
            continue
        if position + frame.size > view.size:
            warnings.append("It ends in the middle of a frame: its end may be missing.")
            break
        if frame.promised is not None or not promised:
            promised.append(frame.promised)
        if frame.promised is None:
            found += 1
            samples += frame.samples
            rate = frame.rate
        position += frame.size
    if not found:
        return None
    wanted = sum(promised) if all(count is not None for count in promised) else None  # type: ignore[arg-type]
    # Encoders count the frame that says so, or do not.
    if wanted is not None and found < wanted - len(promised):
        each = samples / found / rate
        raise Truncated(found * each, wanted * each)
    if len(promised) > 1:
        warnings.append(f"It is {len(promised)} files, one after the other.")
    return Container("MP3", frames=samples, warnings=warnings)


def _after_id3(view: View, position: int) -> int:
    head = view.read(position, 10)
    if head[:3] != b"ID3" or len(head) < 10:
        return position
    size = 0
    for byte in head[6:10]:
        size = size << 7 | byte & 0x7F
    return position + 10 + size + (10 if head[5] & 0x10 else 0)


def _mp3_frame(view: View, position: int) -> Mp3Frame | None:
    head = view.read(position, 4)
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return None
    version, layer = head[1] >> 3 & 3, head[1] >> 1 & 3
    bitrate, rate = head[2] >> 4, head[2] >> 2 & 3
    if version == 1 or layer != 1 or bitrate in {0, 15} or rate == 3:
        return None
    is_first = version == 3
    hertz = MP3_RATES[version][rate]
    padding = head[2] >> 1 & 1
    factor = 144 if is_first else 72
    size = factor * MP3_BITRATES[is_first][bitrate] * 1000 // hertz + padding
    return Mp3Frame(size, 1152 if is_first else 576, hertz, _promised(view, position, head))


def _promised(view: View, position: int, head: bytes) -> int | None:
    """Return the number of frames that a header frame promises; None if it is a frame of sound."""
    is_first, is_mono = head[1] >> 3 & 3 == 3, head[3] >> 6 == 3
    side = {(True, False): 32, (True, True): 17, (False, False): 17, (False, True): 9}
    info = view.read(position + 4 + side[is_first, is_mono], 12)
    if info[:4] in {b"Xing", b"Info"} and len(info) == 12:
        return int(struct.unpack(">I", info[8:12])[0]) if info[7] & 1 else None
    vbri = view.read(position + 36, 18)
    if vbri[:4] == b"VBRI" and len(vbri) == 18:
        return int(struct.unpack(">I", vbri[14:18])[0])
    return None


def _next_frame(view: View, position: int) -> int:
    """Return where frames go on after something else: tags, or the start of another file."""
    after = _after_id3(view, position)
    if after > position:
        return after
    window = view.read(position + 1, RESYNC)
    # Looked for once: bytes that are no sound have thousands of places where a frame might begin.
    tag = window.find(b"ID3")
    at = window.find(b"\xff")
    while at >= 0:
        place = position + 1 + at
        frame = _mp3_frame(view, place)
        # Two in a row: one alone may be any bytes.
        if frame and (place + frame.size >= view.size or _mp3_frame(view, place + frame.size)):
            return place
        if 0 <= tag < at:
            return position + 1 + tag
        at = window.find(b"\xff", at + 1)
    return view.size if len(window) < RESYNC else position + RESYNC
