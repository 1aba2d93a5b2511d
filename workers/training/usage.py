"""How much of each recording was used in training, counted from the crops that were drawn."""

from workers.data.recordings import Recording, used_seconds


class Usage:
    """Counts since the last report, by the recording's number in the portal."""

    def __init__(self, *, recordings: list[Recording], frames: int) -> None:
        self.numbers = [recording.number for recording in recordings]
        self.seconds = [used_seconds(recording, frames=frames) for recording in recordings]
        self.examples: dict[int, int] = {}

    def count(self, drawn: list[int]) -> None:
        """Count one example for each drawn index into the list of recordings."""
        for place in drawn:
            self.examples[place] = self.examples.get(place, 0) + 1

    def take(self) -> dict[int, tuple[int, float]]:
        """Return what to report, recording -> (examples, seconds), and reset the counts."""
        counts, self.examples = self.examples, {}
        return {
            self.numbers[place]: (examples, examples * self.seconds[place])
            for place, examples in sorted(counts.items())
        }
