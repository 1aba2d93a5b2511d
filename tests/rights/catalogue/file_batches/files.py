"""Files, zips and announced recordings for the tests of file batches, and a worker at work."""

import io
import zipfile
from collections.abc import Mapping

import av
import numpy as np
import soundfile
from django.test import TestCase

from portal.models import User
from rights.catalogue import catalogue
from rights.catalogue.file_batches import batches, running
from rights.catalogue.file_batches.batches import Sent
from rights.models import BatchFile, Credit, FileBatch, Party, Recording

State = BatchFile.State


def wave(pitch: float, seconds: float = 0.5) -> np.ndarray:
    """(frames,) of a sine at 8 kHz in 16 bits, the same in every format."""
    time = np.arange(int(seconds * 8_000)) / 8_000
    samples: np.ndarray = (8_000 * np.sin(2 * np.pi * pitch * time)).astype(np.int16)
    return samples


def sound(pitch: float = 440.0, kind: str = "WAV", seconds: float = 0.5) -> bytes:
    file = io.BytesIO()
    samples = wave(pitch, seconds)
    soundfile.write(file, np.stack([samples, samples], axis=1), 8_000, format=kind)
    return file.getvalue()


def tagged(pitch: float = 440.0, **tags: str) -> bytes:
    """A FLAC with Vorbis comments."""
    file = io.BytesIO()
    with av.open(file, "w", format="flac") as container:
        container.metadata.update(tags)
        stream = container.add_stream("flac", rate=8_000)
        stream.layout = "mono"
        frame = av.AudioFrame.from_ndarray(wave(pitch).reshape(1, -1), format="s16", layout="mono")
        frame.rate = 8_000
        for packet in (*stream.encode(frame), *stream.encode(None)):
            container.mux(packet)
    return file.getvalue()


def zipped(files: Mapping[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return out.getvalue()


def announce(by: User, title: str, party: Party | None = None, **more: str) -> Recording:
    recording = catalogue.announce_recording(by=by, title=title, **more)
    if party:
        catalogue.add_credit(
            by=by, subject=recording, party=party, role=Credit.RoleCode.MAIN_ARTIST
        )
    return recording


def received(by: User, files: Mapping[str, bytes]) -> FileBatch:
    sent = [Sent(path, io.BytesIO(content), len(content)) for path, content in files.items()]
    return batches.receive(by=by, files=sent)


def work_off() -> None:
    """What the worker does, until nothing wants work; bytes are removed as after a commit."""
    for _ in range(200):
        with TestCase.captureOnCommitCallbacks(execute=True):
            if not running.run_next():
                return
    raise AssertionError("The batches never end.")


def looked_at(by: User, files: Mapping[str, bytes]) -> FileBatch:
    batch = received(by, files)
    work_off()
    batch.refresh_from_db()
    assert batch.state == FileBatch.State.READY
    return batch


def attached(by: User, files: Mapping[str, bytes]) -> FileBatch:
    batch = looked_at(by, files)
    batches.attach(batch, by=by)
    work_off()
    batch.refresh_from_db()
    return batch


def states(batch: FileBatch) -> dict[str, str]:
    return {row.path: str(row.state) for row in batch.files.all()}


def row(batch: FileBatch, path: str) -> BatchFile:
    return batch.files.get(path=path)
