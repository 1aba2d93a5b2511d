"""Workbooks of Excel (.xlsx): their sheets, and the lines of one as texts.

Nothing is computed: of a formula we read the value that the spreadsheet has stored with it.
"""

import warnings
import zipfile
from collections.abc import Iterator
from datetime import date, datetime, time
from decimal import Decimal
from typing import IO, Any

from rights.exchange.importing.rows import BadFile

ZIP = b"PK\x03\x04"
# What Excel wrote before 2007, and writes today for a file with a password.
OLD = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
# Unpacked. Texts and styles lie in memory while a workbook is read; of a sheet, one row does.
MAX_SHEETS_BYTES = 512 * 1024 * 1024
MAX_TEXTS_BYTES = 32 * 1024 * 1024
MAX_PART_BYTES = 8 * 1024 * 1024
MAX_PARTS = 2_000
MAX_ROW_BYTES = 16 * 1024 * 1024
MOST_ELEMENTS = 200_000
# Empty ones count.
MOST_LINES = 1_100_000
LONGEST_CELL = 65_536
TEXTS = "xl/sharedStrings.xml"
SHEETS = "xl/worksheets/"
# The parts that are parsed as a whole.
PARSED = (".xml", ".rels")
ROW = b"<row"
PIECE = 1024 * 1024
TOO_LARGE = "The workbook is larger than is read. Save its sheet as CSV, and send that."
# What a broken file makes the library raise.
BROKEN = (
    zipfile.BadZipFile, KeyError, ValueError, TypeError, IndexError,
    AttributeError, SyntaxError, EOFError, NotImplementedError, OverflowError, OSError,
)  # fmt: skip


def is_workbook(file: IO[bytes]) -> bool:
    """Return whether the file is a workbook or another archive, by its first bytes. Raises BadFile
    for an old Excel file."""
    file.seek(0)
    start = file.read(8)
    file.seek(0)
    if start == OLD:
        raise BadFile(
            "This is an old Excel file (.xls), or one with a password. Save it as .xlsx without a "
            "password, or as CSV."
        )
    return start.startswith(ZIP)


def check_workbook(file: IO[bytes]) -> None:
    """Look through all of a workbook before it is stored; what cannot be read within bounds of
    memory is refused. Raises BadFile."""
    try:
        with zipfile.ZipFile(file) as archive:
            parts = archive.infolist()
            if "xl/workbook.xml" not in {part.filename for part in parts}:
                raise BadFile(
                    "This is an archive, and no Excel workbook (.xlsx). Send the table in it, as "
                    ".xlsx or CSV."
                )
            _check_sizes(parts)
            for part in parts:
                if part.filename.startswith(SHEETS):
                    with archive.open(part) as sheet:
                        _check_rows(sheet)
    except BROKEN as error:
        if isinstance(error, BadFile):
            raise
        raise BadFile("The workbook is damaged: it cannot be unpacked.") from error
    finally:
        file.seek(0)


def _check_sizes(parts: list[zipfile.ZipInfo]) -> None:
    sheets = sum(part.file_size for part in parts if part.filename.startswith(SHEETS))
    too_large = [
        part
        for part in parts
        if part.filename.endswith(PARSED)
        and not part.filename.startswith(SHEETS)
        and part.file_size > (MAX_TEXTS_BYTES if part.filename == TEXTS else MAX_PART_BYTES)
    ]
    if len(parts) > MAX_PARTS or sheets > MAX_SHEETS_BYTES or too_large:
        raise BadFile(TOO_LARGE)


def _check_rows(sheet: IO[bytes]) -> None:
    """Check that no row, nor what is before and after them, is too large to lie in memory."""
    size = elements = rows = 0
    rest = b""
    while piece := sheet.read(PIECE):
        first, *others = (rest + piece).split(ROW)
        rows += len(others)
        if rows > MOST_LINES:
            raise BadFile(f"The workbook has more than {MOST_LINES:,} rows. Send it in parts.")
        # A mark of a row may be cut in two.
        rest = (others or [first])[-1][1 - len(ROW) :]
        for place, part in enumerate((first, *others)):
            size, elements = (size, elements) if place == 0 else (0, 0)
            size, elements = size + len(part), elements + part.count(b"<")
            if size > MAX_ROW_BYTES or elements > MOST_ELEMENTS:
                raise BadFile(TOO_LARGE)
        # Counted again with the next piece.
        size, elements = max(0, size - len(rest)), max(0, elements - rest.count(b"<"))


class Workbook:
    """The lines of one sheet; by default of the first that people see and that has a cell."""

    encoding = ""
    odd_quotes = False

    def __init__(self, file: IO[bytes], sheet: str = "") -> None:
        self._file = file
        self._book = self._load()
        shown = [each for each in self._book.worksheets if each.sheet_state == "visible"]
        self.sheets = [str(each.title) for each in shown or self._book.worksheets]
        if not self.sheets:
            raise BadFile("The workbook has no sheet with cells.")
        if sheet and sheet not in self._book.sheetnames:
            raise BadFile(f"The workbook has no sheet “{sheet[:40]}”.")
        self.sheet = sheet or next(filter(self._has_cells, self.sheets), self.sheets[0])

    def _load(self) -> Any:
        # Every process would load it at its start, with Pillow and lxml, and few read workbooks.
        import openpyxl  # noqa: PLC0415

        self._file.seek(0)
        try:
            with warnings.catch_warnings():
                # Of styles and validations that it does not know, and that say nothing here.
                warnings.simplefilter("ignore")
                return openpyxl.load_workbook(
                    self._file, read_only=True, data_only=True, keep_links=False
                )
        except BROKEN as error:
            raise BadFile("The workbook is damaged: it cannot be read.") from error

    def _has_cells(self, sheet: str) -> bool:
        return any(any(cells) for cells, _ in zip(self._lines(sheet), range(50), strict=False))

    def lines(self) -> Iterator[list[str]]:
        return self._lines(self.sheet)

    def _lines(self, sheet: str) -> Iterator[list[str]]:
        worksheet = self._book[sheet]
        # The size that a file states may be wrong, and would cut off what lies beyond it.
        worksheet.reset_dimensions()
        read = 0
        try:
            for cells in worksheet.iter_rows():
                yield [_text(cell) for cell in cells]
                read += 1
        except BROKEN as error:
            if isinstance(error, BadFile):
                raise
            raise BadFile(f"The workbook is damaged after line {read}.") from error


def _text(cell: Any) -> str:
    """Return what a cell shows, in the form in which a CSV file would say it."""
    match cell.value:
        case None:
            return ""
        case bool() as value:
            return "true" if value else "false"
        case int() | float() as value:
            return _number(value, str(cell.number_format))
        case datetime() as value:
            return value.date().isoformat() if value.time() == time() else value.isoformat(" ")
        case date() | time() as value:
            return value.isoformat()
        case value:
            text = str(value)
            if len(text) > LONGEST_CELL:
                raise BadFile(f"A cell has more than {LONGEST_CELL:,} characters.")
            return text


def _number(value: float, number_format: str) -> str:
    number = Decimal(repr(value))
    if not number.is_finite():
        return str(value)
    percent = number_format.rstrip().endswith("%")
    number = number * 100 if percent else number
    text = format(number.normalize(), "f") if number else "0"
    return f"{text} %" if percent else text
