"""The life of an import job: uploaded, checked, started, stopped, resumed.

The jobs' rows are the queue: a task looks for jobs with work to do (running.py), and messages only
wake it.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import IO, Any

from django.conf import settings
from django.db import transaction

from portal import audit, storage
from portal.celery import wake
from portal.database import commit_order
from portal.models import User
from rights.errors import Refused, required
from rights.exchange.importing import columns, documents, ern, participation
from rights.exchange.importing.changes import ENTERED, Options
from rights.exchange.importing.reading import Reading
from rights.exchange.importing.rows import BadFile, Reader, Row, folded
from rights.exchange.importing.tables import Lines, Table, lines_of, refuse_others
from rights.exchange.importing.workbooks import check_workbook, is_workbook
from rights.models import Agreement, ImportJob, Party

State = ImportJob.State
Format = ImportJob.Format
TASK = "rights.imports"
MOST_SAME = 5_000
FLAGS = ("update_titles", "update_tags", "extend", "propose_splits", "confirmed_on_paper")
MEDIA = {
    Format.CSV: "text/csv", Format.ERN: "application/xml", Format.JSON: "application/json",
    Format.PARTICIPATION: "text/csv",
}  # fmt: skip
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
# The formats that are tables: CSV or a workbook.
TABLES = frozenset({Format.CSV, Format.PARTICIPATION})


def upload(
    *,
    by: User,
    file: IO[bytes],
    name: str,
    format: str = "",  # noqa: A002
    source: str = "",
    party: Party | None = None,
    agreement: Agreement | None = None,
) -> ImportJob:
    """Store the file, and guess how its columns are read. Nothing is entered yet.

    Raises Refused or storage.TooLarge. `source` names whose file this is: what has no number of
    its own is found again by what its source calls it.
    """
    name = required(name.rpartition("/")[2], field="file", longest=200)
    try:
        refuse_others(file)
    except BadFile as error:
        raise Refused("file", str(error), field="file") from error
    kind = format or guess_format(file)
    if kind not in Format.values:
        raise Refused("format", "This is not a kind of file that is read.", field="format")
    options: dict[str, Any] = {"source": (source.strip() or name)[:200]}
    if kind == Format.PARTICIPATION:
        if party is None:
            raise Refused("party", "Say whose list this is.", field="party")
        participation.check_agreement(party, agreement)
        options |= {"party": party.pk, "agreement": agreement.pk if agreement else None}
    column_map: dict[str, str] = {}
    media_type = MEDIA[Format(kind)]
    try:
        if kind in TABLES:
            if is_workbook(file):
                check_workbook(file)
                media_type = XLSX
            lines = lines_of(file, Reading())
            reading = guess_reading(file, lines) if kind == Format.CSV else Reading()
            options["reading"] = reading.stored()
            header = Table(file, reading, lines=lines).header
            column_map = columns.guess(header) if kind == Format.CSV else {}
    except BadFile as error:
        raise Refused("file", str(error), field="file") from error
    if same := _said_before(str(options["source"])):
        options["same"] = same
    file.seek(0)
    blob = storage.put(file, media_type=media_type)
    with transaction.atomic():
        job = ImportJob.objects.create(
            name=name, file=blob, format=kind, columns=column_map, options=options, made_by=by
        )
        audit.record(by=by, verb="import.uploaded", subject=job, file=blob.sha256, format=str(kind))
    return job


def _said_before(source: str) -> dict[str, int]:
    """Return whose names the source's last import was told to take for parties that are here."""
    last = ImportJob.objects.filter(options__source=source).order_by("-created_at", "-pk").first()
    same = same_parties(last) if last else {}
    known = set(Party.objects.filter(pk__in=same.values()).values_list("pk", flat=True))
    return {name: pk for name, pk in same.items() if pk in known}


def guess_format(file: IO[bytes]) -> str:
    """Guess the format by the first characters: XML, JSON, else a table (CSV or a workbook)."""
    file.seek(0)
    start = file.read(512).lstrip(b"\xef\xbb\xbf\xff\xfe \t\r\n\0")
    file.seek(0)
    if start.startswith(b"<"):
        return Format.ERN
    return Format.JSON if start.startswith(b"{") else Format.CSV


def guess_reading(file: IO[bytes], lines: Lines) -> Reading:
    """Find out how a catalogue's table is read: which line names its columns, and the order of its
    dates. What cannot be read is said when the file is checked: another encoding may help."""
    try:
        first_lines = Table(file, lines=lines).first_lines()
        reading = Reading(header_line=columns.guess_header(first_lines))
        table = Table(file, reading, lines=lines)
        samples = columns.date_samples(table, columns.guess(table.header))
    except BadFile:
        return Reading()
    return replace(reading, dates=columns.guess_order(samples))


def reading_of(job: ImportJob) -> Reading:
    return Reading.from_stored(job.options.get("reading"))


@contextmanager
def table_of(job: ImportJob, reading: Reading | None = None) -> Iterator[Table]:
    """Open the table of a job, read as chosen or in another way; raises BadFile."""
    with storage.open_blob(job.file_id) as file:
        yield Table(file, reading or reading_of(job))


def rows_of(job: ImportJob, after: int = 0) -> Iterator[Row]:
    """Yield the rows of a catalogue file, without the first `after`; raises BadFile."""
    with storage.open_blob(job.file_id) as file:
        yield from _reader(job, file).rows(after)


def _reader(job: ImportJob, file: IO[bytes]) -> Reader:
    portal = settings.PORTAL_URL
    if job.format == Format.CSV:
        return columns.CsvReader(Table(file, reading_of(job)), job.columns, portal=portal)
    if job.format == Format.ERN:
        return ern.ErnReader(file, portal=portal)
    return documents.JsonReader(file, portal=portal)


def same_parties(job: ImportJob) -> dict[str, int]:
    """Return the names that somebody has said to be parties' of the catalogue: folded name to row
    id."""
    return dict(job.options.get("same", {}))


def entered_by(job: ImportJob) -> dict[str, set[int]]:
    """Return what the parts of this import have added so far, by the keys of their audit lines."""
    entered: dict[str, set[int]] = {}
    for body in audit.history(job).filter(verb="import.part").values_list("body", flat=True):
        for name in ENTERED:
            entered.setdefault(name, set()).update(body.get(name, ()))
    return entered


def options_of(job: ImportJob) -> Options:
    return Options(
        source=str(job.options.get("source", job.name)),
        **{name: bool(job.options.get(name)) for name in FLAGS},
    )


@transaction.atomic
def check(
    job: ImportJob,
    *,
    by: User,
    columns: Mapping[str, str] | None = None,
    reading: Reading | None = None,
    **flags: bool,
) -> ImportJob:
    """Have the whole file checked, read in this way, with this map of columns and these options.
    Nothing is entered. Raises Refused for a job that has begun to enter rows."""
    if job.format == Format.CSV and columns is not None and "title" not in columns:
        raise Refused("title", "Say which column holds the title.", field="title")
    options = job.options | {name: bool(flags.get(name)) for name in FLAGS}
    if reading is not None:
        options["reading"] = reading.stored()
    return _have_checked(job, by, options, job.columns if columns is None else dict(columns))


def _have_checked(
    job: ImportJob, by: User, options: Mapping[str, Any], columns: Mapping[str, str]
) -> ImportJob:
    _move(
        job,
        (State.UPLOADED, State.CHECKED, State.FAILED),
        State.CHECKING,
        "An import that has begun is not checked again; start a new one with the same file.",
        done=0,
        options=options,
        columns=columns,
    )
    audit.record(by=by, verb="import.checked", subject=job, options=options, columns=columns)
    wake(TASK)
    return job


@transaction.atomic
def identify(job: ImportJob, *, by: User, same: Mapping[str, Party | None]) -> ImportJob:
    """Take names of the file for parties of the catalogue, or (None) for new ones after all, and
    have the file checked again. Raises Refused for a job that has begun to enter rows."""
    chosen = same_parties(job)
    for name, party in same.items():
        if party is None:
            chosen.pop(folded(name), None)
        else:
            chosen[folded(name)] = party.pk
    if len(chosen) > MOST_SAME:
        raise Refused("same", f"At most {MOST_SAME:,} names are taken for other parties'.")
    return _have_checked(job, by, job.options | {"same": chosen}, job.columns)


@transaction.atomic
def start(job: ImportJob, *, by: User) -> ImportJob:
    """Have the checked rows entered. Rows with problems are left out."""
    _move(
        job, (State.CHECKED,), State.WAITING, "Have it checked first.",
        done=0, added=0, changed=0, unchanged=0, refused=0,
    )  # fmt: skip
    job.problems.all().delete()
    audit.record(by=by, verb="import.started", subject=job)
    wake(TASK)
    return job


@transaction.atomic
def cancel(job: ImportJob, *, by: User) -> ImportJob:
    """Stop after the current part. What is entered stays, and is complete."""
    if ImportJob.objects.filter(pk=job.pk, state=State.CHECKING).exists():
        _move(job, (State.CHECKING,), State.UPLOADED, "It is checked already.")
    else:
        _move(
            job, (State.WAITING, State.RUNNING), State.CANCELLED,
            "Only an import at work can be stopped.",
        )  # fmt: skip
    audit.record(by=by, verb="import.stopped", subject=job, done=job.done)
    return job


@transaction.atomic
def resume(job: ImportJob, *, by: User) -> ImportJob:
    """Continue after the last row that was processed."""
    _move(
        job, (State.CANCELLED, State.FAILED), State.WAITING, "Only a stopped import goes on.",
        error="", ended_at=None,
    )  # fmt: skip
    audit.record(by=by, verb="import.resumed", subject=job, done=job.done)
    wake(TASK)
    return job


def _move(
    job: ImportJob, old: tuple[State, ...], new: State, refusal: str, **values: object
) -> None:
    """Compare-and-set the state. A worker on the job finds out within its current part."""
    # Take the turn before locking any row (portal/database/commit_order.py).
    commit_order.moment()
    moved = ImportJob.objects.filter(pk=job.pk, state__in=old).update(
        state=new, beat_at=None, **values
    )
    if not moved:
        raise Refused("state", refusal)
    job.refresh_from_db()
