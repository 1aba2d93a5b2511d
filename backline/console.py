"""What a program prints, seen by its terminal as before and kept for the portal as well."""

import os
import sys
from typing import Any, Literal, TextIO

from backline import wire

# Characters per piece: small enough for one request.
PIECE = 200_000

StreamName = Literal["stdout", "stderr"]


class Tee:
    """A text stream that passes everything on and remembers it until it is taken."""

    def __init__(self, stream: TextIO, name: StreamName) -> None:
        self._stream = stream
        self._name: StreamName = name
        self._texts: list[str] = []
        self._offset = 0
        self._process = os.getpid()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        written = self._stream.write(text)
        # A forked worker prints on the terminal only: nobody takes what it would remember.
        if os.getpid() == self._process:
            self._texts.append(text)
        return written

    def writelines(self, lines: list[str]) -> None:
        for line in lines:
            self.write(line)

    def take(self, session: str) -> list[wire.LogPiece]:
        """What was written since the last call, with its byte offsets."""
        count = len(self._texts)
        text = "".join(self._texts[:count])
        del self._texts[:count]
        pieces = []
        for start in range(0, len(text), PIECE):
            raw = text[start : start + PIECE].encode(errors="replace")
            piece = wire.LogPiece(
                session=session, stream=self._name, offset=self._offset, text=raw.decode()
            )
            pieces.append(piece)
            self._offset += len(raw)
        return pieces


class Console:
    """Both streams of this process, captured until `release`."""

    def __init__(self) -> None:
        self._before = (sys.stdout, sys.stderr)
        self.out = Tee(sys.stdout, "stdout")
        self.err = Tee(sys.stderr, "stderr")
        sys.stdout, sys.stderr = self.out, self.err

    def take(self, session: str) -> list[wire.LogPiece]:
        return self.out.take(session) + self.err.take(session)

    def say(self, sentence: str) -> None:
        self.err.write(f"backline: {sentence}\n")

    def release(self) -> None:
        """Give the streams back, unless somebody has replaced them since."""
        if sys.stdout is self.out:
            sys.stdout = self._before[0]
        if sys.stderr is self.err:
            sys.stderr = self._before[1]
