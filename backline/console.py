"""What a program prints, shown on its terminal as before and captured for the portal as well."""

import codecs
import os
import sys
import threading
from typing import IO, Any, Literal, Protocol, TextIO

from backline import bounds, wire

# Characters per piece: small enough for one request.
PIECE = 200_000
READ_BYTES = 64 * 1024

StreamName = Literal["stdout", "stderr"]


class Source(Protocol):
    """Where the writer gets console text from."""

    def take(self, session: str) -> list[wire.LogPiece]: ...
    def say(self, sentence: str) -> None: ...
    def release(self) -> None: ...


class StreamBuffer:
    """The text of one stream, stored until it is taken."""

    def __init__(self, name: StreamName) -> None:
        self._name: StreamName = name
        self._texts: list[str] = []
        self._offset = 0

    def add(self, text: str) -> None:
        self._texts.append(text)

    def take(self, session: str) -> list[wire.LogPiece]:
        """Return what was written since the last call, with its byte offsets."""
        count = len(self._texts)
        text = "".join(self._texts[:count])
        del self._texts[:count]
        pieces = []
        for start in range(0, len(text), PIECE):
            raw = bounds.readable(text[start : start + PIECE]).encode()
            piece = wire.LogPiece(
                session=session, stream=self._name, offset=self._offset, text=raw.decode()
            )
            pieces.append(piece)
            self._offset += len(raw)
        return pieces


class Tee(StreamBuffer):
    """A text stream that captures everything, and passes it on if it is to be shown."""

    def __init__(self, stream: TextIO, name: StreamName, *, seen: bool = True) -> None:
        super().__init__(name)
        self._stream = stream
        self._seen = seen
        self._process = os.getpid()
        self._released = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        # After the release, and in a forked process, nothing takes what would be captured.
        captures = not self._released and os.getpid() == self._process
        written = self._stream.write(text) if self._seen or not captures else len(text)
        if captures:
            self.add(text)
        return written

    def writelines(self, lines: list[str]) -> None:
        for line in lines:
            self.write(line)

    def release(self) -> None:
        """Only pass text on from now on: somebody may still have this stream."""
        self._released = True

    def below(self) -> TextIO:
        """Return the first stream under this one that still captures, or none of ours."""
        stream = self._stream
        return stream.below() if isinstance(stream, Tee) and stream._released else stream


class Console:
    """Both streams of this process, captured until `release`."""

    def __init__(self, *, seen: bool = True) -> None:
        self.out = Tee(sys.stdout, "stdout", seen=seen)
        self.err = Tee(sys.stderr, "stderr", seen=seen)
        sys.stdout, sys.stderr = self.out, self.err

    def take(self, session: str) -> list[wire.LogPiece]:
        return self.out.take(session) + self.err.take(session)

    def say(self, sentence: str) -> None:
        self.err.write(f"backline: {sentence}\n")

    def release(self) -> None:
        """Restore the streams; one that was replaced since, by another run too, stays."""
        self.out.release()
        self.err.release()
        if sys.stdout is self.out:
            sys.stdout = self.out.below()
        if sys.stderr is self.err:
            sys.stderr = self.err.below()


class Relay:
    """Both streams of another program: read from its pipes, captured, and passed on at once."""

    def __init__(self) -> None:
        self.last_line = ""
        self._kept: dict[StreamName, StreamBuffer] = {
            "stdout": StreamBuffer("stdout"),
            "stderr": StreamBuffer("stderr"),
        }
        self._readers: list[threading.Thread] = []

    def follow(self, out: IO[bytes], err: IO[bytes]) -> None:
        """Read both pipes until they are closed, each in a thread of its own."""
        for name, pipe, target in (("stdout", out, 1), ("stderr", err, 2)):
            reader = threading.Thread(
                target=self._read, args=(name, pipe, target), name=f"relay {name}", daemon=True
            )
            reader.start()
            self._readers.append(reader)

    def wait(self, seconds: float) -> None:
        """Wait until all is read, but not for ever: a process left behind may keep a pipe open."""
        for reader in self._readers:
            reader.join(seconds)

    def take(self, session: str) -> list[wire.LogPiece]:
        return self._kept["stdout"].take(session) + self._kept["stderr"].take(session)

    def say(self, sentence: str) -> None:
        """Write a warning of our own to the log and to our own stderr."""
        self._write(f"backline: {sentence}\n")

    def conclude(self, sentence: str) -> None:
        """Write why the program ended, if it has not printed that."""
        self.last_line = sentence
        self._write(f"{sentence}\n")

    def _write(self, text: str) -> None:
        self._kept["stderr"].add(text)
        _pass_on(2, text.encode())

    def release(self) -> None:
        pass

    def _read(self, name: StreamName, pipe: IO[bytes], target: int) -> None:
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        open_line = ""
        while raw := os.read(pipe.fileno(), READ_BYTES):
            _pass_on(target, raw)
            text = decoder.decode(raw)
            self._kept[name].add(text)
            *lines, open_line = (open_line + text).split("\n")
            printed = [line for line in (*lines, open_line) if line.strip()]
            self.last_line = printed[-1].strip() if printed else self.last_line
            open_line = open_line[-READ_BYTES:]
        self._kept[name].add(decoder.decode(b"", final=True))


def _pass_on(target: int, raw: bytes) -> None:
    """Write to our own terminal or file; if it is closed, that must not end the program."""
    while raw:
        try:
            raw = raw[os.write(target, raw) :]
        except OSError:
            return
