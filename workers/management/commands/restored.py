"""`manage.py restored --by NAME`: the last step of a restore, before anything is started again."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from experiments.models import Attempt
from portal.models import User
from workers import restoring
from workers.cluster import Unavailable, choice


class Command(BaseCommand):
    help = "Takes in what the cluster has begun since the back-up that was restored."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--by", required=True, help="User name of who restores.")

    def handle(self, *_args: Any, **options: Any) -> None:
        by = User.objects.filter(username=options["by"]).first()
        if by is None:
            raise CommandError(f"Nobody is called {options['by']}.")
        cluster = choice.current()
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
        self.stdout.write("The portal may be started.")
