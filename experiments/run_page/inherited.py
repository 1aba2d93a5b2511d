"""The curves that a fork has of the runs behind it, on its own steps."""

from collections.abc import Sequence

from experiments.metrics import metrics
from experiments.runs.forks import Segment


def curves(line: Sequence[Segment], name: str, points: int) -> list[dict[str, object]]:
    """Return one metric of each run of the line up to where it was left; the oldest first."""
    found = []
    for segment in reversed(line):
        curve = metrics.read(segment.run, name, points, to_step=segment.to_step)
        if len(curve):
            body = curve.as_json()
            steps = [step + segment.shift for step in body["steps"]]
            found.append({**body, "steps": steps, "run": segment.run.number})
    return found
