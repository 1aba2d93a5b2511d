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

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--by", required=True, help="User name of who restores.")

    def handle(self, *_args: Any, **options: Any) -> None:
        by = User.objects.filter(username=options["by"]).first()
        if by is None:
            raise CommandError(f"Nobody is called {options['by']}.")
        try:
            # First: what is withheld must not go on.
            again = endings.apply_missing(by=by)
        except (OSError, endings.Unwritable) as error:
            raise CommandError(f"The journal of endings is not to be used: {error}") from error
        self.tell_endings(again)
        self.take_in(by)
        if again.faults:
            raise CommandError(
                "The journal of endings is not whole: ask what was ended since the back-up, and "
                "enter it, before the portal is started."
            )
        self.stdout.write("The portal may be started.")

    def tell_endings(self, again: endings.ReplayReport) -> None:
        for sentence in again.faults:
            self.stderr.write(sentence)
        for said, answer in again.done:
            self.stdout.write(f"{said.at:%Y-%m-%d %H:%M} {said.verb}: {answer.sentence}")
        if not again.done:
            self.stdout.write("The journal has no ending that the database lacks.")
            return
        self.stdout.write(
            f"Of {len(again.done)} words since the back-up {again.count(Outcome.DONE)} were said "
            f"again, {again.count(Outcome.ALREADY)} needed nothing, and "
            f"{again.count(Outcome.BY_HAND)} are for you to decide."
        )
        if again.doubted:
            self.stdout.write(
                f"Of {again.doubted} nothing says that they were committed: the portal ended in "
                "that moment. A no in doubt counts."
            )

    def take_in(self, by: User) -> None:
        cluster = backend.current()
        try:
            found = restoring.take_in(cluster, by=by)
            here = cluster.observe()
        except Unavailable as error:
            raise CommandError(f"{error} Start the portal when it answers again.") from error
        for attempt in found:
            self.stdout.write(f"{attempt.run}: attempt {attempt.number} began after the back-up.")
        rows = Attempt.objects.filter(state__in=Attempt.OPEN_STATES)
        for attempt in rows.select_related("run").order_by("pk"):
            goes_on = attempt.job_name in here
            then = "is still there and is looked at" if goes_on else "is gone: the next one starts"
            self.stdout.write(f"{attempt.run}: attempt {attempt.number} {then}.")
