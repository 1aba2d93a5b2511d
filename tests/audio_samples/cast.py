"""Runs and samples for the tests of these rooms, made with the product's verbs."""

import io
from itertools import count

from audio_samples import samples
from audio_samples.models import Sample
from experiments.models import Project, Run
from experiments.runs import datasets, runs
from portal.models import User
from rights.models import Recording, Use
from tests.tones import tone

_pitch = count(1)


def make_run(by: User, project: Project, recordings: list[Recording]) -> Run:
    dataset = datasets.freeze(
        by=by, project=project, name="opted in", recordings=recordings, use=Use.TRAIN_GENERATIVE
    )
    return runs.submit(by=by, project=project, recipe="flow_matching", config={}, dataset=dataset)


def make_sample(run: Run, name: str = "final/techno/0", **fields: object) -> Sample:
    file: io.BytesIO = tone(seconds=0.6, frequency=300 + 7 * next(_pitch))
    said: dict[str, object] = {"file": file, "prompt": "slow techno", "final": True, **fields}
    return samples.receive(run=run, name=name, **said)  # type: ignore[arg-type]
