"""Tables of any origin: CSV in its encoding and with its separator, or a sheet of a workbook.

A table has lines of cells, of which one names the columns. Lines count from 1 as a spreadsheet
shows them; the rows after the header count from 1 by themselves, without the empty ones.
"""

import codecs
import csv
import io
import re
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import IO, Protocol

from portal.http import csv_files
from rights.exchange.importing.reading import ENCODINGS, Reading
from rights.exchange.importing.rows import MAX_ROWS, BadFile
from rights.exchange.importing.workbooks import Workbook, is_workbook

PIECE = 1024 * 1024
SEPARATORS = ",;\t|"
# How a file of Excel's names its separator, in a line of its own before all others.
SEPARATOR_LINE = re.compile(r'"?sep=(?P<separator>[,;\t|])"?\s*', re.IGNORECASE)
# How distributors keep Excel from changing a code.
EXCEL_SAFE = re.compile(r'="([^"]*)"')
# A cell longer than this means that a quotation mark was never closed.
LONGEST_CELL = 65_536
MOST_COLUMNS = 200
# The header is looked for in these lines: reports have a few lines of words before it.
HEADER_WITHIN = 30
# What is shown of a file, and found out from it, is in these: a page waits for them.
FIRST_LINES = 1_000
# Empty lines count: a workbook may have thirty million of them.
MOST_LINES = 2 * MAX_ROWS


# The first element of a page, or of a spreadsheet in XML, after what may stand before it.
PAGE = re.compile(
    rb"(?:<\?.{0,400}?\?>|<!--.{0,400}?-->|\s)*"
    rb"<(?:!doctype\s+html|html|head|meta|style|body|table|(?:\w{1,20}:)?workbook|office:document)\b",
    re.IGNORECASE | re.DOTALL,
)


def refuse_others(file: IO[bytes]) -> None:
    """Refuse files of other kinds by how they begin, whatever their names say. Raises BadFile."""
    file.seek(0)
    start = file.read(4096).replace(b"\0", b"").lstrip(b"\xef\xbb\xbf\xff\xfe \t\r\n")
    file.seek(0)
    if start.startswith(b"%PDF"):
        raise BadFile(
            "This is a PDF, which nothing can be read from for sure. Ask for the table that it was "
            "made from, and send it as .xlsx or CSV."
        )
    if PAGE.match(start):
        raise BadFile(
            "This is a page (HTML) or a spreadsheet in XML, as some programs name .xls. Open it in "
            "a spreadsheet program, and save it as .xlsx or CSV."
        )


class Lines(Protocol):
    """What a kind of file gives: its lines of cells, as often as they are asked for."""

    encoding: str
    sheets: list[str]
    # Whether the line yielded last has a quotation mark that would have to be doubled.
    odd_quotes: bool

    def lines(self) -> Iterator[list[str]]:
        """Yield the cells of each line, empty lines too; raises BadFile."""


def lines_of(file: IO[bytes], reading: Reading) -> Lines:
    """Return the lines of a CSV file or of a workbook's sheet. Raises BadFile."""
    return Workbook(file, reading.sheet) if is_workbook(file) else TextLines(file, reading.encoding)


class Table:
    """A table: its header, and its rows of cells, numbered from 1. Raises BadFile."""

    def __init__(
        self, file: IO[bytes], reading: Reading | None = None, *, lines: Lines | None = None
    ) -> None:
        self.reading = reading or Reading()
        # Lines that were opened already: a workbook takes seconds to open.
        self._lines = lines or lines_of(file, self.reading)
        self.encoding, self.sheets = self._lines.encoding, self._lines.sheets
        self.header_line, self.header = self._find_header()
        if len(self.header) > MOST_COLUMNS:
            raise BadFile(f"The file has more than {MOST_COLUMNS} columns.")

    def _find_header(self) -> tuple[int, list[str]]:
        wanted = self.reading.header_line
        for number, cells in enumerate(islice(self._lines.lines(), FIRST_LINES), start=1):
            if number == wanted or (not wanted and any(cell.strip() for cell in cells)):
                header = _trimmed([_text(cell).replace("\0", "").strip() for cell in cells])
                if header:
                    return number, header
                break
            if wanted and number > wanted:
                break
        raise BadFile(
            f"Line {wanted} names no columns."
            if wanted
            else "The file is empty: its first line must name its columns."
        )

    @property
    def odd_quotes(self) -> bool:
        """Whether the row yielded last has a quotation mark that would have to be doubled."""
        return self._lines.odd_quotes

    def first_lines(self, count: int = HEADER_WITHIN) -> list[list[str]]:
        """Return the first lines of the file, whichever of them is the header."""
        return [_trimmed(cells) for cells in islice(self._lines.lines(), count)]

    def first_rows(self) -> Iterator[tuple[int, list[str]]]:
        """Yield the rows among the first lines, as `rows` does."""
        return self._rows(islice(self._lines.lines(), self.header_line, FIRST_LINES))

    def rows(self) -> Iterator[tuple[int, list[str]]]:
        """Yield number and cells of each row; empty lines are no rows. Raises BadFile."""
        yield from self._rows(islice(self._counted_lines(), self.header_line, None))

    def _counted_lines(self) -> Iterator[list[str]]:
        for number, cells in enumerate(self._lines.lines(), start=1):
            if number > MOST_LINES:
                raise BadFile(f"The file has more than {MOST_LINES:,} lines.")
            yield cells

    def _rows(self, lines: Iterable[list[str]]) -> Iterator[tuple[int, list[str]]]:
        number = 0
        for cells in lines:
            if not any(cell.strip() for cell in cells):
                continue
            number += 1
            if number > MAX_ROWS:
                raise BadFile(
                    f"The file has more than {MAX_ROWS:,} rows; send it in several files."
                )
            yield number, [_text(cell) for cell in cells]


def _text(cell: str) -> str:
    """Return the cell's text, without what an export of ours or of others puts around it."""
    safe = EXCEL_SAFE.fullmatch(cell)
    return safe[1] if safe else csv_files.original(cell)


def _trimmed(cells: list[str]) -> list[str]:
    """Return the cells without the empty ones at the end, which spreadsheets like to add."""
    count = max((place for place, cell in enumerate(cells, start=1) if cell.strip()), default=0)
    return cells[:count]


# --- CSV --------------------------------------------------------------------------------------


def encoding_of(file: IO[bytes]) -> str:
    """Return the file's encoding: by its byte order mark, else by what it can be decoded as.

    The whole file is read: one letter of Latin-1 at its end rules out UTF-8. A file that is in
    neither UTF is read as Windows-1252, which Latin-1 files of today are, unless somebody chooses.
    """
    file.seek(0)
    start = file.read(4096)
    if start.startswith(codecs.BOM_UTF8):
        return "utf-8-sig"
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    if start and b"\0" in start:
        # Latin letters in UTF-16 have a zero in every other byte; which half gives the byte order.
        odd, even = start[1::2].count(0), start[0::2].count(0)
        if max(odd, even) * 2 > len(start) // 2:
            return "utf-16-le" if odd > even else "utf-16-be"
        raise BadFile("This is not a text file: it has bytes that no text has.")
    file.seek(0)
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        while piece := file.read(PIECE):
            decoder.decode(piece)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return "cp1252"
    return "utf-8"


def separator_of(header: str) -> str:
    """Return the most frequent separator of the first line; quoted text does not count."""
    unquoted = "".join(header.split('"')[::2])
    counts = {mark: unquoted.count(mark) for mark in SEPARATORS}
    best = max(SEPARATORS, key=lambda mark: counts[mark])
    return best if counts[best] else ","


class TextLines:
    """The lines of a CSV file."""

    sheets: list[str] = []
    odd_quotes = False

    def __init__(self, file: IO[bytes], encoding: str = "") -> None:
        self._file = file
        self.encoding = self._chosen(encoding) if encoding else encoding_of(file)
        # Windows-1252 leaves five bytes undefined; where nobody has chosen it, they show as a
        # replacement character.
        self._errors = "replace" if self.encoding == "cp1252" and not encoding else "strict"
        self._named, self.separator = self._separator()

    def _chosen(self, encoding: str) -> str:
        """Return the chosen encoding, as the decoder that also takes its byte order mark off."""
        self._file.seek(0)
        marked = self._file.read(2) in {codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE}
        if encoding == "utf-16" and not marked:
            return "utf-16-le"
        return "utf-8-sig" if encoding == "utf-8" else encoding

    def _text(self) -> io.TextIOWrapper:
        self._file.seek(0)
        return io.TextIOWrapper(self._file, encoding=self.encoding, errors=self._errors, newline="")

    def _separator(self) -> tuple[bool, str]:
        """Return whether the first line names the separator, and the separator: else that of the
        line with most of one, among those that may be the header."""
        text = self._text()
        try:
            first = text.readline(LONGEST_CELL)
            if match := SEPARATOR_LINE.fullmatch(first):
                return True, match["separator"]
            starts = [first, *(text.readline(LONGEST_CELL) for _ in range(HEADER_WITHIN - 1))]
        except UnicodeError as error:
            raise self._unreadable(error) from error
        finally:
            text.detach()
        # A title or an empty line has none: the first line with a separator tells.
        telling = next((line for line in starts if separator_of(line) in line), "")
        return False, separator_of(telling)

    def _unreadable(self, error: UnicodeError) -> BadFile:
        name = ENCODINGS.get(self.encoding.removesuffix("-sig").removesuffix("-le"), self.encoding)
        del error
        return BadFile(
            f"The characters cannot be read as {name}. Choose another encoding, or save the file "
            "as UTF-8."
        )

    def lines(self) -> Iterator[list[str]]:
        text = self._text()
        csv.field_size_limit(LONGEST_CELL)
        source = _Source(text)
        if self._named:
            next(source, None)
        reader = csv.reader(source, delimiter=self.separator, strict=False)
        mark = re.escape(self.separator)
        odd = re.compile(rf'(?:^|{mark})"(?:[^"]|"")*"(?!"|{mark}|[\r\n]|$)')
        start = 1
        try:
            for cells in reader:
                if source.ended:
                    raise BadFile(
                        f"The row that begins on line {start} has no end: a quotation mark in it "
                        "is never closed, and takes in all that follows."
                    )
                self.odd_quotes = odd.search(source.taken()) is not None
                yield cells
                start = reader.line_num + 1
        except csv.Error as error:
            raise BadFile(
                f"Near line {reader.line_num} the file cannot be read as a table ({error}): is a "
                "quotation mark never closed?"
            ) from error
        except UnicodeError as error:
            raise self._unreadable(error) from error
        finally:
            if not text.closed:
                text.detach()


class _Source:
    """Lines that record (`ended`) that a reader asked for more than there are. A CSV reader does so
    in the middle of a row only where a quotation mark is open."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._lines = iter(lines)
        self._taken: list[str] = []
        self.ended = False

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        for line in self._lines:
            self._taken.append(line)
            return line
        self.ended = True
        raise StopIteration

    def taken(self) -> str:
        """Return the lines since the last call as one text."""
        text = "".join(self._taken)
        self._taken.clear()
        return text
