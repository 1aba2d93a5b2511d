"""What the recordings of a page have in common, use by use, so that it is said once.

Most recordings of a catalogue are allowed for the same uses. Said at each of them, the few that
differ could not be seen.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rights.models import Use
from rights.rightsholder.use_status import Choice, UseStatus


@dataclass(frozen=True)
class PageSummary:
    """The state that each use has for most recordings, and by recording what differs from it."""

    most: list[UseStatus]
    different: dict[int, list[UseStatus]]

    @property
    def on(self) -> list[Use]:
        return [status.use for status in self.most if status.allowed]

    @property
    def not_yet(self) -> list[UseStatus]:
        """The uses that are not on, but about which something was said."""
        return [
            status
            for status in self.most
            if not status.allowed and (status.part or status.word != Choice.OFF)
        ]

    @property
    def off(self) -> int:
        return len(self.most) - len(self.on) - len(self.not_yet)


def summarise(statuses: Mapping[int, Sequence[UseStatus]]) -> PageSummary:
    """Return what the recordings with these statuses have in common."""
    most: dict[Use, UseStatus] = {}
    counts: dict[Use, Counter[str]] = {}
    first: dict[tuple[Use, str], UseStatus] = {}
    for status in (status for row in statuses.values() for status in row):
        counts.setdefault(status.use, Counter())[status.short] += 1
        first.setdefault((status.use, status.short), status)
    for use, counter in counts.items():
        most[use] = first[use, counter.most_common(1)[0][0]]
    different = {
        pk: [status for status in row if status.short != most[status.use].short]
        for pk, row in statuses.items()
    }
    return PageSummary(list(most.values()), different)
