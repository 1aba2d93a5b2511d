"""`backline.init`: the run of this program, opened in a project or joined as a job's."""

import os
import secrets
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

import psutil

from backline import bounds, configs, places, wire
from backline.client import Run
from backline.console import Console
from backline.delivery.launcher import launch
from backline.delivery.spool import Session, Spool, clear_lent, unfinished
from backline.delivery.transport import Refused, Transport, Unreachable, persist
from backline.environment import capture
from backline.ranks import ProcessPlace
from backline.system_metrics import SystemMetrics
from backline.usage_count import Counting
from backline.words import first_words

T = TypeVar("T")

# How long `init` waits for an unreachable portal: a queued job can wait, a person would not.
JOB_START_SECONDS = 600.0
START_SECONDS = 30.0


def init(
    project: str | None = None,
    name: str | None = None,
    config: Any = None,
    url: str | None = None,
    token: str | None = None,
    *,
    tags: Iterable[str] = (),
    description: str = "",
    notes: str = "",
    resume: str | bool = False,
    fork_from: str | int = "",
    step: int | None = None,
    capture_console: bool = True,
    system_figures: bool = True,
) -> Run:
    """Return the run of this program.

    In a job of the portal, everything comes from the environment: it is the job's run, whatever
    project, name and config say, unless both project and token are given. Elsewhere it opens a
    new run in `project`, with a token made in the portal (or BACKLINE_URL and BACKLINE_TOKEN).
    `resume` is the id, the number or the name of a run of the project to go on with, also after
    it has ended; with True, of `name`. A name that no run has opens a new one. Several processes of
    one launch by torchrun (or with one BACKLINE_GROUP, and a RANK each) are one run.
    `fork_from` is the id, the number or the name of a run too: a new run goes on from its `step`
    (the last one without), counts on from there, shows its curves up to there, and has its config
    unless `config` says otherwise.
    `config` is a dict, a Namespace, a dataclass, an OmegaConf ...: anything with names in it.
    `tags`, `description` (a line) and `notes` (Markdown) say what the run is about; in a job, and
    of a run that is resumed, they replace nothing that was written in the portal.
    Raises Refused, with the portal's reason, Unreachable if the portal does not answer, and
    OSError if no disk takes what is logged; then no run is open.
    """
    in_job = bool(os.environ.get("BACKLINE_RUN")) and (token is None or project is None)
    url = url or os.environ.get("BACKLINE_URL", "http://127.0.0.1:8000")
    token = token or os.environ.get("BACKLINE_TOKEN", "")
    if not token:
        raise ValueError("A token is needed: token= or BACKLINE_TOKEN. The portal makes them.")
    words = first_words(description=description, notes=notes, tags=tags, say=_say)
    if in_job:
        run = _join(url, token, capture_console=capture_console, system_figures=system_figures)
        _say_first(run, words)
        return run
    if not project:
        raise ValueError("Outside the portal, a run needs a project=.")
    if fork_from and resume:
        raise ValueError("A run is resumed or forked from another one, not both.")
    if step is not None and not fork_from:
        raise ValueError("step= says where to fork: it needs fork_from=.")
    root = places.writable_root()
    place = ProcessPlace.read()
    launch = place.launch()
    values = configs.plain(config, say=_say)
    new_run = wire.NewRun(
        project=str(project)[:50],
        name=bounds.readable(str(name or ""))[:150],
        config=configs.as_json(values),
        **words,
        resume=bounds.readable(str((name if resume is True else resume) or ""))[:150],
        fork_from=bounds.readable(str(fork_from))[:150],
        fork_step=step,
        group=launch.name if launch else "",
        restart=launch.restart if launch else 0,
        rank=place.rank if launch else 0,
    )
    answer = _ask(url, token, lambda t: t.post("/api/v1/runs", new_run), START_SECONDS)
    opened = wire.OpenedRun.model_validate(answer)
    if fork_from and not opened.forked:
        _say("This portal knows no forks: the run begins anew, without the curves of the other.")
    # A portal of an earlier version names no session.
    session = opened.session or places.new_session()
    is_main = launch is None or place.rank == 0
    try:
        spool = _new_spool(
            root, url, opened.token, opened.spec, session=session, outside=True, main=is_main
        )
    except OSError as error:
        _close(url, opened, session, f"The spool {root} cannot be written: {error}.")
        raise
    return Run(
        spec=opened.spec,
        spool=spool,
        token=opened.token,
        console=Console() if capture_console else None,
        figures=SystemMetrics() if system_figures and place.first_of_machine else None,
        place=place if launch else ProcessPlace(),
        # Of a run that is resumed, what it has been configured with before, too.
        config=opened.spec.config | values,
        step=opened.step,
        describes="program" if is_main else None,
    )


def _say_first(run: Run, words: dict[str, Any]) -> None:
    said = wire.Words(
        description=words["description"] or None,
        notes=words["notes"] or None,
        add_tags=words["tags"],
    )
    # Of several processes the first speaks for the run.
    if run.rank == 0 and said != wire.Words():
        run.say_first(said)


def _say(sentence: str) -> None:
    sys.stderr.write(f"backline: {sentence}\n")


def _close(url: str, opened: wire.OpenedRun, session: str, reason: str) -> None:
    """End a run that cannot be used."""
    ending = wire.Ending(outcome="failed", reason=reason[:500])
    path = f"/api/v1/runs/{opened.spec.id}/ending"
    try:
        _ask(url, opened.token, lambda t: t.post(path, ending, session=session), 2.0)
    except (Refused, Unreachable):
        # It falls silent, and the portal ends it.
        return


def _join(url: str, token: str, *, capture_console: bool, system_figures: bool) -> Run:
    """Join the run of this job, as one of its ranks; inside `backline exec`, beside its session."""
    place = ProcessPlace.read()
    describes: capture.Source | None = None if place.rank else "program"
    exec_folder = os.environ.get("BACKLINE_EXEC", "")
    if not exec_folder:
        spec, spool = job_spool(url, token, place)
        console = Console() if capture_console else None
        figures = SystemMetrics() if system_figures and place.first_of_machine else None
        return Run(
            spec=spec,
            spool=spool,
            token=token,
            console=console,
            figures=figures,
            place=place,
            describes=describes,
        )
    # A program may start and end several times in one job: each time is a session of its own.
    spec, spool = job_spool(url, token, place, suffix=f"-{secrets.token_hex(3)}")
    # `backline exec` reads what this process prints, and measures it; but other ranks that were
    # started inside it capture their own lines.
    is_exec_rank = place.rank == places.seconds_from("BACKLINE_EXEC_RANK", 0)
    return Run(
        spec=spec,
        spool=spool,
        token=token,
        console=None if is_exec_rank or not capture_console else Console(seen=False),
        figures=None,
        place=place,
        counting=Counting(Path(exec_folder)),
        describes=describes,
        around=Spool.open(Path(exec_folder)) if is_exec_rank else None,
    )


def job_spool(
    url: str, token: str, place: ProcessPlace, *, suffix: str = ""
) -> tuple[wire.RunSpec, Spool]:
    """Return the spec of the job's run, and a new spool for one session of it."""
    run_id = os.environ["BACKLINE_RUN"]
    root = places.writable_root()
    session = os.environ.get("BACKLINE_SESSION", "") or places.new_session()
    session += place.session + suffix
    address = f"/api/v1/runs/{run_id}/spec"
    answer = _ask(url, token, lambda t: t.get(address, session=session), JOB_START_SECONDS)
    spec = wire.RunSpec.model_validate(answer)
    return spec, _new_spool(root, url, token, spec, session=session, outside=False)


def _new_spool(
    root: Path,
    url: str,
    token: str,
    spec: wire.RunSpec,
    *,
    session: str,
    outside: bool,
    main: bool = True,
) -> Spool:
    clear_lent(root)
    for folder in unfinished(root)[:8]:
        # Another program of this machine was killed together with its sender.
        launch(folder)
    process = psutil.Process()
    return Spool.create(
        root,
        Session(
            url=url.rstrip("/"),
            token=token,
            run=spec.id,
            session=session,
            pid=process.pid,
            pid_started=process.create_time(),
            outside=outside,
            main=main,
        ),
    )


def _ask(url: str, token: str, act: Callable[[Transport], T], seconds: float) -> T:
    with Transport(url, token) as transport:
        limit = places.seconds_from("BACKLINE_START_SECONDS", seconds)
        return persist(lambda: act(transport), seconds=limit)
