"""The credit statement of each sample: made with the clip, updated from the ledger later."""

import zlib
from collections.abc import Iterable, Sequence

from django.db import transaction

from audio_samples.models import CreditStatement, NamedArtist
from experiments.clearance import attribution
from experiments.models import Run
from rights.usage import crediting

# A line names this many artists; the others are counted.
MAX_NAMED = 4
# Level 1 shrinks ids and digits to a third; higher ones take four times as long for a tenth.
LEVEL = 1


def statement_at(run: Run, step: int, references: Iterable[int] = ()) -> CreditStatement | None:
    """Return the statement of what the run had learned from by `step`; None if it used no music.

    A clip without a step (0) counts the whole run; for a run that only generates, the step is that
    of its weights. Before use is first reported, every recording of the dataset is credited
    equally, and the statement says so. Clips of one step share a statement: it is made again only
    if the ledger has grown for it.
    """
    references = list(references)
    mark = attribution.ledger_version(run, step or None)
    rows = CreditStatement.objects.filter(
        mark=mark, samples__run=run, samples__step=step, samples__references=references
    )
    if row := rows.defer("packed").first():
        return row
    content = attribution.statement(run, step or None, references)
    return None if content is None else _store(content, mark)


def update_statements(run: Run) -> int:
    """Update each sample's statement from the ledger: use may be reported after the clip arrives.

    Returns how many changed. Safe to run at any time; statements themselves never change.
    """
    changed = 0
    kinds = run.samples.order_by("step").values_list("step", "references").distinct()
    for step, references in kinds:
        statement = statement_at(run, step, references)
        if statement is not None:
            stale = run.samples.filter(step=step, references=references).exclude(credit=statement)
            changed += stale.update(credit=statement)
    return changed


def _store(content: crediting.Statement, mark: str) -> CreditStatement:
    canonical = content.canonical()
    digest = crediting.digest(canonical)
    with transaction.atomic():
        statement, created = CreditStatement.objects.defer("packed").get_or_create(
            digest=digest,
            defaults={
                "packed": zlib.compress(canonical, LEVEL),
                "mark": mark,
                "learned": len(content.lines),
                "heard": len(content.references),
            },
        )
        if created:
            _name_artists(statement, content)
        elif statement.mark != mark:
            statement.mark = mark
            statement.save(update_fields=["mark"])
    return statement


def _name_artists(statement: CreditStatement, content: crediting.Statement) -> None:
    learned, references = crediting.artists(content.lines), crediting.artists(content.references)
    statement.learned_artists, statement.heard_artists = len(learned), len(references)
    statement.save(update_fields=["learned_artists", "heard_artists"])
    NamedArtist.objects.bulk_create(
        [
            *_named_artists(statement, learned, heard=False),
            *_named_artists(statement, references, heard=True),
        ]
    )


def _named_artists(
    statement: CreditStatement, parties: Sequence[int], *, heard: bool
) -> Iterable[NamedArtist]:
    return (
        NamedArtist(statement=statement, party_id=party, heard=heard, place=place)
        for place, party in enumerate(parties[:MAX_NAMED])
    )
