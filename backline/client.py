"""A run as a training script sees it. Once begun, only `fetch`, `dataset` and `finish` wait for the
network."""

import atexit
import hashlib
import os
import secrets
import shutil
import subprocess
import sys
import time
from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, SupportsFloat, TypeVar, cast

import numpy as np
import numpy.typing as npt
import psutil

from backline import bounds, dataset, describing, lent, wire
from backline.audio import write_wav
from backline.console import Console, Source
from backline.delivery.spool import FETCHED, Session, Spool, clear_lent, unfinished
from backline.delivery.transport import Transport, persist
from backline.delivery.writer import WAKE_ROWS, Writer
from backline.ranks import ProcessPlace
from backline.system_metrics import SystemMetrics
from backline.usage_count import Counting

T = TypeVar("T")
Outcome = Literal["finished", "failed", "cancelled"]

# How long `init` waits for an unreachable portal: a queued job can wait, a person would not.
JOB_START_SECONDS = 600.0
START_SECONDS = 30.0
DRAIN_SECONDS = 30.0
# Kept so that Python does not warn of a process "still running" when a sender outlives its run.
SENDERS: "list[subprocess.Popen[bytes]]" = []
INT64 = range(-(2**63), 2**63)
# What becomes a float without a look at it. A whole number of Python's may be too large for one.
PLAIN_NUMBERS = {float, bool, np.float32, np.float64, np.int32, np.int64}


@dataclass(frozen=True)
class StopRequest:
    """A request to the program to save what it needs and to end."""

    reason: str


class Run:
    """One run of a program. Made by `backline.init`; use it as a context manager or call finish."""

    def __init__(
        self,
        *,
        spec: wire.RunSpec,
        spool: Spool,
        token: str,
        console: Source | None,
        figures: SystemMetrics | None,
        place: ProcessPlace,
        counting: Counting | None = None,
        around: Spool | None = None,
    ) -> None:
        """`around` is the session of `backline exec`, which reports progress for the program."""
        self.spec = spec
        self.config = spec.config
        self.url = spool.session.url + spec.url
        self._spool = spool
        self._token = token
        self._step = -1
        self._progress = wire.Progress()
        self._stop: StopRequest | None = None
        self._finished = False
        self._process = os.getpid()
        self._console = console
        self._counting = counting
        self._around = around
        self._place = place
        self._marks_steps = place.count > 1
        self._writer = Writer(spool, console=console, figures=figures, place=place, warn=self._say)
        self._rows = self._writer.rows
        self._sender = _start_sender(spool.folder)
        self._given: set[str] = set()
        self._takes: dict[tuple[str, int, str, int | None], count[int]] = {}
        self._lent: dict[Path, lent.Folder] = {}
        self._before_hook = sys.excepthook
        self._failure = ""
        sys.excepthook = self._on_exception
        atexit.register(self._at_exit)
        self._writer.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None or error is None or (kind is SystemExit and not error.args):
            self.finish()
        elif kind is KeyboardInterrupt:
            self.finish("cancelled", "Interrupted from the keyboard.")
        else:
            self.finish("failed", f"{kind.__name__}: {error}")

    @property
    def id(self) -> str:
        return self.spec.id

    @property
    def rank(self) -> int:
        """The rank of this process among those of the run, from 0."""
        return self._place.rank

    @property
    def stop_requested(self) -> StopRequest | None:
        """The request that the program end, if there is one. Check it once per step: it is free."""
        if self._stop is None and self._writer.stop_reason is not None:
            self._stop = StopRequest(self._writer.stop_reason)
        return self._stop

    def request_stop(self, reason: str) -> None:
        """Make `stop_requested` return a request, as for a signal that the program has caught."""
        self._stop = self._stop or StopRequest(reason)

    def log(self, values: Mapping[str, SupportsFloat], *, step: int | None = None) -> None:
        """Log numbers of one step; without `step`, of the step after the last one.

        Takes microseconds and never uses the network. NaN and infinities are stored. What is
        not a number is left out with a warning: a metric must not end training. Of several
        ranks, those above 0 log as `rank/R/...`; a call without values marks its step's time.
        """
        if step is None:
            step = self._step + 1
        if type(step) is not int or step not in INT64:
            step = self._whole(step)
        self._step = step
        # Types first: an array would take text of digits, and a live tensor with torch's warning.
        if not PLAIN_NUMBERS.issuperset(map(type, values.values())):
            values = self._numbers_of(values)
        numbers = array("d", cast("Iterable[float]", values.values()))
        if numbers or self._marks_steps:
            self._rows.append((step, time.time(), tuple(values), numbers))
            if len(self._rows) > WAKE_ROWS:
                self._writer.wake.set()

    def log_audio(
        self,
        name: str,
        audio: str | os.PathLike[str] | npt.ArrayLike,
        *,
        sample_rate: int | None = None,
        step: int = 0,
        prompt: str = "",
        seed: int | None = None,
        final: bool = False,
        references: Sequence[int] = (),
    ) -> None:
        """Send a clip: a file as it is, or samples (channels, frames) with their rate in Hz.

        `references` are the recordings of the dataset that were its reference audio.
        """
        meta = describing.message(
            f"The clip {name!r:.60}", wire.SampleMeta, name=name, step=step, prompt=prompt,
            seed=seed, final=final, references=list(references), say=self._say,
        )  # fmt: skip
        if meta is None:
            return
        # Each call is a clip of its own, even if all that it says has been said before.
        takes = self._takes.setdefault((meta.name, meta.step, meta.prompt, meta.seed), count())
        meta = meta.model_copy(update={"take": next(takes)})
        if isinstance(audio, (str, os.PathLike)):
            source = Path(audio)
            file = self._spool.new_file(source.suffix)
            shutil.copyfile(source, file)
        else:
            if sample_rate is None:
                raise ValueError("Samples need their sample_rate, in Hz.")
            file = self._spool.new_file(".wav")
            write_wav(file, audio, sample_rate=sample_rate)
        self._writer.flush()
        self._count_whole()
        self._spool.put_file("sample", file, meta)

    def save_checkpoint(
        self, path: str | os.PathLike[str], *, step: int, meta: dict[str, Any] | None = None
    ) -> None:
        """Send a copy of a checkpoint file; the original may be overwritten afterwards.

        One that could never be stored is refused at once with a warning, and the program goes on.
        """
        subject = f"The checkpoint of step {step!r:.40}"
        notes = describing.notes(subject, meta or {}, say=self._say)
        draft = describing.message(
            subject, wire.CheckpointMeta, step=step, sha256="0" * 64, meta=notes, say=self._say
        )
        if draft is None:
            return
        file = self._spool.new_file(".checkpoint")
        shutil.copyfile(path, file)
        with file.open("rb") as copy:
            digest = hashlib.file_digest(copy, "sha256").hexdigest()
        self._writer.flush()
        self._count_whole()
        self._spool.put_file("checkpoint", file, draft.model_copy(update={"sha256": digest}))

    def log_usage(self, *, step: int, usage: Mapping[int, tuple[int, float]]) -> None:
        """Report the use of recordings since the last report: recording -> (examples, seconds).

        If a program never reports, all that it fetched counts in full; so the first report
        must come before the first checkpoint or clip.
        """
        lines = [
            {"recording": recording, "examples": examples, "seconds": seconds}
            for recording, (examples, seconds) in usage.items()
        ]
        # Checked before anything relies on the program's own count.
        report = describing.message(
            "This report of use", wire.UsageReport, step=step, lines=lines, say=self._say
        )
        if report is None:
            return
        if self._counting and self._counting.decide("program") == "whole":
            self._say("Use is not reported: what was fetched has been counted in full already.")
            return
        self._spool.put("usage", report.model_dump_json().encode())

    def log_arithmetic(self, chosen: wire.Arithmetic) -> None:
        """Report what precision and threads this run uses. Later attempts and repeats of the run
        find it in `spec.arithmetic`; the first report stays."""
        self._spool.put("arithmetic", chosen.model_dump_json().encode())

    def progress(self, fraction: float, *, stage: str = "") -> None:
        """Report how far the program is (0 to 1) and what it is doing."""
        # In this order, NaN becomes 0.
        share = min(1.0, max(0.0, fraction))
        progress = wire.Progress(fraction=share, stage=bounds.readable(stage)[:100])
        if progress != self._progress:
            self._progress = progress
            # The program around this one may have been killed, and its folder deleted.
            with suppress(FileNotFoundError):
                (self._around or self._spool).report_progress(progress)

    def fetch(self, source: wire.DatasetItem | wire.CheckpointSource) -> Path:
        """Return a local file with the bytes of a dataset item or checkpoint, checked by SHA-256.

        Its folder is shared by the processes of this attempt. It is deleted by `finish`, or when
        the program ends in another way. Raises Refused, with the portal's reason, if a permission
        has ended.
        """
        target = self._borrow(_fetched(self._spool)) / source.sha256
        with self._transport() as transport:
            dataset.fetch_recording(source, target, transport, given=self._given)
        if self._counting and isinstance(source, wire.DatasetItem):
            self._counting.note([source])
        return target

    def dataset(self, folder: str | os.PathLike[str]) -> list[dataset.Item]:
        """Return the recordings of the run's dataset as files in `folder`, beside a manifest.json.

        Each download is checked by SHA-256. A file that is there already is used if the portal
        permits it, and not fetched again. All files are deleted by `finish`, or when the program
        ends in another way. Raises Refused, with the portal's reason, if a permission has ended.
        """
        with self._transport() as transport:
            path = self._borrow(Path(folder))
            items = dataset.fetch(self.spec, path, transport, given=self._given)
        if self._counting:
            self._counting.note(self.spec.items)
        return items

    def flush(self) -> None:
        """Write what was logged so far to the spool, where a killed program cannot lose it."""
        self._writer.flush()

    def finish(self, outcome: Outcome = "finished", reason: str = "") -> None:
        """End the run: write the rest, and wait a little until the portal has it."""
        if self._finished or os.getpid() != self._process:
            return
        self._finished = True
        atexit.unregister(self._at_exit)
        if sys.excepthook == self._on_exception:
            sys.excepthook = self._before_hook
        self._writer.stop()
        for folder in self._lent.values():
            folder.give_back()
        # The last delivery of the session: it tells the portal whether anything is still owed.
        ending = wire.Ending(outcome=outcome, reason=bounds.readable(reason)[:500])
        self._spool.put("ending", ending.model_dump_json().encode())
        self._spool.finish()
        if self._console:
            self._console.release()
        if not self._spool.wait_until_empty(_seconds("BACKLINE_DRAIN_SECONDS", DRAIN_SECONDS)):
            waiting = len(self._spool.waiting())
            self._say(
                f"{waiting} deliveries wait in {self._spool.folder}; the sender goes on with them."
            )
        for name, sentence in self._spool.refusals().items():
            self._say(f"The portal refused {name}: {sentence}")
        for name, failure in self._spool.failures().items():
            if failure.aside:
                self._say(
                    f"The portal cannot take {name}; it lies in {self._spool.folder}. {failure.why}"
                )

    def _borrow(self, folder: Path) -> Path:
        """Use a folder until the run ends. Note it first: a killed program cannot give it back."""
        path = folder.absolute()
        if path not in self._lent:
            self._spool.note_lent(path)
            self._lent[path] = lent.Folder(path)
        return folder

    def _transport(self) -> Transport:
        return Transport(self._spool.session.url, self._token)

    def _count_whole(self) -> None:
        """Report the use behind a checkpoint or clip before it is sent, if the program does not."""
        report = self._counting.whole() if self._counting else None
        if report:
            self._spool.put("usage", report.model_dump_json().encode())

    def _numbers_of(self, values: Mapping[str, Any]) -> dict[str, float]:
        numbers = {}
        for name, value in values.items():
            try:
                numbers[name] = _number(value)
            except Exception:  # noqa: BLE001 - whatever a value does, a metric must not end training.
                self._writer.warn_once(
                    f"{name} is not a number and was not logged: {_shown(value)}",
                    about=f"value of {name}",
                )
        return numbers

    def _whole(self, step: Any) -> int:
        """Return a step from numpy or torch as an int, limited to 64 bits."""
        try:
            number = int(step)
        except Exception:  # noqa: BLE001 - NaN, text: the next step, and training goes on.
            self._writer.warn_once(
                f"A step is a whole number, not {_shown(step)}; the next one is used.",
                about="step",
            )
            number = self._step + 1
        return min(max(number, INT64.start), INT64.stop - 1)

    def _say(self, sentence: str) -> None:
        if self._console and not self._finished:
            self._console.say(sentence)
        else:
            sys.stderr.write(f"backline: {sentence}\n")

    def _on_exception(
        self, kind: type[BaseException], error: BaseException, trace: TracebackType | None
    ) -> None:
        self._failure = f"{kind.__name__}: {error}"
        self._before_hook(kind, error, trace)

    def _at_exit(self) -> None:
        if self._failure:
            self.finish("failed", self._failure)
        else:
            self.finish()


def init(
    project: str | None = None,
    name: str | None = None,
    config: dict[str, Any] | None = None,
    url: str | None = None,
    token: str | None = None,
    *,
    capture_console: bool = True,
    system_figures: bool = True,
) -> Run:
    """Return the run of this program.

    In a job of the portal, everything comes from the environment: it is the job's run, whatever
    project, name and config say, unless both project and token are given. Elsewhere it opens a
    new run in `project`, with a token made in the portal (or BACKLINE_URL and BACKLINE_TOKEN).
    Raises Refused, with the portal's reason, or Unreachable if the portal does not answer.
    """
    in_job = bool(os.environ.get("BACKLINE_RUN")) and (token is None or project is None)
    url = url or os.environ.get("BACKLINE_URL", "http://127.0.0.1:8000")
    token = token or os.environ.get("BACKLINE_TOKEN", "")
    if not token:
        raise ValueError("A token is needed: token= or BACKLINE_TOKEN. The portal makes them.")
    if in_job:
        return _join(url, token, capture_console=capture_console, system_figures=system_figures)
    if not project:
        raise ValueError("Outside the portal, a run needs a project=.")
    new_run = wire.NewRun(
        project=project, name=name or "", config=bounds.storable_copy(config or {})
    )
    answer = _ask(url, token, lambda t: t.post("/api/v1/runs", new_run), START_SECONDS)
    opened = wire.OpenedRun.model_validate(answer)
    return Run(
        spec=opened.spec,
        spool=_new_spool(url, opened.token, opened.spec, session=_new_session(), outside=True),
        token=opened.token,
        console=Console() if capture_console else None,
        figures=SystemMetrics() if system_figures else None,
        place=ProcessPlace(),
    )


def _join(url: str, token: str, *, capture_console: bool, system_figures: bool) -> Run:
    """Join the run of this job, as one of its ranks; inside `backline exec`, beside its session."""
    place = ProcessPlace.read()
    exec_folder = os.environ.get("BACKLINE_EXEC", "")
    if not exec_folder:
        spec, spool = job_spool(url, token, place)
        console = Console() if capture_console else None
        figures = SystemMetrics() if system_figures and place.first_of_machine else None
        return Run(
            spec=spec, spool=spool, token=token, console=console, figures=figures, place=place
        )
    # A program may start and end several times in one job: each time is a session of its own.
    spec, spool = job_spool(url, token, place, suffix=f"-{secrets.token_hex(3)}")
    # `backline exec` reads what this process prints, and measures it; but other ranks that were
    # started inside it capture their own lines.
    is_exec_rank = place.rank == _seconds("BACKLINE_EXEC_RANK", 0)
    return Run(
        spec=spec,
        spool=spool,
        token=token,
        console=None if is_exec_rank or not capture_console else Console(seen=False),
        figures=None,
        place=place,
        counting=Counting(Path(exec_folder)),
        around=Spool.open(Path(exec_folder)) if is_exec_rank else None,
    )


def job_spool(
    url: str, token: str, place: ProcessPlace, *, suffix: str = ""
) -> tuple[wire.RunSpec, Spool]:
    """Return the spec of the job's run, and a new spool for one session of it."""
    run_id = os.environ["BACKLINE_RUN"]
    session = (os.environ.get("BACKLINE_SESSION", "") or _new_session()) + place.session + suffix
    address = f"/api/v1/runs/{run_id}/spec"
    answer = _ask(url, token, lambda t: t.get(address, session=session), JOB_START_SECONDS)
    spec = wire.RunSpec.model_validate(answer)
    return spec, _new_spool(url, token, spec, session=session, outside=False)


def _new_spool(url: str, token: str, spec: wire.RunSpec, *, session: str, outside: bool) -> Spool:
    root = spool_root()
    clear_lent(root)
    for folder in unfinished(root)[:8]:
        # Another program of this machine was killed together with its sender.
        _start_sender(folder)
    return Spool.create(
        root,
        Session(
            url=url.rstrip("/"),
            token=token,
            run=spec.id,
            session=session,
            pid=os.getpid(),
            pid_started=psutil.Process().create_time(),
            outside=outside,
        ),
    )


def _fetched(spool: Spool) -> Path:
    """Return the folder into which the processes of this attempt fetch."""
    attempt = "" if spool.session.outside else os.environ.get("BACKLINE_SESSION", "")
    name = f"{spool.session.run}-{attempt or spool.session.session}"
    return spool.folder.parent / FETCHED / name


def spool_root() -> Path:
    """Return BACKLINE_SPOOL, else a folder of this user's own."""
    folder = os.environ.get("BACKLINE_SPOOL")
    if folder:
        return Path(folder)
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state) / "backline" / "spool"


def _ask(url: str, token: str, act: Callable[[Transport], T], seconds: float) -> T:
    with Transport(url, token) as transport:
        return persist(lambda: act(transport), seconds=_seconds("BACKLINE_START_SECONDS", seconds))


def _start_sender(folder: Path) -> "subprocess.Popen[bytes]":
    """Start a sender as a process in a session of its own: it outlives the program."""
    package = Path(__file__).resolve().parent.parent
    paths = [str(package), os.environ.get("PYTHONPATH", "")]
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(path for path in paths if path),
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }
    # The token is in the folder, readable by this user only.
    environment.pop("BACKLINE_TOKEN", None)
    with (folder / "sender.log").open("ab") as log:
        sender = subprocess.Popen(
            [sys.executable, "-m", "backline.delivery.sender", str(folder)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=environment,
            start_new_session=True,
        )
    SENDERS[:] = [other for other in SENDERS if other.poll() is None]
    SENDERS.append(sender)
    return sender


@atexit.register
def _let_senders_go() -> None:
    """Prevent a warning at exit about senders, which are meant to go on after this program."""
    for sender in SENDERS:
        if sender.poll() is None:
            sender.returncode = 0


def _number(value: Any) -> float:
    """Return a number, a scalar or an array of one element as a float; raises for anything else."""
    if isinstance(value, (str, bytes, bytearray)):
        raise TypeError("text")
    if hasattr(value, "detach"):
        value = value.detach()
    return float(value.item() if hasattr(value, "item") else value)


def _shown(value: Any) -> str:
    try:
        return f"{value!r:.80}"
    except Exception:  # noqa: BLE001 - it is only for a warning.
        return f"a {type(value).__name__}"


def _new_session() -> str:
    return f"{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}-{secrets.token_hex(3)}"


def _seconds(name: str, default: float) -> float:
    return float(os.environ.get(name, default))
