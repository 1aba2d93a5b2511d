"""A catalogue of many rows: looked at, entered, and sent a second time.

    python -m benchmarks.imports [rows]

Each row is a recording with its work, both splits, an artist and a place on a release; on SQLite
and, where a server is installed, on PostgreSQL, each in a fresh database and a process of its own.
Prints seconds and rows per second of the dry run, of the import and of the same file again, and the
largest memory of the process.
"""

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.consent import databases
from benchmarks.portal import ROOT


def main(rows: int) -> None:
    with databases() as found:
        for name, url in found.items():
            code = f"from benchmarks import imports; imports.on({name!r}, {url!r}, {rows})"
            subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def on(name: str, url: str, rows: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {
            "STATE_DIR": folder,
            "DATABASE_URL": url or f"sqlite:///{folder}/bench.sqlite3",
            "STORAGE_DIR": f"{folder}/blobs",
            "REDIS_URL": "memory://",
            "LOG_LEVEL": "ERROR",
            "DJANGO_SETTINGS_MODULE": "portal.settings",
        }
        import django

        django.setup()
        from django.core.management import call_command

        call_command("migrate", verbosity=0)
        measure(name, rows, Path(folder))


def measure(name: str, rows: int, folder: Path) -> None:
    from portal.models import User
    from rights.exchange.importing import jobs
    from rights.models import ImportJob

    by = User.objects.create(username="rosa", roles=["rights_admin"])
    path = folder / "songs.csv"
    write(path, rows)
    print(f"{rows} rows, {path.stat().st_size / 1e6:.1f} MB, {name}")
    for turn in ("first", "again"):
        with path.open("rb") as file:
            job = jobs.upload(by=by, file=file, name="songs.csv")
        jobs.check(job, by=by, columns=job.columns)
        told(f"{turn}: dry run", rows, work_off)
        job.refresh_from_db()
        assert job.state == ImportJob.State.CHECKED, job.error
        assert job.refused == 0, list(job.problems.values_list("row", "sentence")[:5])
        if job.added + job.changed == 0:
            print(f"{turn}: nothing to enter, {job.unchanged} unchanged")
        jobs.start(job, by=by)
        told(f"{turn}: import", rows, work_off)
        job.refresh_from_db()
        print(f"  {job.added} added, {job.unchanged} unchanged, {job.get_state_display()}")
    print(f"memory at most {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB\n")


def told(what: str, rows: int, work) -> None:  # type: ignore[no-untyped-def]
    start = time.perf_counter()
    work()
    seconds = time.perf_counter() - start
    print(f"{what}: {seconds:.1f} s, {rows / seconds:.0f} rows/s", flush=True)


def work_off() -> None:
    from rights.exchange.importing import running

    while running.run_next():
        pass


def write(path: Path, rows: int) -> None:
    """One artist for every fifty rows, three labels, ten tracks on a release."""
    with path.open("w", encoding="utf-8") as file:
        file.write(
            "Title,ISRC,Artist,Composers,Publisher,Master split,Composition split,Album,Label,"
            "Track number,UPC,Genre,BPM\n"
        )
        for number in range(rows):
            artist, label = f"Artist {number // 50}", f"Label {number // 10 % 3}"
            file.write(
                f"Song {number},QZBEN{26 + number // 100_000}{number % 100_000:05d},{artist},"
                f"{artist}; Writer {number % 997},House {number % 13},{artist} 50; {label} 50,"
                f"{artist} 70; Writer {number % 997} 30,Album {number // 10},{label},"
                f"{number % 10 + 1},{upc(number // 10)},techno,{100 + number % 60}\n"
            )


def upc(number: int) -> str:
    eleven = f"{number:011d}"
    total = sum(int(digit) * (3 if place % 2 == 0 else 1) for place, digit in enumerate(eleven))
    return eleven + str(-total % 10)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)
