"""Why media are withheld: a picture may show what may not be heard any more.

A spectrogram can be played, a table can hold lyrics, a figure can hold samples of sound. Nobody
looks at each, so what silences the clips of a run takes its media with it:

1. a permission behind the run ended: all its media are withheld, of whatever kind;
2. a clip of the run is withheld for itself (an objection, a copy, the lab's own decision): then
   what was logged at the clip's step and may show it is. Counts (histograms, confusion matrices)
   show no clip and stay.

Nothing has to run for it: the rows of permissions and clips are read where media are.
"""

from collections.abc import Callable

from django.db.models import Exists, QuerySet

from experiments.models import Media, MediaQuerySet, Run, revocations

Kind = Media.Kind
# What may show a clip of its step.
SHOWS = frozenset({Kind.IMAGE, Kind.TABLE, Kind.FIGURE, Kind.TEXT})
CLIP = "Withheld: a clip of this step is withheld, and this may show it."

# Whether, for media in an outer query, a clip of the run and step is withheld; of rooms above.
_clips: list[Callable[[], Exists]] = []


def register(condition: Callable[[], Exists]) -> None:
    """Let a room above say which steps have a clip that is withheld."""
    _clips.append(condition)


def judged(rows: MediaQuerySet) -> MediaQuerySet:
    """Add what `reason` needs."""
    conditions = {f"silent_{n}": condition() for n, condition in enumerate(_clips)}
    return rows.with_revocations().annotate(**conditions)


def reason(row: Media) -> str:
    """Return why a judged row is withheld, as a sentence; empty if it is not."""
    held: str | None = row.hold_reason  # type: ignore[attr-defined]
    if held is not None:
        return _ended(held)
    silent = any(getattr(row, f"silent_{n}") for n in range(len(_clips)))
    return CLIP if silent and row.kind in SHOWS else ""


def reasons_of_runs(runs: QuerySet[Run]) -> dict[int, str]:
    """Return, by number, why all media of some of these runs are withheld."""
    rows = runs.annotate(hold_reason=revocations.revocation_reason("pk"))
    found = rows.values_list("number", "hold_reason")
    return {number: _ended(held) for number, held in found if held is not None}


def _ended(held: str) -> str:
    return f"Withheld: {(held or 'a permission behind it ended').rstrip('.')}."
