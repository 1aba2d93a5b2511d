"""A report as one HTML file: its styles and pictures are in it, and it fetches nothing."""

import base64
import re
from functools import cache
from pathlib import Path

from django.conf import settings
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.safestring import SafeString, mark_safe

from experiments.models import ReportVersion
from experiments.reports import pages
from experiments.reports.export import sounds
from experiments.reports.kinds import Reading

SHEETS = ("tokens.css", "reports.css", "report-file.css")
# Where a player of a released clip goes; written by templates/reports/piece.html.
PLACE = re.compile(r'<span data-release="([0-9]{1,18})"></span>')
MEDIA_TYPE = re.compile(r"audio/[a-z0-9.+-]{1,40}")


def write(version: ReportVersion, reading: Reading, *, most: int) -> tuple[bytes, list[int]]:
    """Return the file in UTF-8, and the releases whose sound is in it."""
    body = pages.html(version.text, reading)
    room = (most - len(body.encode())) * 3 // 4
    wanted = {int(number) for number in PLACE.findall(body)}
    found = sounds.read(wanted, room=max(room - 65536, 0)) if wanted else {}
    context = {
        "version": version,
        "report": version.report,
        "project": reading.project,
        "styles": _styles(),
        "body": _with_players(body, found),
        "base": reading.base,
        "now": timezone.now(),
    }
    return render_to_string("reports/file.html", context).encode(), sorted(found)


def _with_players(body: str, found: dict[int, sounds.Sound]) -> SafeString:
    def player(place: re.Match[str]) -> str:
        sound = found.get(int(place[1]))
        if sound is None or not MEDIA_TYPE.fullmatch(sound.media_type):
            return ""
        data = base64.b64encode(sound.data).decode()
        return (
            f'<audio controls preload="none" src="data:{sound.media_type};base64,{data}"></audio>'
        )

    return mark_safe(PLACE.sub(player, body))  # noqa: S308 - safe before; types are checked.


@cache
def _styles() -> SafeString:
    folder = Path(settings.BASE_DIR) / "static" / "css"
    text = "\n".join((folder / name).read_text(encoding="utf-8") for name in SHEETS)
    return mark_safe(text)  # noqa: S308 - our own style sheets.
