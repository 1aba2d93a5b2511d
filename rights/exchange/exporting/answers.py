"""One party's answer to each use of its recordings, for many recordings at once."""

from collections.abc import Iterator, Sequence

from rights.exchange.importing.participation import Holdings
from rights.models import Party, RecordingQuerySet, Use

BATCH_SIZE = 1_000


def lines(
    recordings: RecordingQuerySet, party: Party, uses: Sequence[Use]
) -> Iterator[list[tuple[str, str, bool]]]:
    """Yield parts of (ISRC, use, whether the party's open grants cover all rights it holds)."""
    last = 0
    while True:
        part = list(
            recordings.exclude(isrc="")
            .filter(pk__gt=last)
            .order_by("pk")
            .values_list("pk", "isrc")[:BATCH_SIZE]
        )
        if not part:
            return
        last = part[-1][0]
        holdings = Holdings(party, [pk for pk, _ in part], {use.value for use in uses})
        yield [
            (isrc, use.value, not holdings.missing(pk, use))
            for pk, isrc in part
            for use in uses
            if holdings.needed(pk, use)
        ]
