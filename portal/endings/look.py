"""The state of the journal, for operators: by its last lines and the database's position."""

import os

from django.db import DatabaseError

from portal.endings import journal, places
from portal.endings.restoring import behind
from portal.models import EndingsPosition


def look() -> tuple[bool, str]:
    """Return whether all is well, and a sentence. `manage.py restored` reads the whole journal."""
    place = places.current()
    try:
        names, position = place.names(), EndingsPosition.objects.first()
        trouble = _folder(place, names) or _lines(place, names, position)
        if not trouble and behind():
            trouble = (
                "The database is older than the journal: what was ended since the back-up is in "
                "force again. Run `manage.py restored --by NAME`."
            )
    except (OSError, DatabaseError) as error:
        trouble = f"It cannot be read: {error}"
    if trouble:
        return False, trouble
    if position is None:
        return True, "Nothing has ended yet; the first ending begins it."
    return True, f"Line {position.number} is the last, in {place.where()}."


def _folder(place: places.JournalPlace, names: list[str]) -> str:
    if isinstance(place, places.FolderPlace) and names and not os.access(place.folder, os.W_OK):
        return f"{place.where()} cannot be written: nobody can end a permission now."
    if len(names) > 1:
        return (
            f"A new journal was begun on {names[-1][:8]}, as the one before it was damaged or cut "
            f"off. When that is looked into, move {names[0]} away from {place.where()}."
        )
    return ""


def _lines(place: places.JournalPlace, names: list[str], position: EndingsPosition | None) -> str:
    if not names and position is None:
        return ""
    if not names:
        return (
            f"The journal is gone from {place.where()}. Put its copy back; without one, the next "
            "ending begins a new one, and a restore would undo what was ended until then."
        )
    try:
        last = journal.last_line(place, names[-1])
    except journal.Damaged as error:
        return f"{error} Keep the file as evidence; the next ending begins a new one."
    if position and (shorter := journal.lost(names[-1], last, position)):
        return f"{shorter} Put its copy back; else the next ending begins a new one."
    return ""
