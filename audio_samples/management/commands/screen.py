"""`manage.py screen`: the copy check by hand."""

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from audio_samples.copy_check import screenings


class Command(BaseCommand):
    help = "Screens samples that wait for the copy check."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--again",
            action="store_true",
            help="look again at samples that could not be checked, and at files that were missing",
        )

    def handle(self, *_args: Any, again: bool, **_options: Any) -> None:
        count = screenings.retry_failed() if again else screenings.run_pass(float("inf"))
        waiting = screenings.waiting().count()
        self.stdout.write(f"Screened {count:,} samples; {waiting:,} wait.")
