"""Consent over a large repertoire: how long a freeze, one decision and an impact graph take.

A world of n recordings with three holders each (a master's, two composition's), n / 10 catalogue
grants and n grants for single recordings, a tenth of them withdrawn; one label holds the masters
of 10,000. Made by SQL in a database of its own, for 10^4 to 10^6 recordings, on SQLite and, where
a server is installed, on PostgreSQL. No other tool answers this question: the growth is printed
instead of a ratio.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from benchmarks.portal import ROOT
from benchmarks.worlds import Watch
from tests.cluster import database

SIZES = (10_000, 100_000, 1_000_000)
FROZEN = 100_000
LABEL_HOLDS = 10_000
# As its manual advises for a server that has more to do than to start: memory for what is read.
SERVER = {"shared_buffers": "1GB", "work_mem": "32MB"}
TARGETS = {"freeze": 10.0, "decision": 0.005, "impact": 2.0}


# --- In the process that has the database ----------------------------------------------------


def fill(model: Any, count: int, /, **columns: str) -> None:
    """`count` rows whose columns are SQL expressions over i = 0, 1, …; the others have their
    defaults. Keys are i + 1 unless they are given."""
    from django.db import connection

    names, values, params = [], [], []
    for field in model._meta.concrete_fields:
        names.append(connection.ops.quote_name(field.column))
        if field.column in columns:
            values.append(columns[field.column].replace("%", "%%"))
        elif field.primary_key:
            values.append("i + 1")
        else:
            default = field.get_default() if field.has_default() or not field.null else None
            values.append("%s")
            params.append(field.get_db_prep_save(default, connection))
    table = connection.ops.quote_name(model._meta.db_table)
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {table} ({', '.join(names)}) "  # noqa: S608 - names of our own models.
            f"WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < {count - 1})"
            f" SELECT {', '.join(values)} FROM n",
            params,
        )


def build(n: int) -> None:
    from django.core.management.color import no_style
    from django.db import connection, transaction

    from experiments.models import Project
    from portal.models import Blob, Role, User
    from rights import models as m

    past = datetime(2026, 1, 1, tzinfo=UTC)
    at = f"'{connection.ops.adapt_datetimefield_value(past)}'"
    at += "::timestamptz" if connection.vendor == "postgresql" else ""
    parties, label = n // 10, n // 10 + 1
    held = min(LABEL_HOLDS, n // 2)
    text = "CAST(i AS TEXT)"
    master = f"CASE WHEN i < {held} THEN {label} ELSE (i * 7) % {parties} + 1 END"
    digest = f"substr('{'0' * 64}' || {text}, length({text}) + 1)"
    json_one = "::jsonb" if connection.vendor == "postgresql" else ""
    with transaction.atomic():
        admin = User.objects.create_user("rosa", roles=[Role.RIGHTS_ADMIN, Role.OPERATOR])
        Project.objects.create(slug="bench", name="Bench")
        own = {"created_at": at}
        fill(m.Party, parties + 1, name=f"'Party ' || {text}", kind="'person'", **own)
        fill(Blob, n, sha256=digest, size="1", media_type="'audio/flac'", **own)
        fill(
            m.Recording, n, title=f"'Song ' || {text}", audio_id=digest, audio_at=at,
            format="'FLAC'", duration="180", sample_rate="44100", channels="2",
            added_by_id=str(admin.pk), **own,
        )  # fmt: skip
        fill(m.Work, n, title=f"'Song ' || {text}", **own)
        fill(m.RecordingWork, n, recording_id="i + 1", work_id="i + 1", **own)
        sheet = {"status": "'confirmed'", "version": "1"} | own
        fill(m.SplitSheet, n, recording_id="i + 1", right_type="'master'", **sheet)
        fill(
            m.SplitSheet, n, id=f"i + {n} + 1", work_id="i + 1", right_type="'composition'", **sheet
        )
        confirmed = {"confirmed_at": at}
        fill(m.SplitLine, n, sheet_id="i + 1", party_id=master, ppm="1000000", **confirmed)
        for number, share in ((1, 600_000), (2, 400_000)):
            shift = 0 if number == 1 else parties // 2
            fill(
                m.SplitLine, n, id=f"i + {number * n} + 1", sheet_id=f"i + {n} + 1",
                party_id=f"(i + {shift}) % {parties} + 1", ppm=str(share), **confirmed,
            )  # fmt: skip
        true = "true" if connection.vendor == "postgresql" else "1"
        fill(m.SplitAnswer, 3 * n, line_id="i + 1", confirmed=true, at=at)
        fill(
            m.Agreement, parties + 1, title="'Agreement'", counterparty_id="i + 1",
            signed_on="'2026-01-01'" + ("::date" if json_one else ""),
            created_by_id=str(admin.pk), **own,
        )  # fmt: skip
        grant = {
            "use": "'train.generative'", "status": "'active'", "activated_at": at,
            "purposes": f"'[\"research\"]'{json_one}", "territories": f"'[\"world\"]'{json_one}",
            "starts_on": "'2026-01-01'" + ("::date" if json_one else ""),
            "drafted_by_id": str(admin.pk),
        } | own  # fmt: skip
        fill(
            m.Grant, parties, agreement_id="i + 1", grantor_id="i + 1",
            right_type="'composition'", **grant,
        )  # fmt: skip
        withdrawn = "i % 10 = 9"
        fill(
            m.Grant, n, id=f"i + {parties} + 1", agreement_id=master, grantor_id=master,
            right_type="'master'", recording_id="i + 1",
            **grant | {
                "status": f"CASE WHEN {withdrawn} THEN 'withdrawn' ELSE 'active' END",
                "ended_at": f"CASE WHEN {withdrawn} THEN {at} END",
            },
        )  # fmt: skip
        tables = [m.Party, m.Recording, m.Work, m.RecordingWork, m.SplitSheet, m.SplitLine,
                  m.SplitAnswer, m.Agreement, m.Grant]  # fmt: skip
        with connection.cursor() as cursor:
            for sql in connection.ops.sequence_reset_sql(no_style(), tables):
                cursor.execute(sql)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")


def derived(admin: Any) -> None:
    """Three datasets of the label's recordings, with runs, checkpoints and samples from them."""
    from audio_samples.models import Sample
    from experiments.models import Checkpoint, Project, Run
    from experiments.runs import datasets
    from portal.models import Blob
    from rights.models import Recording, Use

    project = Project.objects.get()
    blob = Blob.objects.first()
    rows = Recording.objects.order_by("pk")[:LABEL_HOLDS].values_list("pk", flat=True)
    for number in range(3):
        made = datasets.freeze(
            by=admin, project=project, name=f"Label {number}", recordings=list(rows),
            use=Use.TRAIN_GENERATIVE,
        )  # fmt: skip
        runs = [
            Run(project=project, number=number * 10 + place + 1, name="r", dataset=made,
                use=Use.TRAIN_GENERATIVE, submitted_by=admin, state=Run.State.FINISHED)
            for place in range(10)
        ]  # fmt: skip
        Run.objects.bulk_create(runs)
        Checkpoint.objects.bulk_create(
            Checkpoint(run=run, step=step, blob=blob) for run in runs for step in range(10)
        )
        Sample.objects.bulk_create(
            Sample(
                run=run,
                name=f"s{place}",
                identity=f"s{place}",
                audio=blob,
                duration=4,
                sample_rate=44100,
                channels=1,
            )
            for run in runs
            for place in range(100)
        )


def measure(n: int) -> dict[str, float]:
    """Seconds by name, in a database that was migrated just now."""
    import django

    django.setup()
    from django.urls import reverse

    from experiments.clearance.permission import context_of
    from experiments.models import Project
    from experiments.runs import datasets
    from portal.models import User
    from rights.consent import consent
    from rights.models import Party, Use
    from rights.withdrawal import impact

    watch = Watch()
    found, timed = watch.found, watch.timed
    timed("build", lambda: build(n))
    admin, project = User.objects.get(), Project.objects.get()
    every = max(1, n // FROZEN)
    chosen = list(range(1, n + 1, every))[:FROZEN]
    made = timed(
        "freeze",
        lambda: datasets.freeze(
            by=admin, project=project, name="x", recordings=chosen, use=Use.TRAIN_GENERATIVE
        ),
    )
    found["included"] = made.items.filter(included=True).count()
    verdict = timed("replay", lambda: consent.replay(made.decision))
    assert verdict.digest == made.decision.output_digest, "The replay gave other bytes."
    context = context_of(project)
    single = []
    for place in range(60):
        pk = (place * 7919) % n + 1
        began = time.perf_counter()
        consent.check([pk], Use.TRAIN_GENERATIVE, context)
        single.append(time.perf_counter() - began)
    found["decision"] = statistics.median(single)
    derived(admin)
    # As in a portal that is up: the first page of a process reads all addresses.
    reverse("rights:home")
    grants = impact.of_party(Party.objects.order_by("-pk")[0])
    lost, levels = timed("impact", lambda: impact.impact(grants))
    found["lost"] = len(lost)
    found["descendants"] = sum(len(level.nodes) for level in levels)
    return found


# --- Around it ---------------------------------------------------------------------------------


@contextmanager
def databases() -> Iterator[dict[str, str]]:
    """By name the address of an empty database; SQLite's is a file in the state folder."""
    installed = database.programs()
    if installed is None:
        yield {"SQLite": ""}
        return
    with database.running(installed, **SERVER) as server:
        yield {"SQLite": "", "PostgreSQL": server.url}


def in_its_own_process(n: int, url: str) -> dict[str, float]:
    with tempfile.TemporaryDirectory(prefix="backline-bench-") as folder:
        env = {
            "PATH": os.environ["PATH"],
            "STATE_DIR": folder,
            "DJANGO_SETTINGS_MODULE": "portal.settings",
            "LOG_LEVEL": "ERROR",
        }
        if url:
            name = f"n{n}"
            import psycopg

            with psycopg.connect(url, autocommit=True) as connection:
                connection.execute(f"CREATE DATABASE {name}")
            env["DATABASE_URL"] = url.rpartition("/")[0] + f"/{name}"
        run: dict[str, Any] = {"cwd": ROOT, "env": env}
        subprocess.run([sys.executable, "manage.py", "migrate", "-v0"], check=True, **run)
        command = [sys.executable, "-m", "benchmarks.consent", str(n)]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, **run)
        found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
        return found


def main() -> None:
    print("| Recordings | database | freeze s (queries) | replay s | decision ms | "
          "impact s (queries) | world s |")  # fmt: skip
    print("|--:|---|--:|--:|--:|--:|--:|")
    sizes = [int(size) for size in os.environ.get("CONSENT_SIZES", "").split(",") if size] or SIZES
    with databases() as known:
        for name, url in known.items():
            for n in sizes:
                one = in_its_own_process(n, url)
                print(
                    f"| {n:,} | {name} | {one['freeze']:.2f} ({one['freeze_queries']:.0f}) "
                    f"| {one['replay']:.2f} | {one['decision'] * 1000:.1f} "
                    f"| {one['impact']:.2f} ({one['impact_queries']:.0f}) | {one['build']:.0f} |",
                    flush=True,
                )
    print(f"\nA freeze is of {FROZEN:,} recordings (or all), nine in ten included. Targets: freeze "
          f"{TARGETS['freeze']:.0f} s, decision {TARGETS['decision'] * 1000:.0f} ms, impact of a "
          f"holder of {LABEL_HOLDS:,} recordings {TARGETS['impact']:.0f} s.")  # fmt: skip


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(measure(int(sys.argv[1]))))
    else:
        main()
