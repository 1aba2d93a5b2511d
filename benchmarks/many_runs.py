"""The run table of a large project: 20,000 runs with 150 settings and 50 metrics each.

    python -m benchmarks.many_runs [--runs 100000] [--sqlite-runs 2000]

PostgreSQL in a server of its own (where one is installed) and SQLite, filled by SQL. Medians of
seven requests, after one that is not counted: the whole page as a browser gets it (query, order,
template), the verbs below it, groups, and completion. No peer in this table: `run_table` has one.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.consent import SERVER, fill
from benchmarks.portal import ROOT
from tests.cluster import database

SETTINGS, METRICS = 150, 50
# Settings that differ among the runs; the others are the same everywhere.
VARYING = {
    "lr": "(1 + i % 9) * 0.0001",
    "seed": "i % 5",
    "dropout": "(i % 4) * 0.1",
    "warmup": "(i % 7) * 100",
    "width": "256 * (1 + i % 4)",
}
NAMES = ("train/loss", "val/loss", "accuracy", "fad", *(f"layer/{n}/norm" for n in range(46)))
REPEATS = 7
TARGETS = {"page": 100, "grouped": 300, "page_large": 250}


def build(runs: int) -> None:
    """Fill an empty database; it takes about a minute for 20,000 runs."""
    from django.db import connection, transaction

    from experiments.models import Membership, Project, Run, Series
    from portal.models import Role, User

    postgres = connection.vendor == "postgresql"
    text = "CAST(i AS TEXT)"

    def uuid_of(number: str) -> str:
        if postgres:
            return f"md5(({number})::text)::uuid"
        return f"printf('%032x', (({number}) * 2654435761) % 4294967296)"

    same = {f"section{n % 10}.option_{n}": n for n in range(SETTINGS - len(VARYING) - 2)}
    nested: dict[str, dict[str, int]] = {}
    for name, value in same.items():
        section, option = name.split(".")
        nested.setdefault(section, {})[option] = value
    constant = json.dumps(nested | {"precision": "bf16"})[:-1]
    parts = [f"""', "{name}": ' || CAST({value} AS TEXT)""" for name, value in VARYING.items()]
    optimizer = (
        "', \"optim\": {\"name\": \"' || CASE i % 3 WHEN 0 THEN 'adam' ELSE 'muon' END || '\"}'"
    )
    config = f"('{constant}' || {' || '.join(parts)} || {optimizer} || '}}')"
    state = "CASE WHEN i % 11 = 0 THEN 'failed' ELSE 'finished' END"
    moment = (
        "(timestamptz '2026-01-01' + i * interval '10 minutes')"
        if postgres
        else "datetime('2026-01-01', '+' || (i * 10) || ' minutes')"
    )
    jsonb = "::jsonb" if postgres else ""
    with transaction.atomic():
        user = User.objects.create_user("ada", roles=[Role.RESEARCHER])
        project = Project.objects.create(slug="bench", name="Bench")
        Membership.objects.create(project=project, user=user, level="owner")
        fill(
            Run, runs, id=uuid_of("i"), project_id=str(project.pk), number="i + 1",
            name=f"'try ' || {text}", submitted_by_id=str(user.pk), state=state,
            recipe="'flow_matching'", config=f"{config}{jsonb}", queued_at=moment,
            tags=f"""'["sweep"]'{jsonb}""",
        )  # fmt: skip
        run, metric = f"i / {METRICS}", f"i % {METRICS}"
        name = " ".join(f"WHEN {n} THEN '{name}'" for n, name in enumerate(NAMES))
        value = f"((({run}) * 7919 + ({metric}) * 31) % {runs}) * 1.0 / {runs}"
        fill(
            Series, runs * METRICS, id="i + 1", run_id=uuid_of(run),
            name=f"CASE {metric} {name} END", count="1000", last=value, last_step="1000",
            minimum=f"{value} / 2", minimum_step="900", maximum=f"{value} * 2", maximum_step="1",
        )  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE" if postgres else "ANALYZE")


def measure() -> dict[str, float]:
    """Medians in milliseconds by name, of a database that `build` has filled."""
    from django.conf import settings
    from django.test import Client

    from experiments.models import Project, Run
    from experiments.run_table import fields, grouping, query
    from portal.models import User

    settings.ALLOWED_HOSTS = ["*"]
    user, project = User.objects.get(username="ada"), Project.objects.get()
    client = Client()
    client.force_login(user)
    found: dict[str, float] = {"runs": Run.objects.count()}

    def page(**parameters: str) -> None:
        answer = client.get("/projects/bench/", parameters)
        assert answer.status_code == 200
        found["bytes"] = len(answer.content)

    def numbers(text: str, sort: str = "") -> int:
        rows = Run.objects.visible_to(user).filter(project=project)
        ordered = fields.ordered(query.apply(rows, text), sort)
        return len(list(ordered.values_list("number", flat=True)))

    def groups(by: list[str]) -> None:
        rows = Run.objects.visible_to(user).filter(project=project)
        found = grouping.read(runs=rows, by=by, numbers=["metric.val/loss", "metric.accuracy"])
        assert found.runs == found_runs
        assert found.groups[0].summaries["metric.accuracy"].n

    found_runs = int(found["runs"])
    acts: dict[str, Callable[[], Any]] = {
        "page": page,
        "page, metric query and order": lambda: page(
            q="metric.val/loss<0.4", sort="metric.accuracy"
        ),
        "page, setting query and metric order": lambda: page(
            q="config.lr<0.0004", sort="metric.accuracy"
        ),
        "page, order by setting": lambda: page(sort="config.lr"),
        "rows, metric query": lambda: numbers("metric.val/loss<0.4"),
        "rows, setting query": lambda: numbers("config.lr<0.0004"),
        "rows, nested setting query": lambda: numbers("config.optim.name=adam"),
        "rows, order by metric": lambda: numbers("", "metric.accuracy"),
        "rows, order by setting": lambda: numbers("", "config.lr"),
        "rows, not and negated": lambda: numbers("-metric.val/loss<0.4 -config.lr<0.0004"),
        "groups, by two settings, two metrics": lambda: groups(["config.lr", "config.width"]),
        "groups, by state and owner": lambda: groups(["state", "owner"]),
        "catalogue": lambda: fields.catalogue(project),
    }
    for name, act in acts.items():
        act()
        took, worked = [], []
        for _ in range(REPEATS):
            began, busy = time.perf_counter(), processor_time()
            act()
            took.append(time.perf_counter() - began)
            worked.append(processor_time() - busy)
        found[name] = statistics.median(took) * 1000
        found[f"{name}_cpu"] = statistics.median(worked) * 1000
    return found


def processor_time() -> float:
    """Seconds of processor that this process and its PostgreSQL backend have had: on a machine
    that does something else, too, that is the figure to go by (in steps of 10 ms)."""
    from django.db import connection

    ours = time.process_time()
    if connection.vendor != "postgresql":
        return ours
    fields = Path(f"/proc/{connection.connection.info.backend_pid}/stat").read_text().split()
    return ours + (int(fields[13]) + int(fields[14])) / os.sysconf("SC_CLK_TCK")


# --- Around it ------------------------------------------------------------------------------------


def in_its_own_process(runs: int, url: str, folder: str) -> dict[str, float]:
    env = {
        "PATH": os.environ["PATH"],
        "STATE_DIR": folder,
        "DJANGO_SETTINGS_MODULE": "portal.settings",
        "LOG_LEVEL": "ERROR",
        **({"DATABASE_URL": url} if url else {}),
    }
    run: dict[str, Any] = {"cwd": ROOT, "env": env}
    subprocess.run([sys.executable, "manage.py", "migrate", "-v0"], check=True, **run)
    command = [sys.executable, "-m", "benchmarks.many_runs", "--inside", str(runs)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, **run)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def table(found: dict[str, dict[str, float]]) -> str:
    first = next(iter(found.values()))
    heads = [f"{name}, {one['runs']:,.0f} runs" for name, one in found.items()]
    lines = [f"| Milliseconds (of processor) | {' | '.join(heads)} |"]
    lines.append(f"|---|{'--:|' * len(found)}")
    for name in first:
        if name not in ("runs", "bytes") and not name.endswith("_cpu"):
            cells = " | ".join(
                f"{one[name]:.0f} ({one[f'{name}_cpu']:.0f})" for one in found.values()
            )
            lines.append(f"| {name} | {cells} |")
    return "\n".join(lines)


def main(runs: int, sqlite_runs: int) -> None:
    found = {}
    with tempfile.TemporaryDirectory(prefix="backline-bench-") as folder:
        if sqlite_runs:
            found["SQLite"] = in_its_own_process(sqlite_runs, "", folder)
        programs = database.programs()
        if programs is not None and runs:
            with database.running(programs, **SERVER) as server:
                Path(folder, "postgres").mkdir()
                found["PostgreSQL"] = in_its_own_process(runs, server.url, f"{folder}/postgres")
    print(table(found))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=20_000, help="on PostgreSQL; 0: leave out")
    parser.add_argument("--sqlite-runs", type=int, default=2_000, help="0: leave out")
    parser.add_argument("--inside", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.inside:
        import django

        django.setup()
        build(arguments.inside)
        print(json.dumps(measure()))
    else:
        main(arguments.runs, arguments.sqlite_runs)
