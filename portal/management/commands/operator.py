"""`manage.py operator NAME`: add the first person of an empty portal, who adds the others."""

import secrets
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from portal import audit
from portal.models import Role, User


class Command(BaseCommand):
    help = "Makes an operator and prints the password, this once."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("username")

    def handle(self, *_args: Any, **options: Any) -> None:
        username = options["username"]
        password = secrets.token_urlsafe(15)
        with transaction.atomic():
            if User.objects.filter(username__iexact=username).exists():
                raise CommandError(f"There is a person named {username} already.")
            roles = [Role.OPERATOR.value]
            operator = User.objects.create_user(username, password=password, roles=roles)
            audit.record(by=None, verb="person.added", subject=operator, roles=roles)
        self.stdout.write(f"{username} is an operator. Password: {password}")
