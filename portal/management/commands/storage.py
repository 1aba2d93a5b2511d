"""`manage.py storage verify`: check that every file that a row names is there."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from portal.models import Blob
from portal.storage import verify


class Command(BaseCommand):
    help = "Looks whether the storage has every file that a row names."
    # Nothing here depends on pages: a broken machine is put right in half the time.
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("action", choices=["verify"])
        parser.add_argument(
            "--read", action="store_true", help="Read every file and compare its digest, too."
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        count = 0
        for count, sentence in enumerate(verify.faults(read=options["read"]), 1):  # noqa: B007
            self.stderr.write(sentence)
        if count:
            raise CommandError(
                f"{count} files are not as the rows have them. Copy them from another back-up or "
                "upload them again: a file with the same bytes takes the old one's place."
            )
        how = "there, and as they were written" if options["read"] else "there"
        self.stdout.write(f"All {Blob.objects.count()} files that rows name are {how}.")
