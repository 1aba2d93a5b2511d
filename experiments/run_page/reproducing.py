"""How to do a run again: the commands, the files they need, and what is missing for that.

Whatever a program has reported is quoted before it stands in a command, and an address that git
would take for a program is not used at all.
"""

import re
import shlex
from dataclasses import dataclass, field

import yaml

from backline import wire
from experiments import recipes
from experiments.models import Run
from experiments.runs import environments, runs

REMOTE = re.compile(r"(?:https?|ssh|git)://[^\s]+|[\w.-]+@[\w.-]+:[\w./~-]+")
NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
FORGE = re.compile(r"https://(github\.com|gitlab\.com)/([\w.-]+(?:/[\w.-]+)+)", re.ASCII)
VERSION = re.compile(r"[A-Za-z0-9.!+_-]+")

REQUIREMENTS, CONFIG, PATCH = "requirements.txt", "config.yaml", "uncommitted.patch"
SUBMISSION, SCRIPT = "submission.yaml", "reproduce.sh"


@dataclass
class Recipe:
    """How to repeat one run. `files` maps names to texts, `missing` has a sentence each."""

    commands: list[str] = field(default_factory=list)
    files: dict[str, str] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "\n".join(self.commands)


def describe(run: Run) -> Recipe:
    """Return how to repeat the run, as far as it is known."""
    found = _of_portal(run) if run.origin == Run.Origin.PORTAL else _of_script(run)
    if found.commands:
        found.files[SCRIPT] = _script(run, found)
    return found


def _of_portal(run: Run) -> Recipe:
    """A run of the portal is submitted again; its packages and code are the lab's own."""
    found = Recipe()
    found.files[CONFIG] = _yaml(run.submitted_config)
    _add_packages(found, environments.newest(run))
    if run.recipe not in recipes.RECIPES:
        found.missing.append(f"This portal has no recipe “{run.recipe}” any more.")
        return found
    submission = {
        "project": run.project.slug,
        "recipe": run.recipe,
        "name": run.name,
        "dataset": run.dataset_id,
        "start_from": run.start_from_id,
        "resources": run.resources,
        "config": run.submitted_config,
    }
    found.files[SUBMISSION] = _yaml({key: value for key, value in submission.items() if value})
    found.commands = [
        "export BACKLINE_URL=... BACKLINE_TOKEN=...  # this portal, a token of your account",
        f"python -m backline submit {SUBMISSION}",
    ]
    if run.code_version and (current := runs.code_version()) != run.code_version:
        found.missing.append(
            f"The portal had the code {run.code_version} then, and has {current} now."
        )
    if "seed" not in run.submitted_config:
        found.missing.append("Its config names no seed: random numbers will be others.")
    if run.recipe == "program" and "@sha256:" not in run.submitted_config.get("image", ""):
        found.missing.append("Its image is not named by a digest: it may be another one today.")
    return found


def _of_script(run: Run) -> Recipe:
    """A program from outside is fetched, installed and started, where git knows its state."""
    found = Recipe()
    if run.config:
        found.files[CONFIG] = _yaml(run.config)
    report = environments.newest(run)
    if report is None:
        found.missing.append(
            "Its program reported neither code nor environment: its client is older than that, or "
            "BACKLINE_CODE=off was set."
        )
        return found
    _add_code(found, report)
    _add_packages(found, report)
    if REQUIREMENTS in found.files:
        found.commands += [
            _comment(report.facts.python),
            "python -m venv .venv && . .venv/bin/activate",
            f"pip install -r ../{REQUIREMENTS}",
        ]
    folder = report.facts.code.folder
    if folder not in {"", "."}:
        found.commands.append(f"cd {shlex.quote(folder)}")
    found.commands.append(_start(report))
    if "[masked]" in " ".join(report.facts.arguments):
        found.missing.append("Values of its command line that name secrets are masked.")
    if "seed" not in run.config:
        found.missing.append("Its config names no seed: random numbers will be others.")
    found.missing.append("The portal does not know which data it read.")
    return found


def _add_code(found: Recipe, report: environments.Report) -> None:
    code = report.facts.code
    if not code.commit:
        found.missing.append(f"Its code is not known. {code.note}".strip())
        return
    if REMOTE.fullmatch(code.remote):
        folder = code.repository if NAME.fullmatch(code.repository) else "code"
        found.commands += [
            f"git clone -- {shlex.quote(code.remote)} {shlex.quote(folder)}",
            f"cd {shlex.quote(folder)}",
        ]
    else:
        found.commands.append("cd the-repository")
        found.missing.append(
            f"Its repository{f' ({code.repository})' if code.repository else ''} has no remote "
            "address: ask whoever started it."
        )
    found.commands.append(f"git checkout {code.commit}")
    if code.pushed is False and code.remote:
        found.missing.append("When it started, no branch of the remote had its commit.")
    _add_changes(found, report)


def _add_changes(found: Recipe, report: environments.Report) -> None:
    code = report.facts.code
    if report.diff:
        found.files[PATCH] = report.diff
        found.commands.append(f"git apply ../{PATCH}")
        if not code.diff_is_whole:
            found.missing.append("What was not committed is longer than 1 MB: the rest is missing.")
        if "[masked]" in report.diff:
            found.missing.append("Secrets in what was not committed are masked.")
    elif code.changed and not code.private:
        found.missing.append(
            f"{code.changed} changed files were not committed, and not sent. {code.note}".strip()
        )
    if code.untracked_count:
        names = ", ".join(code.untracked[:5])
        more = " and others" if code.untracked_count > 5 else ""
        found.missing.append(f"Files that git did not know are not sent: {names}{more}.")
    if code.private:
        found.missing.append(
            f"Files that hold secrets by their names are never sent: {', '.join(code.private[:5])}."
        )


def _add_packages(found: Recipe, report: environments.Report | None) -> None:
    """Add the lock; packages that no index has stand in it as comments."""
    if report is None or not report.packages:
        return
    lines = [_comment(f"{report.facts.python} on {report.facts.system}")]
    for name, version in report.packages.items():
        source = report.facts.direct.get(name, "")
        if not NAME.fullmatch(name) or not VERSION.fullmatch(version):
            continue
        if "://" in source and not re.search(r"\s", source):
            lines.append(f"{name} @ {source}")
        elif source:
            lines.append(_comment(f"{name}=={version}: from {source}"))
            found.missing.append(f"The package {name} {version} was installed from {source}.")
        else:
            lines.append(f"{name}=={version}")
    found.files[REQUIREMENTS] = "\n".join(lines) + "\n"


def _start(report: environments.Report) -> str:
    """Return the command line that started the program, in this Python."""
    facts = report.facts
    words = [shlex.quote(word) for word in facts.arguments]
    if facts.arguments_left_out:
        words.append(f"# and {facts.arguments_left_out} more arguments")
    if facts.entry.startswith("-m "):
        start = ["python", "-m", shlex.quote(facts.entry[3:])]
    elif facts.entry.endswith(".py"):
        start = ["python", shlex.quote(facts.entry)]
    else:
        start = [shlex.quote(facts.entry)]
    return " ".join([*start, *words])


def _script(run: Run, found: Recipe) -> str:
    """Return the commands as a file, with what is missing as comments on its first lines."""
    comments = [f"Run {run.number} of {run.project.slug}, again.", *found.missing]
    head = [_comment(comment) for comment in comments]
    return "\n".join(["#!/bin/sh", *head, "set -e", *found.commands, ""])


def _comment(text: str) -> str:
    """Return it as one line: a line break would end the comment, and begin a command."""
    return f"# {' '.join(text.split())}"


def _yaml(values: dict[str, object]) -> str:
    return yaml.safe_dump(values, sort_keys=False, allow_unicode=True)


def web_address(code: wire.Code) -> str:
    """Return the page of the commit at GitHub or GitLab; empty where there is none."""
    address = re.sub(r"^(?:ssh://)?git@([\w.-]+)[:/]", r"https://\1/", code.remote)
    match = FORGE.fullmatch(address.removesuffix("/").removesuffix(".git"))
    if not match or not code.commit:
        return ""
    middle = "/-" if match[1] == "gitlab.com" else ""
    return f"https://{match[1]}/{match[2]}{middle}/commit/{code.commit}"
