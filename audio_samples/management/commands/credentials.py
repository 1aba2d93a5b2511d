"""`manage.py credentials look`, `make FOLDER` and `check FILE`: the certificates, from a shell."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from audio.decoding import BadAudio
from audio_samples.credentials import chain, checking


class Command(BaseCommand):
    help = "Looks after the certificates that generated files are signed with."

    def add_arguments(self, parser: ArgumentParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
        verbs.add_parser("look", help="Says who signs, and until when. Exit code 1 if nobody can.")
        make = verbs.add_parser("make", help="Makes a root and a signer of your own.")
        make.add_argument("folder", type=Path, help="A new folder, for CREDENTIALS_DIR.")
        make.add_argument("--organisation", required=True, help="Whose certificates they are.")
        make.add_argument(
            "--trust", type=Path, help="anchors.pem of before: files signed under it stay good."
        )
        check = verbs.add_parser("check", help="Says whether a file was downloaded from here.")
        check.add_argument("file", type=Path)

    def handle(self, *_args: Any, **options: Any) -> None:
        {"look": self._look, "make": self._make, "check": self._check}[options["verb"]](options)

    def _look(self, _options: dict[str, Any]) -> None:
        good, sentence = chain.check_chain()
        if not good:
            raise CommandError(sentence)
        self.stdout.write(sentence)

    def _make(self, options: dict[str, Any]) -> None:
        folder, trust = options["folder"], options["trust"]
        try:
            trusted = trust.read_bytes() if trust else b""
            chain.make(folder, options["organisation"], trusted=trusted)
        except OSError as error:
            raise CommandError(f"Nothing was made: {error}") from error
        self.stdout.write(
            f"{folder} has a chain, its key and the anchors. Keep key.pem secret, and a copy of "
            "it apart from the database's; give anchors.pem to whoever is to trust your files."
        )

    def _check(self, options: dict[str, Any]) -> None:
        try:
            with options["file"].open("rb") as file:
                finding = checking.check(file)
        except (OSError, BadAudio, chain.NoChain) as error:
            raise CommandError(str(error)) from error
        if not finding.credentials:
            raise CommandError("It is not known here.")
        for credential in finding.credentials:
            self.stdout.write(
                f"{finding.known_by.value}: sample {credential.sample_id}, "
                f"downloaded {credential.at:%Y-%m-%d %H:%M} UTC to {credential.by.username}, "
                f"credits {credential.statement_id or 'none'}"
            )
