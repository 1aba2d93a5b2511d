"""`manage.py demo`: build the demo world on an empty database."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from workers.demo import PASSWORD, build


class Command(BaseCommand):
    help = "Builds the demo world on an empty database."

    def handle(self, *_args: Any, **_options: Any) -> None:
        if not build.needed():
            raise CommandError(
                "The database already has people in it, and the demo world is made on an empty one "
                "only. Point STATE_DIR elsewhere to make it there."
            )
        build.build(tell=self.stdout.write)
        self.stdout.write("")
        for login in build.LOGINS:
            roles = ", ".join(role.label.lower() for role in login.roles)
            self.stdout.write(f"  {login.username:<12} {PASSWORD}   {roles} ({login.name})")
