"""`manage.py health`: what /health shows, for a terminal or a timer."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from portal import health


class Command(BaseCommand):
    help = "Says whether database, broker, workers, storage and disks are well; exit code 1 if not."
    requires_system_checks = []

    def handle(self, *_args: Any, **_options: Any) -> None:
        checks = health.checks()
        for check in checks:
            self.stdout.write(f"{'good' if check.good else 'BAD '}  {check.name}: {check.sentence}")
        if bad := [check.name for check in checks if not check.good]:
            raise CommandError(f"Look at: {', '.join(bad)}.")
