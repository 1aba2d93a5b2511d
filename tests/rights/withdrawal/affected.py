"""What came out of a permission: a dataset, a run, its checkpoint, a sample, a listening test."""

import io
from dataclasses import dataclass

from audio_samples.models import Sample
from experiments.models import Checkpoint, Project, Run
from experiments.runs import runs
from listening import trials
from listening.models import ListeningTest
from portal import storage
from portal.models import User
from rights.models import Recording
from tests.audio_samples.cast import make_run, make_sample


@dataclass
class Line:
    run: Run
    checkpoint: Checkpoint
    sample: Sample
    test: ListeningTest


def make_checkpoint(run: Run, step: int = 100) -> Checkpoint:
    weights = f"weights of {run.pk} at {step}".encode()
    blob = storage.put(io.BytesIO(weights), media_type="application/octet-stream")
    return Checkpoint.objects.create(run=run, step=step, blob=blob)


def make_line(by: User, project: Project, recordings: list[Recording]) -> Line:
    """A finished run of a dataset with these recordings, and one of each thing it left."""
    run = make_run(by, project, recordings)
    checkpoint = make_checkpoint(run)
    sample = make_sample(run)
    Run.objects.filter(pk=run.pk).update(state=Run.State.FINISHED)
    run.refresh_from_db()
    test = trials.open_test(
        by=by, project=project, title="Which one?", question="How good?", samples=[sample]
    )
    return Line(run, checkpoint, sample, test)


def go_on_from(checkpoint: Checkpoint, *, by: User, project: Project) -> Run:
    """A run that starts from these weights and learns from no recording itself."""
    return runs.submit(by=by, project=project, recipe="program", config={}, start_from=checkpoint)
