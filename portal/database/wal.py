"""Keep SQLite's write-ahead log open while the web server runs.

Each request has a connection of its own, and when the last one closes SQLite removes its log and
the index beside it. The next one, even if it only reads, has to make both again: on a full disk
that fails, and nothing could be read. While any connection holds them open they stay.
"""

import logging
import sqlite3
from functools import cache

from django.conf import settings

log = logging.getLogger(__name__)


@cache
def keep_wal_open() -> sqlite3.Connection | None:
    """Return a connection that is not used but stays open for as long as the process lives; None
    if the database is not SQLite, or there is no room to begin with."""
    default = settings.DATABASES["default"]
    if not str(default["ENGINE"]).endswith("sqlite3"):
        return None
    try:
        # Opened here and closed with the process, by whichever thread is the last.
        connection = sqlite3.connect(str(default["NAME"]), check_same_thread=False)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.Error as error:
        log.warning("SQLite's log is not held open: %s", error)
        return None
    return connection
