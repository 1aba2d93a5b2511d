"""The credit statement of each sample: made when the clip comes, brought up to the ledger later."""

import zlib
from collections.abc import Iterable, Sequence

from django.db import transaction

from audio_samples.models import CreditStatement, NamedArtist
from experiments.clearance import attribution
from experiments.models import Run
from rights.usage import crediting

# So many artists are named in a line; the others are counted.
NAMED = 4
# Ids and digits shrink to a third at once; trying harder takes four times as long for a tenth.
LEVEL = 1


def statement_at(run: Run, step: int, references: Iterable[int] = ()) -> CreditStatement | None:
    """The statement of what the run had learned from up to `step`; None where it used no music.

    A clip without a step (0) counts the whole run; of a run that only generates, the step is that
    of its weights. Before the first report of use every recording of the dataset is credited
    alike, and the statement says so. Clips of one step share a statement: it is made again only
    where the ledger has grown for it.
    """
    references = list(references)
    mark = attribution.ledger_version(run, step or None)
    known = CreditStatement.objects.filter(
        mark=mark, samples__run=run, samples__step=step, samples__references=references
    )
    if found := known.defer("packed").first():
        return found
    made = attribution.statement(run, step or None, references)
    return None if made is None else _keep(made, mark)


def settle(run: Run) -> int:
    """Bring each sample's statement up to the ledger, which may report later than the clip came.

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


def _keep(made: crediting.Statement, mark: str) -> CreditStatement:
    canonical = made.canonical()
    digest = crediting.digest(canonical)
    with transaction.atomic():
        statement, created = CreditStatement.objects.defer("packed").get_or_create(
            digest=digest,
            defaults={
                "packed": zlib.compress(canonical, LEVEL),
                "mark": mark,
                "learned": len(made.lines),
                "heard": len(made.references),
            },
        )
        if created:
            _name(statement, made)
        elif statement.mark != mark:
            statement.mark = mark
            statement.save(update_fields=["mark"])
    return statement


def _name(statement: CreditStatement, made: crediting.Statement) -> None:
    learned, heard = crediting.artists(made.lines), crediting.artists(made.references)
    statement.learned_artists, statement.heard_artists = len(learned), len(heard)
    statement.save(update_fields=["learned_artists", "heard_artists"])
    NamedArtist.objects.bulk_create(
        [*_places(statement, learned, heard=False), *_places(statement, heard, heard=True)]
    )


def _places(
    statement: CreditStatement, parties: Sequence[int], *, heard: bool
) -> Iterable[NamedArtist]:
    return (
        NamedArtist(statement=statement, party_id=party, heard=heard, place=place)
        for place, party in enumerate(parties[:NAMED])
    )
