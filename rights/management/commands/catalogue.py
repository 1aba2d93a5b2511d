"""`manage.py catalogue import FILE` and `export FILE`: what the pages do, from a shell."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from portal.models import Role, User
from rights.errors import Refused
from rights.exchange.exporting.ern import as_ern
from rights.exchange.exporting.writing import as_csv, as_json
from rights.exchange.importing import jobs, running
from rights.exchange.importing.columns import NAMES
from rights.grants import choices
from rights.models import ImportJob, Recording

WRITERS = {".csv": as_csv, ".json": as_json, ".xml": as_ern}


class Command(BaseCommand):
    help = "Imports a file into the catalogue, or exports recordings into one."

    def add_arguments(self, parser: ArgumentParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
        enter = verbs.add_parser("import")
        enter.add_argument("file", type=Path)
        enter.add_argument("--by", required=True, help="Who answers for it: a rights admin.")
        enter.add_argument("--source", default="", help="Whose file it is.")
        enter.add_argument(
            "--map", action="append", default=[], metavar="FIELD=COLUMN", help="Of a CSV file."
        )
        enter.add_argument("--dry-run", action="store_true", help="Only say what would come of it.")
        for flag in jobs.FLAGS:
            enter.add_argument(f"--{flag.replace('_', '-')}", action="store_true")
        export = verbs.add_parser("export")
        export.add_argument("file", type=Path, help="Its ending says how: .csv, .json or .xml.")
        export.add_argument("--query", default="", help="As the search of the recordings page.")

    def handle(self, *_args: Any, **options: Any) -> None:
        (self._import if options["verb"] == "import" else self._export)(**options)

    def _import(self, **options: Any) -> None:
        by = User.objects.filter(username=options["by"]).first()
        if by is None or not by.has_role(Role.RIGHTS_ADMIN):
            raise CommandError(f"{options['by']} is no rights admin.")
        try:
            with options["file"].open("rb") as file:
                job = jobs.upload(
                    by=by, file=file, name=options["file"].name, source=options["source"]
                )
            columns = job.columns | self._map(options["map"])
            flags = {flag: options[flag] for flag in jobs.FLAGS}
            jobs.check(
                job,
                by=by,
                columns=columns if job.format == ImportJob.Format.CSV else None,
                **flags,
            )
            self._work_off(job)
            if job.state == ImportJob.State.CHECKED and not options["dry_run"]:
                jobs.start(job, by=by)
                self._work_off(job)
        except (OSError, Refused) as error:
            raise CommandError(str(error)) from error
        for problem in job.problems.iterator():
            kind = "warning" if problem.warning else "refused"
            self.stdout.write(f"row {problem.row}, {problem.field} ({kind}): {problem.sentence}")
        self.stdout.write(
            f"Import {job.pk}, {job.get_state_display().lower()}: {job.rows} rows, {job.added} "
            f"added, {job.changed} changed, {job.unchanged} unchanged, {job.refused} refused."
        )
        if job.state == ImportJob.State.FAILED:
            raise CommandError(job.error)

    def _map(self, pairs: list[str]) -> dict[str, str]:
        columns = dict(pair.split("=", 1) for pair in pairs if "=" in pair)
        if len(columns) != len(pairs) or not set(columns) <= set(NAMES):
            raise CommandError(
                f"--map says FIELD=COLUMN, and a field is one of {', '.join(NAMES)}."
            )
        return columns

    def _work_off(self, job: ImportJob) -> None:
        """Run the job in this process; where a worker has it already, wait until that is done."""
        at_work = (ImportJob.State.CHECKING, ImportJob.State.WAITING, ImportJob.State.RUNNING)
        while job.state in at_work:
            running.run_next(job)
            job.refresh_from_db()

    def _export(self, **options: Any) -> None:
        path: Path = options["file"]
        if path.suffix not in WRITERS:
            raise CommandError(f"The file's ending is one of {', '.join(WRITERS)}.")
        rows = choices.search(Recording.objects.all(), options["query"].strip())
        rows = Recording.objects.filter(pk__in=rows.order_by().values("pk"))
        with path.open("w", encoding="utf-8", newline="") as file:
            file.writelines(WRITERS[path.suffix](rows))
        self.stdout.write(f"{rows.count()} recordings in {path}.")
