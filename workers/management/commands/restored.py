"""`manage.py restored --by NAME`: the last step of a restore, before anything is started again."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from experiments.models import Attempt
from portal import endings
from portal.endings import Outcome
from portal.models import User
from workers import restoring
from workers.cluster import Unavailable, backend


class Command(BaseCommand):
    help = (
        "Ends again what was ended since the back-up that was restored, and takes in what the "
        "cluster has begun since."
    )
    # Nothing here depends on pages: a broken machine is put right in half the time.
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--by", required=True, help="User name of who restores.")

    def handle(self, *_args: Any, **options: Any) -> None:
        by = User.objects.filter(username=options["by"]).first()
        if by is None:
            raise CommandError(f"Nobody is called {options['by']}.")
        try:
            # First: runs that lost their permission must not go on.
            report = endings.apply_missing(by=by)
        except (OSError, endings.Unwritable) as error:
            raise CommandError(f"The journal of endings is not to be used: {error}") from error
        self.print_endings(report)
        self.print_attempts(by)
        if report.faults:
            raise CommandError(
                "The journal of endings is not whole: ask what was ended since the back-up, and "
                "enter it, before the portal is started."
            )
        self.stdout.write("The portal may be started.")

    def print_endings(self, report: endings.ReplayReport) -> None:
        for sentence in report.faults:
            self.stderr.write(sentence)
        for entry, answer in report.done:
            self.stdout.write(f"{entry.at:%Y-%m-%d %H:%M} {entry.verb}: {answer.sentence}")
        if not report.done:
            self.stdout.write("The journal has no ending that the database lacks.")
            return
        self.stdout.write(
            f"{len(report.done)} endings since the back-up: {report.count(Outcome.DONE)} were "
            f"repeated, {report.count(Outcome.ALREADY)} needed nothing, and "
            f"{report.count(Outcome.BY_HAND)} are for you to decide."
        )
        if report.doubted:
            self.stdout.write(
                f"It is not known whether {report.doubted} of them were committed: the portal "
                "ended in that moment. An ending in doubt counts."
            )

    def print_attempts(self, by: User) -> None:
        cluster = backend.current()
        try:
            attempts = restoring.add_lost_attempts(cluster, by=by)
            statuses = cluster.observe()
        except Unavailable as error:
            raise CommandError(f"{error} Start the portal when it answers again.") from error
        for attempt in attempts:
            self.stdout.write(f"{attempt.run}: attempt {attempt.number} began after the back-up.")
        rows = Attempt.objects.filter(state__in=Attempt.OPEN_STATES)
        for attempt in rows.select_related("run").order_by("pk"):
            is_listed = attempt.job_name in statuses
            outcome = (
                "is still there and is looked at" if is_listed else "is gone: the next one starts"
            )
            self.stdout.write(f"{attempt.run}: attempt {attempt.number} {outcome}.")
