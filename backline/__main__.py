"""The command line: `python -m backline runs | submit config.yaml | sync | exec -- COMMAND`.

And `python -m backline torchrun ARGS`, with the arguments of torchrun.
"""

import argparse
import os
import sys
from pathlib import Path

from backline import config_files, wire
from backline.delivery import sender
from backline.delivery.spool import clear_lent, unfinished
from backline.delivery.transport import Refused, Transport, Unreachable
from backline.job import execution, torchrun
from backline.places import spool_root, temporary_root


def runs(transport: Transport, options: argparse.Namespace) -> None:
    """Print the newest runs."""
    page = transport.get("/api/v1/runs", project=options.project, limit=options.limit)
    for row in page["items"]:
        place = f"{row['project']}/{row['number']}"
        _print(f"{place:<24} {row['state']:<10} {row['progress']:>5.0%}  {row['name']}")
    if page["count"] > len(page["items"]):
        _print(f"and {page['count'] - len(page['items'])} more")


def submit(transport: Transport, options: argparse.Namespace) -> None:
    """Queue the run that a YAML file describes: project, recipe, config, dataset, name; with
    `sweep` in it, start a sweep of such runs."""
    content = config_files.load(options.file.read_text(encoding="utf-8"))
    if isinstance(content, dict) and "sweep" in content:
        wanted = wire.SweepSubmission.model_validate(content)
        row = transport.post("/api/v1/sweeps", wanted)
        _print(
            f"Sweep {row['number']} is started, {row['max_trials']} trials at most: "
            f"{transport.url}{row['url']}"
        )
        return
    submission = wire.Submission.model_validate(content)
    row = transport.post("/api/v1/submissions", submission)
    _print(f"Run {row['number']} is queued: {transport.url}{row['url']}")


def sync(options: argparse.Namespace) -> None:
    """Deliver what programs that have ended left on this machine."""
    roots = {options.folder} if options.folder else {spool_root(), temporary_root()}
    for root in roots:
        clear_lent(root)
    folders = [folder for root in roots for folder in unfinished(root)]
    for folder in folders:
        _print(f"{folder}: {'delivered' if sender.drain(folder) else 'has its own sender'}")
    if not folders:
        _print("Nothing waits.")


def main() -> int:
    parser = argparse.ArgumentParser(prog="backline", description=__doc__)
    parser.add_argument("--url", default=os.environ.get("BACKLINE_URL", "http://127.0.0.1:8000"))
    commands = parser.add_subparsers(dest="command", required=True)
    listing = commands.add_parser("runs", help="list the newest runs")
    listing.add_argument("--project", default="")
    listing.add_argument("--limit", type=int, default=20)
    queue = commands.add_parser("submit", help="queue the run that a YAML file describes")
    queue.add_argument("file", type=Path)
    delivery = commands.add_parser("sync", help="deliver what ended programs left here")
    delivery.add_argument("folder", type=Path, nargs="?")
    start = commands.add_parser("exec", help="run a program as the program of this job's run")
    start.add_argument("--dataset", type=Path, help="folder for the recordings of the run")
    start.add_argument("words", nargs="+", metavar="COMMAND", help="after --: what to start")
    commands.add_parser("torchrun", help="torchrun, with the exit codes of its processes")
    if sys.argv[1:2] == ["torchrun"]:
        # Its arguments are torchrun's, options included.
        return torchrun.launch(sys.argv[2:])
    options = parser.parse_args()
    if options.command == "exec":
        return execution.execute(options.words, folder=options.dataset)
    if options.command == "sync":
        sync(options)
        return 0
    token = os.environ.get("BACKLINE_TOKEN", "")
    if not token:
        sys.stderr.write("Set BACKLINE_TOKEN; the portal makes tokens on your account's page.\n")
        return 2
    try:
        with Transport(options.url, token) as transport:
            {"runs": runs, "submit": submit}[options.command](transport, options)
    except (Refused, Unreachable, OSError, ValueError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def _print(line: str) -> None:
    sys.stdout.write(line + "\n")


if __name__ == "__main__":
    sys.exit(main())
