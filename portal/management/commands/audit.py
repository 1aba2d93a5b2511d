"""`manage.py audit`: verify the log, sign a root, give a proof and check one, erase."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any, TypeVar

from django.apps import apps
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import models
from pydantic import TypeAdapter
from pydantic import ValidationError as BadDocument

from portal import audit, endings
from portal.audit import verify
from portal.models import AuditEvent, User

# More would hide the first breaks, which show what happened.
SHOWN = 100
T = TypeVar("T")
DOCUMENT: TypeAdapter[audit.Proof | audit.Growth] = TypeAdapter(audit.Proof | audit.Growth)


class Command(BaseCommand):
    help = "Verifies and signs the audit log, gives proofs of its lines and checks them."
    # Nothing here depends on pages: a broken machine is put right in half the time.
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        # Django's own parser class would require its arguments again for each subcommand.
        actions = parser.add_subparsers(dest="action", required=True, parser_class=ArgumentParser)
        verifying = actions.add_parser(
            "verify", help="Read the whole log; exit code 1 on any break."
        )
        verifying.add_argument(
            "--root", action="append", default=[], type=Path, metavar="FILE",
            help="Hold the log against a signed root that was kept elsewhere, too.",
        )  # fmt: skip
        actions.add_parser("root", help="Sign the log as it is now and print the signed root.")
        proof = actions.add_parser("proof", help="Print the proof that a line is in the log.")
        proof.add_argument("seq", type=int, metavar="SEQ")
        proof.add_argument(
            "--private", action="store_true", help="With the names and texts outside of the hash."
        )
        check = actions.add_parser("check", help="Check a proof; it asks no database.")
        check.add_argument("file", type=Path, metavar="FILE")
        check.add_argument(
            "--key", action="append", default=[],
            help="A public key that you trust, in hexadecimal digits. Without one, the file's own.",
        )  # fmt: skip
        erase = actions.add_parser("erase", help="Erase the private values of lines.")
        erase.add_argument(
            "what", help="A line's number, or an object as the log names it: portal.user:7."
        )
        erase.add_argument("--by", required=True, help="User name of who decided it.")
        erase.add_argument("--reason", required=True)

    def handle(self, *_args: Any, **options: Any) -> None:
        # Not `getattr(self, action)`: Django's commands have a `check` of their own.
        {
            "verify": self.verify,
            "root": self.print_root,
            "proof": self.print_proof,
            "check": self.check_proof,
            "erase": self.erase,
        }[options["action"]](options)

    def verify(self, options: dict[str, Any]) -> None:
        signed_roots = [_document(path, TypeAdapter(audit.SignedRoot)) for path in options["root"]]
        walk = audit.Walk(external_roots=signed_roots)
        count = 0
        for count, broken in enumerate(walk.breaks(), 1):
            if count <= SHOWN:
                self.stderr.write(broken.sentence)
        journal = _journal()
        for sentence in journal.faults[:SHOWN]:
            self.stderr.write(sentence)
        count += len(journal.faults)
        for sentence in _sound(walk):
            self.stdout.write(sentence)
        if journal.lines and not journal.faults:
            self.stdout.write(f"The journal of endings holds: {journal.lines} lines.")
        if count:
            more = f" (the first {SHOWN} are named)" if count > SHOWN else ""
            raise CommandError(f"The audit log is broken in {count} places{more}.")

    def print_root(self, _options: dict[str, Any]) -> None:
        try:
            root = audit.sign_root()
        except audit.Broken as error:
            raise CommandError(str(error)) from error
        if root is None:
            raise CommandError("The audit log is empty: there is nothing to sign.")
        self.stdout.write(audit.SignedRoot.of(root).model_dump_json(indent=2))

    def print_proof(self, options: dict[str, Any]) -> None:
        event = AuditEvent.objects.select_related("kept").filter(seq=options["seq"]).first()
        if event is None:
            raise CommandError(f"There is no line {options['seq']}.")
        try:
            proof = audit.prove(event, with_private=options["private"])
        except (audit.NotSigned, audit.Broken) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(proof.model_dump_json(indent=2))

    def check_proof(self, options: dict[str, Any]) -> None:
        document = _document(options["file"], DOCUMENT)
        try:
            sentences = audit.faults(document, trusted=options["key"])
        except ValueError as error:
            raise CommandError(f"It cannot be checked: {error}") from error
        for sentence in sentences:
            self.stderr.write(sentence)
        if sentences:
            raise CommandError("The proof does not hold.")
        self.stdout.write(_what_it_shows(document))
        if not options["key"]:
            self.stdout.write(
                "The key is the file's own: compare it with one that you have from the portal "
                "(/api/v1/audit/keys), or give that one as --key."
            )

    def erase(self, options: dict[str, Any]) -> None:
        by = User.objects.filter(username=options["by"]).first()
        if by is None:
            raise CommandError(f"Nobody is called {options['by']}.")
        line = audit.erase(_find_target(options["what"]), by=by, reason=options["reason"])
        if line is None:
            raise CommandError("There is nothing to erase.")
        count = len(line.body["lines"])
        self.stdout.write(f"Erased the private values of {count} lines; line {line.seq} says so.")


def _journal() -> endings.Journal:
    try:
        return endings.read()
    except OSError as error:
        raise CommandError(f"The journal of endings cannot be read: {error}") from error


def _sound(walk: audit.Walk) -> list[str]:
    """Return a sentence for each part of the log that holds."""
    if not walk.lines:
        return ["The audit log is empty."]
    erased = f"; of {walk.erased} they were erased" if walk.erased else ""
    sentences = {
        verify.CHAIN: f"The chain holds: {walk.lines} lines, the last is {walk.last}.",
        verify.PRIVATE: f"Private values are as they were written: {walk.private} lines have "
        f"some{erased}.",
        verify.ROOTS: f"The roots hold: {walk.roots} are those of the lines, and each continues "
        "the one before it.",
        verify.SIGNATURES: f"The signatures are good; keys: {', '.join(sorted(walk.keys))}.",
    }
    if not walk.roots:
        sentences[verify.ROOTS] = "No root is signed yet."
    if not walk.keys:
        del sentences[verify.SIGNATURES]
    sound = [sentence for part, sentence in sentences.items() if not walk.broken[part]]
    if walk.renamed:
        sound.append(
            f"{walk.renamed} lines show another user name than the account has now, from "
            f"line {walk.first_renamed} on. Names are outside of the hash; the accounts count."
        )
    return sound


def _what_it_shows(document: audit.Proof | audit.Growth) -> str:
    if isinstance(document, audit.Growth):
        old, new = document.old, document.new
        return (
            f"The log of {new.portal} had {old.size} lines at {old.at} and {new.size} at {new.at}, "
            "and the first of these are the same."
        )
    line, root = document.line, document.root
    return (
        f"Line {line['seq']} ({line.get('verb')}, {line.get('at')}) is one of the {root.size} "
        f"lines that {root.portal} signed at {root.at} with key {root.key_id}."
    )


def _document(path: Path, kind: TypeAdapter[T]) -> T:
    try:
        return kind.validate_json(path.read_bytes())
    except OSError as error:
        raise CommandError(f"{path} cannot be read: {error.strerror}.") from error
    except BadDocument as error:
        raise CommandError(f"{path} is not such a document: {error}") from error


def _find_target(name: str) -> models.Model:
    """Return the line with that number, or the object that the log calls by this name."""
    label, colon, key = name.rpartition(":")
    try:
        model: type[models.Model] = apps.get_model(label) if colon else AuditEvent
        row: models.Model | None = model._default_manager.filter(pk=key).first()
    except (LookupError, ValueError, ValidationError) as error:
        raise CommandError(f"{name} names nothing: {error}") from error
    if row is None:
        raise CommandError(f"There is no {name}.")
    return row
