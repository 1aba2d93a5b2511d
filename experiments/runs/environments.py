"""Code and environment of a run, as its programs reported them at their starts.

Each session reports once. A program inside `backline exec` knows more of itself than what started
it, so of an attempt its own report is shown, the launcher's where there is no other.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from pydantic import ValidationError

from backline import wire
from experiments.models import Environment, Run
from experiments.models.sessions import attempt_and_rank

# Stored in columns of their own: a page of facts reads neither.
APART = {"packages"}


@dataclass(frozen=True)
class Report:
    """What one program reported. `diff` and packages are read where they are shown."""

    row: Environment
    facts: wire.Environment

    @property
    def packages(self) -> dict[str, str]:
        """Versions by name, in the order of names: databases keep no other."""
        return dict(sorted(self.row.packages.items(), key=lambda item: item[0].lower()))

    @property
    def diff(self) -> str:
        return self.row.diff


def store_report(run: Run, report: wire.Environment) -> bool:
    """Store it; False if the session has reported before, which stays."""
    facts = report.model_dump(mode="json", exclude={"packages": True, "code": {"diff"}})
    _, new = Environment.objects.get_or_create(
        run=run,
        session=report.session,
        defaults={
            "attempt": attempt_and_rank(report.session)[0],
            "facts": facts,
            "packages": report.packages,
            "diff": report.code.diff,
        },
    )
    return new


def reports(run: Run) -> list[Report]:
    """Return one report for each start of the run's program, oldest first, without the texts that
    are stored apart."""
    rows = run.environments.defer("packages", "diff").order_by("pk")
    return _chosen(_read(row) for row in rows)


def newest(run: Run) -> Report | None:
    return next(reversed(reports(run)), None)


def _read(row: Environment) -> Report:
    try:
        facts = wire.Environment.model_validate(row.facts)
    except ValidationError:
        # Written by another version; what it says cannot be read here.
        facts = wire.Environment(session=row.session)
    return Report(row, facts)


def _chosen(found: Iterable[Report]) -> list[Report]:
    """Return the reports without those of launchers whose program has reported itself."""
    every = list(found)
    own = {report.row.attempt for report in every if report.facts.source == "program"}
    return [
        report
        for report in every
        if report.facts.source == "program" or report.row.attempt not in own
    ]


def flat_facts(runs: Sequence[Run]) -> dict[UUID, dict[str, Any]]:
    """Return what is known of each run's code and environment, by dotted name, for comparisons.

    The newest report of each run counts: `code.commit`, `python`, `hardware.gpu`,
    `packages.torch`... Two queries, however many runs there are.
    """
    rows = Environment.objects.filter(run__in=[run.pk for run in runs]).order_by("pk")
    by_run: dict[UUID, list[Report]] = {}
    for row in rows.defer("diff"):
        by_run.setdefault(row.run_id, []).append(_read(row))
    return {run.pk: _flat(_chosen(by_run.get(run.pk, []))) for run in runs}


def _flat(found: Sequence[Report]) -> dict[str, Any]:
    if not found:
        return {}
    facts, packages = found[-1].facts, found[-1].packages
    code, machine = facts.code, facts.hardware
    gpus = sorted({gpu.name for gpu in machine.gpus})
    flat: dict[str, Any] = {
        "code.commit": code.commit,
        "code.branch": code.branch,
        "code.remote": code.remote,
        "code.uncommitted_files": code.changed if code.commit else None,
        "code.entry": facts.entry,
        "code.arguments": " ".join(facts.arguments),
        "python": facts.python,
        "system": facts.system,
        "image": facts.image,
        "host": facts.host,
        "hardware.processor": machine.processor,
        "hardware.threads": machine.threads or None,
        "hardware.memory_bytes": machine.memory_bytes or None,
        "hardware.gpus": len(machine.gpus),
        "hardware.gpu": ", ".join(gpus),
        "hardware.driver": machine.gpus[0].driver if machine.gpus else "",
        **{f"variables.{name}": value for name, value in facts.variables.items()},
        **{f"packages.{name}": version for name, version in packages.items()},
    }
    return {name: value for name, value in flat.items() if value not in ("", None)}
