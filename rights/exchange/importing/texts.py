"""Text files as they come: which characters, which separator, which cells."""

import codecs
import csv
import io
from collections.abc import Iterable, Iterator
from typing import IO

from portal.http import csv_files
from rights.exchange.importing.rows import MOST_ROWS, BadFile

PIECE = 1024 * 1024
SEPARATORS = ",;\t|"
# A cell longer than this is a quotation mark that was never closed.
LONGEST_CELL = 65_536
MOST_COLUMNS = 200


def encoding_of(file: IO[bytes]) -> str:
    """How the file's characters are written: by its mark, else by what it can be read as.

    The whole file is looked at: one letter of Latin-1 at its end is not UTF-8. A file of neither
    is read as Windows-1252, which Latin-1 files of today are.
    """
    file.seek(0)
    start = file.read(4096)
    if start.startswith(codecs.BOM_UTF8):
        return "utf-8-sig"
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    if start and b"\0" in start:
        # Latin letters in UTF-16 are every other byte zero; which half says the order.
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
    """What stands most often between the cells of the first line; quoted text does not count."""
    bare = "".join(header.split('"')[::2])
    counts = {mark: bare.count(mark) for mark in SEPARATORS}
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
        """Number and cells of each row; empty lines are no rows. Raises BadFile."""
        lines = self._lines()
        next(lines, None)
        number = 0
        for cells in lines:
            if not any(cell.strip() for cell in cells):
                continue
            number += 1
            if number > MOST_ROWS:
                raise BadFile(
                    f"The file has more than {MOST_ROWS:,} rows; send it in several files."
                )
            yield number, [csv_files.meant(cell) for cell in cells]

    def _text(self) -> io.TextIOWrapper:
        self._file.seek(0)
        # Windows-1252 leaves five bytes without a letter; they show as a replacement sign.
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
        begins = 1
        try:
            for cells in reader:
                if source.ended:
                    raise BadFile(
                        f"The row that begins on line {begins} has no end: a quotation mark in it "
                        "is never closed, and takes in all that follows."
                    )
                yield cells
                begins = reader.line_num + 1
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
    """Lines that tell whether somebody asked for more than there are: a reader of rows does so in
    the middle of a row only where a quotation mark is open."""

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
