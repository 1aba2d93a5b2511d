"""Collects a program's code and environment beside the program, and delivers them once.

In a thread of its own: a training does not wait for git. The end of a run waits for it a little,
as the ending is the last delivery of a session.
"""

import os
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

from backline import bounds, wire
from backline.environment import code, machine
from backline.environment.masking import Masker

SETTING = "BACKLINE_CODE"
# How long the end of a run waits for what is not collected yet.
END_SECONDS = 10.0
MAX_ARGUMENTS = 200
MAX_ARGUMENT = 1_000
Source = Literal["program", "launcher"]


def collect(
    *,
    session: str,
    source: Source,
    command: Sequence[str] | None = None,
    secrets: Sequence[str] = (),
) -> wire.Environment:
    """Return what this program was started from and in; of a launcher, what it starts.

    `secrets` are texts that must not be in it, such as the run's own token.
    """
    masker = Masker(secrets)
    if command is None:
        entry, folder = machine.entry(sys.argv)
        words = sys.argv[1:]
    else:
        entry, folder, words = command[0], Path.cwd(), list(command[1:])
    state = code.read(folder, masker=masker, with_diff=os.environ.get(SETTING) != "commit")
    arguments = masker.arguments(words)
    packages, direct = machine.packages()
    return wire.Environment(
        session=session,
        source=source,
        entry=bounds.readable(masker.text(_relative(entry)))[:500],
        arguments=[bounds.readable(word)[:MAX_ARGUMENT] for word in arguments[:MAX_ARGUMENTS]],
        arguments_left_out=max(0, len(arguments) - MAX_ARGUMENTS),
        python=machine.python(),
        packages=packages,
        direct=direct,
        system=machine.system(),
        host=machine.host(),
        hardware=machine.hardware(),
        variables=machine.variables(),
        image=bounds.readable(os.environ.get("BACKLINE_IMAGE", ""))[:300],
        code=state,
        masked=masker.count,
    )


def _relative(entry: str) -> str:
    """Return a file's path from the working folder on, if it lies in it."""
    path = Path(entry)
    if path.is_absolute() and path.is_relative_to(Path.cwd()):
        return str(path.relative_to(Path.cwd()))
    return entry


def is_wanted(accepts: Sequence[str]) -> bool:
    """Return whether the portal takes this delivery, and nobody has switched it off."""
    return "environment" in accepts and os.environ.get(SETTING, "on").lower() != "off"


class Capture:
    """The thread that collects, and hands what it has found to `deliver` unless it was closed."""

    def __init__(
        self,
        deliver: Callable[[wire.Environment], None],
        *,
        session: str,
        source: Source,
        command: Sequence[str] | None = None,
        secrets: Sequence[str] = (),
        warn: Callable[[str], None],
    ) -> None:
        self._deliver = deliver
        self._arguments = {
            "session": session, "source": source, "command": command, "secrets": secrets,
        }  # fmt: skip
        self._warn = warn
        self._gate = threading.Lock()
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="backline-code", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self, seconds: float = END_SECONDS) -> None:
        """Wait until it is delivered, at most so long; nothing is delivered afterwards."""
        self._thread.join(seconds)
        if self._gate.acquire(timeout=1.0):
            self._closed = True
            self._gate.release()

    def _work(self) -> None:
        try:
            found = collect(**self._arguments)  # type: ignore[arg-type]
            with self._gate:
                if not self._closed:
                    self._deliver(found)
        except Exception as error:  # noqa: BLE001 - what is only for people must not end a training.
            self._warn(f"Its code and environment were not described: {error!r:.200}")
