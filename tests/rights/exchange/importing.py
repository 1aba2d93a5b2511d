"""Files for import tests, and a job from its file to its end by the product's own verbs."""

import csv
import io
from collections.abc import Iterable, Mapping

from django.apps import apps

from portal.models import User
from rights.exchange.importing import jobs, running
from rights.models import ImportJob, Party

# What an import writes of itself, whatever the file does.
OF_THE_JOB = {"ImportJob", "ImportProblem", "NewParty", "AuditEvent", "AuditPrivate", "Blob"}


def table(rows: Iterable[Mapping[str, str]], *, encoding: str = "utf-8", sep: str = ",") -> bytes:
    rows = list(rows)
    header = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, header, delimiter=sep, restval="")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode(encoding)


def song(number: int, **more: str) -> dict[str, str]:
    """A whole row: one recording of one artist with its work, shares and a place on a release."""
    artist = f"Artist {number % 7}"
    return {
        "Title": f"Song {number}",
        "ISRC": f"QZXYZ26{number:05d}",
        "Artist": artist,
        "Composers": artist,
        "Master split": f"{artist} 50; Label {number % 3} 50",
        "Composition split": f"{artist} 100",
        "Album": f"Album {number // 10}",
        "UPC": upc(number // 10),
        "Track number": str(number % 10 + 1),
        "Genre": "techno",
        "BPM": "128",
    } | more


def upc(number: int) -> str:
    eleven = f"{number:011d}"
    total = sum(int(digit) * (3 if place % 2 == 0 else 1) for place, digit in enumerate(eleven))
    return eleven + str(-total % 10)


def uploaded(by: User, content: bytes, name: str = "songs.csv", **more: object) -> ImportJob:
    return jobs.upload(by=by, file=io.BytesIO(content), name=name, **more)  # type: ignore[arg-type]


def work_off() -> None:
    """What the worker does, until nothing wants work."""
    for _ in range(200):
        if not running.run_next():
            return
    raise AssertionError("The jobs never end.")


def checked(by: User, content: bytes, name: str = "songs.csv", **flags: bool) -> ImportJob:
    job = uploaded(by, content, name)
    jobs.check(job, by=by, columns=job.columns, **flags)
    work_off()
    job.refresh_from_db()
    return job


def imported(by: User, content: bytes, name: str = "songs.csv", **flags: bool) -> ImportJob:
    job = checked(by, content, name, **flags)
    assert job.state == ImportJob.State.CHECKED, (job.state, job.error)
    jobs.start(job, by=by)
    work_off()
    job.refresh_from_db()
    return job


def counts() -> dict[str, int]:
    """Rows of every table but those in which a job writes of itself."""
    return {
        model._meta.label: model._default_manager.count()
        for model in apps.get_models()
        if model.__name__ not in OF_THE_JOB
    }


def told(job: ImportJob) -> list[tuple[int, str, str]]:
    return list(job.problems.values_list("row", "field", "sentence"))


def party_named(name: str) -> Party:
    return Party.objects.get(name=name)
