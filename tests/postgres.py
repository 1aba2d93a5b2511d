"""The same tests on PostgreSQL: `python -m tests.postgres [--if-found] [pytest's arguments]`.

Starts a server of its own on the loopback, in a temporary folder, for as long as pytest runs
(tests/cluster/database.py). `--if-found` leaves a machine without a server alone.
"""

import os
import subprocess
import sys

from tests import migrated
from tests.cluster import database

MISSING = "No PostgreSQL server found (Debian, Ubuntu: apt-get install postgresql)."


def main(arguments: list[str]) -> int:
    optional = "--if-found" in arguments
    asked = [argument for argument in arguments if argument != "--if-found"]
    programs = database.programs()
    if programs is None:
        print(f"{MISSING} Nothing was tried on PostgreSQL.", file=sys.stderr)
        return 0 if optional else 1
    # A test's rows are gone when it ends. What a vacuum in between had counted of them would have
    # the planner take the next test's thousands for none, or the other way round.
    # Thousands of requests of one test are one transaction, whose locks the server has room for.
    settings = {"autovacuum": "off", "max_locks_per_transaction": "1024"}
    with database.running(programs, **settings) as server:
        pytest = [sys.executable, "-m", "pytest", *asked]
        environment = os.environ | {
            "DATABASE_URL": server.url,
            migrated.TEMPLATE_VARIABLE: migrated.template(server),
        }
        return subprocess.run(pytest, env=environment, check=False).returncode


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
