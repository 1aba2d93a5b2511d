"""How deliveries of bytes begin: magic (4 bytes) | version u8 | header length u32 | header."""

import struct
from dataclasses import dataclass

HEAD = struct.Struct("<4sBI")
MAX_BYTES = 8 * 1024 * 1024
MAX_HEADER_BYTES = 1024 * 1024


class Malformed(ValueError):
    """The bytes are not what they claim to be; the message says what is wrong."""


@dataclass(frozen=True)
class Frame:
    """One kind of delivery: its magic and version, and what a reader calls it."""

    magic: bytes
    version: int
    name: str
    content: str

    def join(self, header: bytes, content: bytes) -> bytes:
        return HEAD.pack(self.magic, self.version, len(header)) + header + content

    def split(self, data: bytes) -> tuple[bytes, memoryview]:
        """Return header and content; raises Malformed if `data` is too long or does not begin so.
        Only the header is copied."""
        name = self.name
        if len(data) > MAX_BYTES:
            raise Malformed(f"A {name} may have {MAX_BYTES} bytes; this one has {len(data)}.")
        if len(data) < HEAD.size:
            raise Malformed(f"This is not a {name} of {self.content}: it is too short.")
        magic, version, length = HEAD.unpack_from(data)
        if magic != self.magic:
            raise Malformed(f"This is not a {name} of {self.content}: its first bytes are wrong.")
        if version != self.version:
            raise Malformed(f"This portal reads a {name} of version {self.version}, not {version}.")
        end = HEAD.size + length
        if length > MAX_HEADER_BYTES or end > len(data):
            raise Malformed(f"The {name}'s header is longer than the {name} may be.")
        return data[HEAD.size : end], memoryview(data)[end:]
