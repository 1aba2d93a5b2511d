"""A run that keeps in memory what a program reports, with the client's methods."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from backline.wire import Arithmetic, CheckpointSource, DatasetItem, RunSpec
from workers.data import synth

GENRES = ("ambient", "techno", "chip", "waltz")


class Recorder:
    """Stands in for `backline.Run`; files are "fetched" from `files` by their url."""

    def __init__(self, spec: RunSpec, files: dict[str, Path]) -> None:
        self.spec = spec
        self.files = files
        self.stop_requested: object | None = None
        self.stop_at: int | None = None
        self.points: list[tuple[int, str, float]] = []
        self.audio: dict[tuple[str, int], NDArray[np.float32]] = {}
        self.prompts: dict[str, tuple[str, int, bool]] = {}
        self.references: dict[str, list[int]] = {}
        self.checkpoints: dict[int, tuple[Path, dict[str, Any]]] = {}
        self.usage: list[tuple[int, dict[int, tuple[int, float]]]] = []
        self.stages: list[tuple[float, str]] = []
        self.arithmetic: Arithmetic | None = None

    def log(self, points: dict[str, float], *, step: int) -> None:
        self.points += [(step, name, value) for name, value in points.items()]
        if step == self.stop_at:
            self.stop_requested = object()

    def log_audio(
        self,
        name: str,
        audio: NDArray[np.float32],
        *,
        sample_rate: int,
        step: int,
        prompt: str = "",
        seed: int | None = None,
        final: bool = False,
        references: Sequence[int] = (),
    ) -> None:
        assert sample_rate >= 8_000
        assert audio.ndim == 2
        self.audio[name, step] = np.array(audio)
        self.prompts[name] = (prompt, seed or 0, final)
        self.references[name] = list(references)

    def save_checkpoint(self, path: Path, *, step: int, meta: dict[str, Any]) -> None:
        self.checkpoints[step] = (path, meta)

    def log_usage(self, *, step: int, usage: dict[int, tuple[int, float]]) -> None:
        self.usage.append((step, usage))

    def log_arithmetic(self, chosen: Arithmetic) -> None:
        self.arithmetic = chosen

    def progress(self, fraction: float, *, stage: str) -> None:
        assert 0 <= fraction <= 1
        self.stages.append((fraction, stage))

    def fetch(self, item: DatasetItem | CheckpointSource) -> Path:
        return self.files[item.url]

    def series(self, name: str) -> dict[int, float]:
        return {step: value for step, known, value in self.points if known == name}


def record(folder: Path, *, each: int, seconds: float) -> dict[str, Path]:
    """Synthesised recordings as files, `each` of every genre, by their url."""
    files: dict[str, Path] = {}
    for number in range(each * len(GENRES)):
        genre = GENRES[number % len(GENRES)]
        track = synth.synthesise(genre=genre, seed=number + 1, seconds=seconds)
        path = folder / f"{number}-{genre}.flac"
        soundfile.write(path, track.audio.T, 44_100, format="FLAC")
        files[f"/audio/{number}"] = path
    return files


def recorder(
    files: dict[str, Path],
    *,
    resume: Path | None = None,
    step: int = 0,
    start_from: Path | None = None,
) -> Recorder:
    """A run over those recordings, going on from a checkpoint of its own or of another run if
    one is given."""
    items = [
        DatasetItem(
            recording=100 + number,
            sha256=f"{number:064x}",
            title=path.stem,
            tags={"genre": path.stem.partition("-")[2]},
            seconds=soundfile.info(path).duration,
            url=url,
        )
        for number, (url, path) in enumerate(files.items())
    ]
    source = None
    if resume is not None:
        files = {**files, "/checkpoint": resume}
        source = CheckpointSource(step=step, sha256="0" * 64, url="/checkpoint")
    first = None
    if start_from is not None:
        files = {**files, "/start-from": start_from}
        first = CheckpointSource(step=step, sha256="0" * 64, url="/start-from")
    spec = RunSpec(
        id="00000000-0000-4000-8000-000000000001",
        project="first-light",
        number=1,
        name="test",
        url="/",
        recipe="flow_matching",
        config={},
        items=items,
        resume=source,
        start_from=first,
    )
    return Recorder(spec, files)
