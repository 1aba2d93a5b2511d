"""`manage.py backup FILE`: a copy of the SQLite database, while everything runs."""

import os
import sqlite3
from argparse import ArgumentParser
from contextlib import closing
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import connection


class Command(BaseCommand):
    help = "Writes a copy of the SQLite database as it is in one moment."
    # Nothing here depends on pages: a broken machine is put right in half the time.
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path, metavar="FILE")

    def handle(self, *_args: Any, **options: Any) -> None:
        target: Path = options["file"]
        if connection.vendor != "sqlite":
            raise CommandError("This is PostgreSQL, which pg_dump copies (docs/operations.md).")
        if target.exists():
            raise CommandError(f"{target} is there already: give the copy another name.")
        draft = target.with_name(f".{target.name}.{os.getpid()}")
        try:
            copy(draft)
            draft.replace(target)
        except (OSError, sqlite3.Error) as error:
            raise CommandError(f"The copy cannot be written to {target}: {error}") from error
        finally:
            draft.unlink(missing_ok=True)
        self.stdout.write(f"Copied to {target}: {target.stat().st_size} bytes.")


def copy(target: Path) -> None:
    """Write one file with everything that is committed by now; concurrent writers do not wait.

    All pages are copied in one step: in several, each write in between would restart the copy.
    """
    os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    connection.ensure_connection()
    with closing(sqlite3.connect(target)) as duplicate:
        connection.connection.backup(duplicate)
        # The copied pages say that a log lies beside the file. The copy is complete without one.
        duplicate.execute("PRAGMA journal_mode=DELETE")
        (verdict,) = duplicate.execute("PRAGMA quick_check").fetchone()
    if verdict != "ok":
        raise sqlite3.DatabaseError(f"the database is damaged: {verdict}")
    with target.open("rb") as file:
        os.fsync(file.fileno())
