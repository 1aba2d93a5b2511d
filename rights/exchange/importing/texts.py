"""Text files of any origin: their encoding, their separator and their cells."""

import codecs
import csv
import io
from collections.abc import Iterable, Iterator
from typing import IO

from portal.http import csv_files
from rights.exchange.importing.rows import MAX_ROWS, BadFile

PIECE = 1024 * 1024
SEPARATORS = ",;\t|"
# A cell longer than this means that a quotation mark was never closed.
LONGEST_CELL = 65_536
MOST_COLUMNS = 200


def encoding_of(file: IO[bytes]) -> str:
    """Return the file's encoding: by its byte order mark, else by what it can be decoded as.

    The whole file is read: one letter of Latin-1 at its end rules out UTF-8. A file that is in
    neither UTF is read as Windows-1252, which Latin-1 files of today are.
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


class Table:
    """A CSV file: its header, and its rows of cells, numbered from 1."""

    def __init__(self, file: IO[bytes]) -> None:
        self.encoding = encoding_of(file)
        self._file = file
        first = self._first_line()
        self.separator = separator_of(first)
        self.header = [cell.replace("\0", "").strip() for cell in next(self._lines(), [])]
        if not any(self.header):
            raise BadFile("The file is empty: its first line must name its columns.")
        if len(self.header) > MOST_COLUMNS:
            raise BadFile(f"The file has more than {MOST_COLUMNS} columns.")

    def rows(self) -> Iterator[tuple[int, list[str]]]:
        """Yield number and cells of each row; empty lines are no rows. Raises BadFile."""
        lines = self._lines()
        next(lines, None)
        number = 0
        for cells in lines:
            if not any(cell.strip() for cell in cells):
                continue
            number += 1
            if number > MAX_ROWS:
                raise BadFile(
                    f"The file has more than {MAX_ROWS:,} rows; send it in several files."
                )
            yield number, [csv_files.original(cell) for cell in cells]

    def _text(self) -> io.TextIOWrapper:
        self._file.seek(0)
        # Windows-1252 leaves five bytes undefined; they show as a replacement character.
        errors = "replace" if self.encoding == "cp1252" else "strict"
        return io.TextIOWrapper(self._file, encoding=self.encoding, errors=errors, newline="")

    def _first_line(self) -> str:
        text = self._text()
        try:
            return text.readline(LONGEST_CELL)
        except UnicodeError as error:
            raise BadFile("The file's characters cannot be read; save it as UTF-8.") from error
        finally:
            text.detach()

    def _lines(self) -> Iterator[list[str]]:
        text = self._text()
        csv.field_size_limit(LONGEST_CELL)
        source = _Source(text)
        reader = csv.reader(source, delimiter=self.separator, strict=False)
        start = 1
        try:
            for cells in reader:
                if source.ended:
                    raise BadFile(
                        f"The row that begins on line {start} has no end: a quotation mark in it "
                        "is never closed, and takes in all that follows."
                    )
                yield cells
                start = reader.line_num + 1
        except csv.Error as error:
            raise BadFile(
                f"Near line {reader.line_num} the file cannot be read as a table ({error}): is a "
                "quotation mark never closed?"
            ) from error
        except UnicodeError as error:
            raise BadFile(
                f"Near line {reader.line_num} the characters cannot be read; save it as UTF-8."
            ) from error
        finally:
            if not text.closed:
                text.detach()


class _Source:
    """Lines that record (`ended`) that a reader asked for more than there are. A CSV reader does so
    in the middle of a row only where a quotation mark is open."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._lines = iter(lines)
        self.ended = False

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        for line in self._lines:
            return line
        self.ended = True
        raise StopIteration
