"""The state of a program's git repository: commit, branch, remote, and what is not committed.

Only git's own reading commands are used, each with a limit of time and size, without a user's
drivers for diffs. Nothing here raises: what cannot be read is said in a sentence.
"""

import os
import subprocess
import time
from contextlib import suppress
from pathlib import Path

from backline import bounds, wire
from backline.environment.masking import Masker, without_credentials

# For all commands together; a file system far away may be slow.
SECONDS = 10.0
MAX_LISTED = 100
# Files whose content is never sent, changed or not.
PRIVATE = (
    ".env", ".env.*", "*.env", ".envrc", ".netrc", "_netrc", ".pypirc", ".npmrc", "*.pem", "*.key",
    "*.p12", "*.pfx", "*.kdbx", "id_rsa*", "id_ed25519*", "id_ecdsa*", "*credential*", "*secret*",
    "kubeconfig*", ".htpasswd", "*.ppk",
)  # fmt: skip
_EXCLUDED = [f":(exclude,glob,icase)**/{name}" for name in PRIVATE]
_INCLUDED = [f":(glob,icase)**/{name}" for name in PRIVATE]
_DIFF = ("diff", "--no-color", "--no-ext-diff", "--no-textconv", "--submodule=short", "HEAD")


class Unknown(Exception):
    """Something of the repository cannot be read; the sentence says why."""


def read(folder: Path, *, masker: Masker, with_diff: bool = True) -> wire.Code:
    """Return the state of the repository that `folder` is in, with a sentence if it is in none."""
    try:
        return _Repository(folder, masker).describe(with_diff=with_diff)
    except Unknown as reason:
        return wire.Code(note=bounds.readable(str(reason))[:500])


class _Repository:
    def __init__(self, folder: Path, masker: Masker) -> None:
        self._end = time.monotonic() + SECONDS
        self._masker = masker
        self._folder = folder
        self._folder = Path(self._git("rev-parse", "--show-toplevel").strip())

    def describe(self, *, with_diff: bool) -> wire.Code:
        try:
            commit = self._git("rev-parse", "HEAD").strip()
        except Unknown:
            raise Unknown(f"The repository {self._folder.name} has no commit yet.") from None
        changed, untracked = self._status()
        diff, is_whole = self._diff() if with_diff and changed else ("", True)
        return wire.Code(
            commit=commit[:64],
            branch=_text(self._maybe("symbolic-ref", "--short", "-q", "HEAD"), 200),
            remote=_text(without_credentials(self._remote()), 500),
            pushed=bool(self._maybe("branch", "-r", "--contains", "HEAD", "--format=%(refname)")),
            repository=_text(self._folder.name, 200),
            folder=_text(self._started_in(), 300),
            changed=len(changed),
            untracked=[_text(name, 300) for name in untracked[:MAX_LISTED]],
            untracked_count=len(untracked),
            private=[_text(name, 300) for name in self._private()[:MAX_LISTED]] if changed else [],
            diff=diff,
            diff_is_whole=is_whole,
            note="" if with_diff else "Its program was told not to send what is not committed.",
        )

    def _started_in(self) -> str:
        here, root = Path.cwd().resolve(), self._folder.resolve()
        return str(here.relative_to(root)) if here.is_relative_to(root) else ""

    def _remote(self) -> str:
        upstream = self._maybe("rev-parse", "--abbrev-ref", "--symbolic-full-name", "@{upstream}")
        name = upstream.partition("/")[0] or "origin"
        return self._maybe("remote", "get-url", name)

    def _status(self) -> tuple[list[str], list[str]]:
        """Return the files that are changed, and those that git does not know."""
        entries = self._git("status", "--porcelain=v1", "-z", "--no-renames").split("\0")
        changed = [entry[3:] for entry in entries if entry and not entry.startswith("??")]
        return changed, [entry[3:] for entry in entries if entry.startswith("??")]

    def _private(self) -> list[str]:
        """Return the changed files whose content stays where it is."""
        return self._maybe(*_DIFF, "--name-only", "--", *_INCLUDED).splitlines()

    def _diff(self) -> tuple[str, bool]:
        """Return what is not committed, masked, and whether that is all of it."""
        text = self._git(*_DIFF, "--", ".", *_EXCLUDED, most=wire.MAX_DIFF + 1)
        masked = self._masker.text(bounds.readable(text))
        if len(text) <= wire.MAX_DIFF and len(masked) <= wire.MAX_DIFF:
            return masked, True
        # Up to the end of a line.
        cut = masked[: wire.MAX_DIFF]
        return cut[: cut.rfind("\n") + 1], False

    def _maybe(self, *arguments: str) -> str:
        with suppress(Unknown):
            return self._git(*arguments).strip()
        return ""

    def _git(self, *arguments: str, most: int = 4_000_000) -> str:
        """Return what a git command prints, at most `most` bytes of it; raises Unknown."""
        command = ["git", "-C", str(self._folder), "-c", "core.quotepath=off",
                   "-c", "core.fsmonitor=false", *arguments]  # fmt: skip
        try:
            with subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=os.environ | {"GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0"},
            ) as process:
                return self._read(process, most)
        except FileNotFoundError:
            raise Unknown("git is not installed where the program runs.") from None
        except OSError as error:
            raise Unknown(f"git could not be asked: {error}.") from None

    def _read(self, process: "subprocess.Popen[bytes]", most: int) -> str:
        """Read it in this thread, killed by a clock: communicate() would take all there is."""
        if process.stdout is None or process.stderr is None:
            raise Unknown("git prints nothing.")
        os.set_blocking(process.stdout.fileno(), False)
        pieces: list[bytes] = []
        size = 0
        while True:
            piece = process.stdout.read(65_536)
            if piece == b"":
                break
            if piece:
                pieces.append(piece)
                size += len(piece)
            if size > most or time.monotonic() > self._end:
                process.kill()
                if size > most:
                    break
                raise Unknown("git took too long to answer.")
            if piece is None:
                time.sleep(0.005)
        text = b"".join(pieces)[:most].decode(errors="replace")
        if process.wait() and size <= most:
            raise Unknown(_sentence(process.stderr.read(2_000).decode(errors="replace")))
        return text


def _sentence(error: str) -> str:
    first = error.strip().partition("\n")[0].removeprefix("fatal: ")
    if "not a git repository" in first:
        return "The program does not lie in a git repository."
    return f"git says: {first or 'nothing'}."


def _text(text: str, most: int) -> str:
    return bounds.readable(text)[:most]
