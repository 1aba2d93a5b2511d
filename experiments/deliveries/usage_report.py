"""Write a run's report of what it learned from to the ledger."""

from backline import wire
from experiments.models import Run
from experiments.runs import run_spec
from rights.usage import ledger


class NotInDataset(ValueError):
    """A program reports use of a recording that its run was never given."""


def report(run: Run, usage: wire.UsageReport) -> None:
    """Append to the ledger; the same step counts once. Raises NotInDataset, storing nothing."""
    allowed = set(run_spec.items(run).values_list("recording_id", flat=True))
    unknown = sorted({line.recording for line in usage.lines} - allowed)
    if unknown:
        raise NotInDataset(f"Recording {unknown[0]} is not in the dataset of run {run.number}.")
    ledger.report(
        ledger.Event(
            recording_id=line.recording,
            use=run.use,
            source=f"run:{run.pk}",
            step=usage.step,
            examples=line.examples,
            seconds=line.seconds,
        )
        for line in usage.lines
    )
