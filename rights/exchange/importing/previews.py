"""What the mapper shows of a table: its first rows as they would be read, before anything is."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from rights.exchange.importing import columns, jobs
from rights.exchange.importing.reading import Reading
from rights.exchange.importing.rows import BadFile
from rights.exchange.importing.tables import Table
from rights.models import ImportJob

FIRST_ROWS = 3


@dataclass
class TablePreview:
    """The beginning of a table, read in one way; `problem` is why it cannot be read so."""

    reading: Reading
    header: list[str] = field(default_factory=list)
    header_line: int = 0
    first_lines: list[list[str]] = field(default_factory=list)
    # Number and cells of the first rows, and of the first with letters beyond A to Z.
    rows: list[tuple[int, list[str]]] = field(default_factory=list)
    sheets: list[str] = field(default_factory=list)
    # As found or chosen; empty for a workbook.
    encoding: str = ""
    # Dates whose order is in question.
    dates: list[str] = field(default_factory=list)
    problem: str = ""


def preview_of(job: ImportJob, reading: Reading) -> TablePreview:
    """Read the beginning of the job's table in this way. Raises FileNotFoundError."""
    preview = TablePreview(reading)
    try:
        with jobs.table_of(job, reading) as table:
            _fill(preview, table, job.columns)
    except BadFile as error:
        preview.problem = str(error)
    return preview


def _fill(preview: TablePreview, table: Table, chosen: Mapping[str, str]) -> None:
    preview.header, preview.header_line = table.header, table.header_line
    preview.sheets, preview.encoding = table.sheets, table.encoding
    preview.first_lines = table.first_lines()
    rows = list(table.first_rows())
    foreign = [row for row in rows[FIRST_ROWS:] if not "".join(row[1]).isascii()]
    preview.rows = rows[:FIRST_ROWS] + foreign[:FIRST_ROWS]
    by_name = columns.guess(table.header)
    preview.dates = columns.date_samples(table, by_name | dict(chosen)) or columns.date_samples(
        table, by_name
    )
