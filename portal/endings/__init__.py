"""What ends or narrows a permission, stored a second time beside the database.

A restore brings back an older database, and with it permissions that somebody has ended since.
Each line of the audit log that ends or narrows something is therefore written to a journal of its
own before it is committed: signed, chained and on the disk. What is not in the journal has not
been done; `manage.py restored` reads it and repeats what the database lacks.

`declare` says which verbs these are and how each is repeated (each app's journal_replay.py);
journal.py writes and reads the lines, places.py stores them, restoring.py repeats what a database
lacks.
"""

from portal.endings import accounts
from portal.endings.declared import Answer, Ending, JournalEntry, Outcome, declare, declared
from portal.endings.journal import Journal, Unwritable, read
from portal.endings.look import look
from portal.endings.restoring import ReplayReport, apply_missing, behind

__all__ = [
    "Answer",
    "Ending",
    "Journal",
    "JournalEntry",
    "Outcome",
    "ReplayReport",
    "Unwritable",
    "accounts",
    "apply_missing",
    "behind",
    "declare",
    "declared",
    "look",
    "read",
]
