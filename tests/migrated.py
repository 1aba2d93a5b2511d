"""Databases that are migrated already. All migrations take as long as a hundred tests (Django
renders the models anew after each step), so they run once for each content of them, and what
they made is kept beside pytest's cache and copied from there."""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import psycopg

from tests.cluster import database

ROOT = Path(__file__).resolve().parents[1]
CACHE = ROOT / ".pytest_cache" / "migrated"
# Names the database on the tests' PostgreSQL server that theirs are copied from.
TEMPLATE_VARIABLE = "TEST_DATABASE_TEMPLATE"


def copy_to(state: Path) -> None:
    """Put a migrated SQLite database into `state`, for a portal whose STATE_DIR that is."""
    state.mkdir(exist_ok=True)
    made = _once("backline.sqlite3", lambda path: _migrate(DATABASE_URL=f"sqlite://{path}"))
    shutil.copyfile(made, state / "backline.sqlite3")


def template(server: database.Database) -> str:
    """The name of a migrated database on `server`, which has none yet."""
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute("CREATE DATABASE migrated")
    fill(server, "migrated")
    return "migrated"


def fill(server: database.Database, name: str = "postgres") -> None:
    """Make the tables of the migrations in an empty database of `server`."""
    programs = server.programs

    def migrate(path: Path) -> None:
        with database.running(programs) as other:
            _migrate(DATABASE_URL=other.url)
            dump = [programs / "pg_dump", "--no-owner", f"--file={path}", *_address(other)]
            subprocess.run([*dump, "postgres"], check=True)

    made = _once(f"postgresql-{programs.parent.name}.sql", migrate)
    load = [programs / "psql", "--quiet", "--set=ON_ERROR_STOP=1", f"--file={made}"]
    subprocess.run([*load, *_address(server), name], check=True, stdout=subprocess.DEVNULL)


def _address(server: database.Database) -> list[str]:
    return ["--host=127.0.0.1", f"--port={server.port}", "--username=backline"]


def _migrate(**env: str) -> None:
    with tempfile.TemporaryDirectory() as state:
        subprocess.run(
            [sys.executable, "manage.py", "migrate", "-v0"],
            cwd=ROOT,
            env={"PATH": os.environ["PATH"], "STATE_DIR": state, **env},
            check=True,
        )


def _once(name: str, make: Callable[[Path], None]) -> Path:
    """The file of that name for today's migrations. Of several processes one makes it."""
    made = CACHE / _digest() / name
    made.parent.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            for other in set(CACHE.glob("*/")) - {made.parent}:
                shutil.rmtree(other)
            new = made.with_name(f"{name}.new")
            new.unlink(missing_ok=True)
            make(new)
            new.rename(made)
    return made


def _digest() -> str:
    """Of the migrations of our apps, and of the versions of the others'."""
    content = hashlib.sha256((ROOT / "requirements" / "base.txt").read_bytes())
    for file in sorted(ROOT.glob("*/migrations/*.py")):
        content.update(f"\n{file.relative_to(ROOT)}\n".encode() + file.read_bytes())
    return content.hexdigest()[:16]
