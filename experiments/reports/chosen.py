"""Which runs a block is about: those it numbers, those its query finds, else the newest."""

from experiments.charts import selection
from experiments.charts.selection import Selection
from experiments.reports.blocks import BadBlock, NothingThere, Options
from experiments.reports.kinds import Reading
from experiments.runs import numbers

KEYS = {
    "query": "which runs, as in the query line of the run table",
    "runs": "or their numbers: 3, 5, 10-20",
    "archived": "yes: archived ones too",
}


def named(options: Options) -> list[int]:
    """Return the numbers that a block names. Raises BadBlock."""
    try:
        return numbers.read_numbers(", ".join(options.listed("runs")))
    except numbers.BadNumbers as refusal:
        raise BadBlock(str(refusal), options.line("runs")) from refusal


def runs(options: Options, reading: Reading) -> Selection:
    """Return the runs that the reader may see. Raises BadBlock for a query that cannot be read, for
    both a query and numbers, and where nothing is found."""
    found = named(options)
    text = options.text("query")
    if found and text:
        raise BadBlock("Say which runs by “query” or by “runs”, not by both.", options.line("runs"))
    # Of thousands of numbers nobody needs all in a sentence.
    wanted = found[: selection.MOST + 1]
    chosen = selection.choose(
        user=reading.user,
        project=reading.project,
        numbers=",".join(map(str, wanted)),
        text=text,
        archived=options.flag("archived"),
    )
    if chosen.error:
        raise BadBlock(chosen.error, options.line("query"))
    if not chosen.runs:
        raise NothingThere(
            chosen.note or ("No run fits this query." if text else "This project has no run yet."),
            options.line("query" if text else "runs"),
        )
    return chosen
