"""Fonts of PDF files: those of this machine where it has them, and which of them has a character.

A name has to be readable. DejaVu is taken where it is installed, else Vera, which comes with
reportlab; what it lacks is looked for in further fonts, and Chinese, Japanese and Korean are
written with the fonts that readers of PDF bring. What no font has is a box, and counted.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfbase.ttfonts import TTFError, TTFont

FOLDERS = (Path("/usr/share/fonts"), Path("/usr/local/share/fonts"))
BODY, MONO = "body", "mono"
# Regular, bold, italic and both, the first that is there; reportlab has Vera.
BODIES = (
    ("DejaVuSans.ttf", "DejaVuSans-Bold.ttf", "DejaVuSans-Oblique.ttf",
     "DejaVuSans-BoldOblique.ttf"),
    ("Vera.ttf", "VeraBd.ttf", "VeraIt.ttf", "VeraBI.ttf"),
)  # fmt: skip
MONOS = ("DejaVuSansMono.ttf", "LiberationMono-Regular.ttf")
# Where characters are looked for that the body's font lacks.
FURTHER = (
    "DejaVuSans.ttf", "NotoSans-Regular.ttf", "NotoSansArabic-Regular.ttf",
    "NotoSansHebrew-Regular.ttf", "NotoSansDevanagari-Regular.ttf", "NotoSansThai-Regular.ttf",
    "FreeSans.ttf", "DroidSansFallbackFull.ttf", "Symbola.ttf",
)  # fmt: skip
# First and last character, and the font that readers of PDF bring for it.
ASIAN = (
    (0x1100, 0x11FF, "HYGothic-Medium"),
    (0x3040, 0x30FF, "HeiseiKakuGo-W5"),
    (0xAC00, 0xD7AF, "HYGothic-Medium"),
    (0x3000, 0x303F, "STSong-Light"),
    (0x3400, 0x9FFF, "STSong-Light"),
    (0xFF00, 0xFFEF, "STSong-Light"),
)
BOX = "\N{WHITE SQUARE}"


@dataclass
class Missing:
    """The characters that no font has."""

    characters: set[str] = field(default_factory=set)

    @property
    def sentence(self) -> str:
        count = len(self.characters)
        if not count:
            return ""
        what = "One character is" if count == 1 else f"{count} characters are"
        return (
            f"{what} in no font of the machine that made this file, and shown as a box or a "
            "question mark. The HTML file has them."
        )


@cache
def load() -> tuple[str, ...]:
    """Register the fonts; return the names of those that characters are looked for in, in order."""
    paths = _installed()
    four = next(row for row in BODIES if row[0] == "Vera.ttf" or all(n in paths for n in row))
    names = [BODY, f"{BODY}-b", f"{BODY}-i", f"{BODY}-bi"]
    for name, file in zip(names, four, strict=True):
        pdfmetrics.registerFont(TTFont(name, str(paths.get(file, file))))
    pdfmetrics.registerFontFamily(
        BODY, normal=names[0], bold=names[1], italic=names[2], boldItalic=names[3]
    )
    mono = next((paths[file] for file in MONOS if file in paths), "Vera.ttf")
    _register(MONO, str(mono))
    further = [name for name in FURTHER if name in paths and _register(name, str(paths[name]))]
    for name in sorted({font for _, _, font in ASIAN}):
        pdfmetrics.registerFont(UnicodeCIDFont(name))
        _family(name)
    return (BODY, *further)


def runs(text: str, missing: Missing, *, first: str = BODY) -> Iterator[tuple[str, str]]:
    """Yield the text in stretches, each with the font that has its characters."""
    known = (first, *(name for name in load() if name != first))
    stretch, current = "", first
    for character in text:
        font, shown = _font_of(character, known, missing)
        if font != current and stretch:
            yield current, stretch
            stretch = ""
        current = font
        stretch += shown
    if stretch:
        yield current, stretch


def _font_of(character: str, known: tuple[str, ...], missing: Missing) -> tuple[str, str]:
    code = ord(character)
    if code < 0x80 or character.isspace():
        return known[0], character
    for name in known:
        if code in _characters(name):
            return name, character
    for low, high, name in ASIAN:
        if low <= code <= high:
            return name, character
    missing.characters.add(character)
    return known[0], BOX if ord(BOX) in _characters(known[0]) else "?"


@cache
def _characters(name: str) -> frozenset[int]:
    return frozenset(pdfmetrics.getFont(name).face.charToGlyph)


def _register(name: str, path: str) -> bool:
    try:
        pdfmetrics.registerFont(TTFont(name, path))
    except (TTFError, OSError):
        # A font that reportlab cannot embed, as those with PostScript outlines.
        return False
    _family(name)
    return True


def _family(name: str) -> None:
    pdfmetrics.registerFontFamily(name, normal=name, bold=name, italic=name, boldItalic=name)


def _installed() -> dict[str, Path]:
    """Return the files of the fonts that are looked for, by name."""
    wanted = {*(name for row in BODIES for name in row), *MONOS, *FURTHER}
    found: dict[str, Path] = {}
    for folder in FOLDERS:
        if folder.is_dir():
            for path in folder.rglob("*.ttf"):
                if path.name in wanted:
                    found.setdefault(path.name, path)
    return found
