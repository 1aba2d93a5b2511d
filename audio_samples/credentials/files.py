"""Sign and read files with a content credential, in a process of its own (tool.py)."""

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Literal

from audio_samples.credentials.chain import Chain
from portal.database import long_work

TOOL = Path(__file__).with_name("tool.py")
SECONDS = 150
State = Literal["none", "Invalid", "Valid", "Trusted"]
STATES: dict[str, State] = {
    "none": "none",
    "Invalid": "Invalid",
    "Valid": "Valid",
    "Trusted": "Trusted",
}


class Unsigned(RuntimeError):
    """The file could not be signed; the sentence says why, for an operator."""


class Unreadable(ValueError):
    """The file's credential cannot be read: it is broken, or the file is not what it seems."""


@dataclass(frozen=True)
class Reading:
    """What a file's newest credential says, and whether it may be trusted.

    `Valid` is not enough: an untrusted signer's file is `Valid` too. `serial` is the decimal
    serial number of the certificate; `codes` are those of the C2PA specification, section 15,
    for what failed.
    """

    state: State
    assertions: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    serial: str = ""
    codes: tuple[str, ...] = ()
    # What all manifests say of how it was made and what machines may do with it (tool.py).
    manifests: tuple[Mapping[str, Any], ...] = ()


def sign(
    source: Path, target: Path, *, media_type: str, manifest: Mapping[str, Any], chain: Chain
) -> bytes:
    """Write `source` with the manifest to `target`; return the manifest as it was signed.

    The audio is untouched. A credential that `source` already has stays in its history. Raises
    Unsigned, also if those who trust our anchors would not trust the result.
    """
    answer = _ask(
        verb="sign",
        source=str(source),
        target=str(target),
        media_type=media_type,
        manifest=manifest,
        chain=chain.chain,
        key=str(chain.key),
        anchors=chain.anchors,
    )
    if "error" in answer:
        raise Unsigned(f"The file could not be signed: {answer['error']}")
    if answer["state"] != "Trusted":
        codes = ", ".join(answer["codes"])
        raise Unsigned(f"The signed file would be {answer['state']}, not Trusted: {codes}")
    return bytes.fromhex(answer["manifest"])


def read(source: Path, *, media_type: str, anchors: str) -> Reading:
    """Return what the file's credential says; raises Unreadable."""
    answer = _ask(verb="read", source=str(source), media_type=media_type, anchors=anchors)
    if "error" in answer:
        raise Unreadable(answer["error"])
    return Reading(
        state=STATES.get(answer["state"], "Invalid"),
        assertions=answer.get("assertions", {}),
        serial=answer.get("serial", ""),
        codes=tuple(answer.get("codes", ())),
        manifests=tuple(answer.get("manifests", ())),
    )


def read_open(file: IO[bytes], *, media_type: str, anchors: str) -> Reading:
    """Do the same for an open file, which is left at its start."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "file"
        file.seek(0)
        with copy.open("wb") as target:
            shutil.copyfileobj(file, target)
        file.seek(0)
        return read(copy, media_type=media_type, anchors=anchors)


def _ask(**request: Any) -> dict[str, Any]:
    long_work.forbid_in_transaction("A file is signed or read")
    try:
        # -P: a file beside the tool cannot shadow the standard library.
        completed = subprocess.run(
            [sys.executable, "-P", str(TOOL)],
            input=json.dumps(request),
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
            env={},
        )
    except subprocess.TimeoutExpired:
        return {"error": "it took too long"}
    if completed.returncode:
        last_line = completed.stderr.strip().rpartition("\n")[2][:300]
        return {"error": last_line or f"the reader ended with {completed.returncode}"}
    answer: dict[str, Any] = json.loads(completed.stdout)
    return answer
