"""A run as a training script sees it.

Once it is begun, only `fetch`, `dataset` and `finish` wait for the network, and what cannot be
stored is said and raises nothing: a metric must not end a training.
"""

import hashlib
import os
import shutil
import sys
import time
import zlib
from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from functools import partial
from itertools import count
from multiprocessing.context import assert_spawning
from pathlib import Path
from types import TracebackType
from typing import Any, Self, SupportsFloat, cast
from weakref import WeakSet

import numpy.typing as npt
import psutil

from backline import bounds, dataset, describing, lent, places, wire
from backline.allowance import Allowance
from backline.audio import samples_of, write_wav
from backline.configs import Config
from backline.console import Console, Source
from backline.delivery.spool import FETCHED, Spool, wait_for_children
from backline.delivery.transport import Transport, persist
from backline.delivery.writer import WAKE_ROWS, Writer
from backline.environment import capture
from backline.exits import WATCH, Outcome, outcome_named, outcome_of
from backline.media import Audio, Media, collecting
from backline.numbers import INT64, PLAIN_NUMBERS, number_of, shown, step_of
from backline.ranks import ProcessPlace
from backline.system_metrics import SystemMetrics
from backline.usage_count import Counting
from backline.words import Described, Tags

DRAIN_SECONDS = 30.0
# How long the end of a run is reported directly, where the disk takes nothing.
LAST_WORD_SECONDS = 5.0
# What was interrupted by a full disk is tried again this often at the end.
RETRY_SECONDS = 0.2
# A program's alerts: so many at once, and then one each so many seconds.
ALERTS_AT_ONCE = 20
ALERT_SECONDS = 6.0


Loggable = SupportsFloat | Media | Sequence[Media]


@dataclass(frozen=True)
class StopRequest:
    """A request to the program to save what it needs and to end."""

    reason: str


class Run(Described):
    """One run of a program. Made by `backline.init`; use it as a context manager or call finish.

    A process that this one forks, or starts by multiprocessing with the run among its arguments,
    may use the run too. It delivers in a session of its own, which begins with its first call and
    whose end does not end the run.
    """

    def __init__(
        self,
        *,
        spec: wire.RunSpec,
        spool: Spool,
        token: str,
        console: Source | None,
        figures: SystemMetrics | None,
        place: ProcessPlace,
        config: dict[str, Any] | None = None,
        step: int = -1,
        counting: Counting | None = None,
        around: Spool | None = None,
        describes: capture.Source | None = None,
        command: Sequence[str] | None = None,
    ) -> None:
        """`config` is the spec's with what JSON cannot express (NaN, infinities); `step` the last
        one of a run that is resumed; `around` the session of `backline exec`, which reports
        progress for the program; `describes` says as what this process reports its code and
        environment, `command` what it starts if it is a launcher."""
        self.spec = spec
        self.config = self._config(spec.config if config is None else config)
        self.url = spool.session.url + spec.url
        self._texts = {
            "name": spec.name, "description": spec.description, "notes": spec.notes
        }  # fmt: skip
        self._known_tags = self._tags(spec.tags)
        self._token = token
        self._step = step
        self._place = place
        self._counting = counting
        self._around = around
        self._captures = isinstance(console, Console)
        self._spool = spool
        self._own_process()
        self._begin(spool, console=console, figures=figures)
        if describes:
            self._describe(describes, command)

    def _config(self, values: Mapping[str, Any]) -> Config:
        return Config(values, deliver=self._deliver_config, say=self._say)

    def _deliver_config(self, values: dict[str, Any]) -> None:
        if writer := self._open("config.update"):
            writer.put("config", wire.ConfigUpdate(values=values))

    def _tags(self, names: Iterable[str]) -> Tags:
        return Tags(names, deliver=self._deliver_words, say=self._say)

    def _deliver_words(self, call: str, words: wire.Words) -> None:
        if writer := self._open(call):
            writer.put("words", words)

    def say_first(self, words: wire.Words) -> None:
        """Say what stands at the start of the program: it replaces nothing that was written."""
        self._deliver_words("init", words.model_copy(update={"first": True}))

    def _own_process(self) -> None:
        """Forget what belongs to the process that this one was started by."""
        self._writer: Writer | None = None
        self._console: Source | None = None
        self._capture: capture.Capture | None = None
        self._rows: list[Any] = []
        # Whether there is no writer, because the run has ended or was not used here yet.
        self._idle = True
        self._finished = False
        # What a signal has asked for while `finish` was writing.
        self._leave: Callable[[], None] | None = None
        self._progress = wire.Progress()
        self._stop: StopRequest | None = None
        self._given: set[str] = set()
        self._takes: dict[tuple[str, int, str, int | None], count[int]] = {}
        self._lent: dict[Path, lent.Folder] = {}
        self._warned: set[str] = set()
        self._alerts = Allowance(ALERTS_AT_ONCE, ALERT_SECONDS)

    def _describe(self, source: capture.Source, command: Sequence[str] | None) -> None:
        """Report code and environment, if this portal takes that and nobody has switched it off."""
        if self._writer is None or not capture.is_wanted(self.spec.accepts):
            return
        self._capture = capture.Capture(
            partial(self._writer.put, "environment"),
            session=self._spool.session.session,
            source=source,
            command=command,
            secrets=(self._token, os.environ.get("BACKLINE_TOKEN", "")),
            warn=self._warn_once,
        )
        self._capture.start()

    def _begin(
        self, spool: Spool, *, console: Source | None, figures: SystemMetrics | None
    ) -> None:
        # Steps of a rank are timed in its main process alone.
        place = self._place if spool.session.main else replace(self._place, count=1)
        self._spool = spool
        self._console = console
        self._writer = Writer(
            spool, console=console, figures=figures, place=place, warn=self._warn_once
        )
        self._rows = self._writer.rows
        self._marks_steps = place.count > 1
        self._idle = False
        RUNS.add(self)
        WATCH.add(self)
        self._writer.start()

    def _begin_in_child(self) -> None:
        """Begin a session of this process, which was forked or spawned by one that has the run."""
        session = self._spool.session
        process = psutil.Process()
        try:
            spool = Spool.create(
                self._spool.folder.parent,
                session.model_copy(
                    update={
                        "session": places.child_session(session.session),
                        "pid": process.pid,
                        "pid_started": process.create_time(),
                        "main": False,
                    }
                ),
            )
        except OSError as error:
            self._finished = True
            self._warn_once(f"Nothing is logged by process {process.pid}: {error}")
            return
        self._begin(spool, console=Console() if self._captures else None, figures=None)
        # A process of multiprocessing ends without the functions of `atexit`.
        multiprocessing_util = sys.modules.get("multiprocessing.util")
        if multiprocessing_util:
            multiprocessing_util.Finalize(None, self.finish, exitpriority=0)

    def _open(self, call: str) -> Writer | None:
        """Return this process's writer; None, with a warning, if the run has ended."""
        if self._finished:
            self._warn_once(f"The run has ended: {call} does nothing any more.")
            return None
        if self._writer is None:
            self._begin_in_child()
        return self._writer

    def __getstate__(self) -> dict[str, Any]:
        """Return the run for a process that is being started with it; raises RuntimeError for any
        other pickling, as the token of the run would go with it."""
        assert_spawning(self)
        passed_on = ("spec", "url", "_token", "_step", "_place", "_counting", "_captures", "_texts")
        state = {name: getattr(self, name) for name in passed_on}
        return state | {
            "spool": (self._spool.folder, self._spool.session),
            "finished": self._finished,
            "config": dict(self.config),
            "tags": list(self._known_tags),
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._spool = Spool(*state.pop("spool"))
        finished, config, tags = (state.pop(name) for name in ("finished", "config", "tags"))
        self.__dict__ |= state
        self._around = None
        self._own_process()
        self._finished = finished
        self.config = self._config(config)
        self._known_tags = self._tags(tags)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.finish(*outcome_of(error))

    @property
    def id(self) -> str:
        return self.spec.id

    @property
    def rank(self) -> int:
        """The rank of this process among those of the run, from 0."""
        return self._place.rank

    @property
    def step(self) -> int:
        """The last step that was logged, also before the run was resumed; -1 before the first."""
        return self._step

    @property
    def stop_requested(self) -> StopRequest | None:
        """The request that the program end, if there is one. Check it once per step: it is free."""
        if self._stop is None and self._writer and self._writer.stop_reason is not None:
            self._stop = StopRequest(self._writer.stop_reason)
        return self._stop

    def request_stop(self, reason: str) -> None:
        """Make `stop_requested` return a request, as for a signal that the program has caught."""
        self._stop = self._stop or StopRequest(reason)

    def log(self, values: Mapping[str, Loggable], *, step: int | None = None) -> None:
        """Log numbers and media of one step; without `step`, of the step after the last one.

        Takes microseconds and never uses the network. NaN and infinities are stored. What is
        not a number is left out with a warning: a metric must not end training. Of several
        ranks, those above 0 log as `rank/R/...`; a call without values marks its step's time.

        `backline.Image`, `Histogram`, `Table`, `Figure`, `Text`, `ConfusionMatrix`, or a list of
        them, are encoded before this returns, which takes as long as that takes; `Audio` is a clip,
        as by `log_audio`.
        """
        if self._idle and not self._open("log"):
            return
        try:
            if step is None:
                step = self._step + 1
            if type(step) is not int or step not in INT64:
                step = self._whole(step)
            # Types first: an array would take text of digits, a live tensor with torch's warning.
            if not PLAIN_NUMBERS.issuperset(map(type, values.values())):
                found = collecting.split(values)
                if found.clips or found.media:
                    self._log_media(found, step)
                values = self._numbers_of(found.numbers)
            row = (
                step,
                time.time(),
                tuple(values),
                array("d", cast("Iterable[float]", values.values())),
            )
        except Exception as error:  # noqa: BLE001 - what is no mapping, or changes meanwhile.
            self._warn_once(
                f"{shown(values)} was not logged, as it is no mapping of names to numbers: "
                f"{shown(error)}",
                about=f"values {type(error).__name__}",
            )
            return
        self._step = step
        if row[3] or self._marks_steps:
            self._rows.append(row)
            if len(self._rows) > WAKE_ROWS and self._writer:
                self._writer.wake()

    def _log_media(self, found: collecting.Collected, step: int) -> None:
        """Deliver clips and media of a step; what cannot be sent is said once by its name."""
        for name, clip in found.clips:
            self._log_clip(name, clip, step)
        writer = self._open("log")
        if not found.media or writer is None:
            return
        if "media" not in self.spec.accepts:
            self._warn_once("This portal is of an earlier version, which takes no media.")
            return
        named = self._place.metric
        try:
            for pack in collecting.packs_of(
                found.media, step=step, at=time.time(), named=named, warn=self._warn_about
            ):
                writer.put_later("media", pack)
        except Exception as error:  # noqa: BLE001 - a picture must not end a training.
            self._warn_once(
                f"Media of step {step} were not logged: {shown(error)}",
                about=f"media {type(error).__name__}",
            )

    def _log_clip(self, name: str, clip: Audio, step: int) -> None:
        try:
            self.log_audio(
                name, clip.audio, sample_rate=clip.sample_rate, step=step,
                prompt=clip.prompt or clip.caption, seed=clip.seed, final=clip.final,
                references=clip.references,
            )  # fmt: skip
        except Exception as error:  # noqa: BLE001 - as for a clip that cannot be written.
            self._warn_once(
                f"{shown(name)} was not logged (Audio). {error}", about=f"media {shown(name)}"
            )

    def _warn_about(self, sentence: str, about: str) -> None:
        self._warn_once(sentence, about=about)

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

        Each call is a clip of its own, whatever it is called. `references` are the recordings of
        the dataset that were its reference audio.
        """
        is_file = isinstance(audio, (str, os.PathLike))
        if not is_file and sample_rate is None:
            raise ValueError("Samples need their sample_rate, in Hz.")
        if self._open("log_audio") is None:
            return
        subject = f"The clip {shown(name)}"
        meta = describing.message(
            subject, wire.SampleMeta, name=name, step=step, prompt=prompt,
            seed=seed, final=final, references=list(references), say=self._say,
        )  # fmt: skip
        if meta is None:
            return
        takes = self._takes.setdefault(
            (meta.name, meta.step, meta.prompt, meta.seed), count(self._first_take())
        )
        meta = meta.model_copy(update={"take": next(takes)})

        def write(file: Path) -> wire.SampleMeta:
            if is_file:
                shutil.copyfile(cast("str", audio), file)
            else:
                write_wav(file, samples_of(audio), sample_rate=round(float(sample_rate or 0)))
            return meta

        suffix = Path(cast("str", audio)).suffix if is_file else ".wav"
        self._send_file(subject, "sample", suffix, write, call="log_audio")

    def _first_take(self) -> int:
        """Return where this process counts equal clips from: those of two processes differ."""
        name = self._spool.session.session
        child = 0 if self._spool.session.main else zlib.crc32(name.encode()) & 0xFFFFFF
        return (self._place.rank << 40) + (child << 16)

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

        def write(file: Path) -> wire.CheckpointMeta:
            shutil.copyfile(path, file)
            with file.open("rb") as copy:
                digest = hashlib.file_digest(copy, "sha256").hexdigest()
            return draft.model_copy(update={"sha256": digest})

        self._send_file(subject, "checkpoint", ".checkpoint", write, call="save_checkpoint")

    def _send_file(
        self,
        subject: str,
        kind: str,
        suffix: str,
        write: Callable[[Path], wire.SampleMeta | wire.CheckpointMeta],
        *,
        call: str,
    ) -> None:
        """Deliver the file that `write` makes, and the use of recordings before it."""
        writer = self._open(call)
        if writer is None:
            return
        file = self._spool.new_file(suffix)
        try:
            meta = write(file)
            self._count_whole(writer)
            writer.put_file(kind, file, meta)
        except Exception as error:  # noqa: BLE001 - a clip or a checkpoint must not end a training.
            self._warn_once(f"{subject} was not stored and is lost: {shown(error)}")
            with suppress(OSError):
                file.unlink(missing_ok=True)

    def log_usage(self, *, step: int, usage: Mapping[int, tuple[int, float]]) -> None:
        """Report the use of recordings since the last report: recording -> (examples, seconds).

        If a program never reports, all that it fetched counts in full; so the first report
        must come before the first checkpoint or clip.
        """
        writer = self._open("log_usage")
        if writer is None:
            return
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
        try:
            if self._counting and self._counting.decide("program") == "whole":
                self._say("Use is not reported: what was fetched has been counted in full already.")
                return
        except OSError as error:
            # Then it counts in full, later.
            self._warn_once(f"A report of use was not stored: {error}", about="report of use")
            return
        writer.put("usage", report)

    def log_arithmetic(self, chosen: wire.Arithmetic) -> None:
        """Report what precision and threads this run uses. Later attempts and repeats of the run
        find it in `spec.arithmetic`; the first report stays."""
        if writer := self._open("log_arithmetic"):
            writer.put("arithmetic", chosen)

    def alert(self, title: str, text: str = "", level: str = "info") -> None:
        """Tell the run's people something: in their inbox, by mail, by the project's webhooks.

        `level` is info, warn or error. It waits for nothing and raises nothing; without the portal
        it is delivered later, once. Of more than ALERTS_AT_ONCE, one each ALERT_SECONDS goes out.
        """
        writer = self._open("alert")
        if writer is None:
            return
        if not self._alerts.take():
            self._warn_once(
                "Alerts come faster than people read them: some are left out.", about="alerts"
            )
            return
        words = describing.alert(title, text, level, say=self._say)
        if words is not None:
            writer.put("alert", words)

    def progress(self, fraction: float, *, stage: str = "") -> None:
        """Report how far the program is (0 to 1) and what it is doing."""
        if self._open("progress") is None:
            return
        try:
            # In this order, NaN becomes 0.
            share = min(1.0, max(0.0, number_of(fraction)))
            text = "" if stage is None else bounds.readable(str(stage))[:100]
            progress = wire.Progress(fraction=share, stage=text)
            if progress != self._progress:
                self._progress = progress
                (self._around or self._spool).report_progress(progress)
        except FileNotFoundError:
            # The program around this one may have been killed, and its folder deleted.
            pass
        except Exception as error:  # noqa: BLE001 - no number, a full disk: it is only for people.
            self._warn_once(f"Progress cannot be reported: {shown(error)}", about="progress")

    def fetch(self, source: wire.DatasetItem | wire.CheckpointSource) -> Path:
        """Return a local file with the bytes of a dataset item or checkpoint, checked by SHA-256.

        Its folder is shared by the processes of this attempt. It is deleted by `finish`, or when
        the program ends in another way. Raises Refused, with the portal's reason, if a permission
        has ended, and RuntimeError after the end of the run.
        """
        self._require_open("fetch")
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
        ends in another way. Raises Refused, with the portal's reason, if a permission has ended,
        and RuntimeError after the end of the run.
        """
        self._require_open("dataset")
        with self._transport() as transport:
            path = self._borrow(Path(folder))
            items = dataset.fetch(self.spec, path, transport, given=self._given)
        if self._counting:
            self._counting.note(self.spec.items)
        return items

    def flush(self) -> None:
        """Write what was logged so far to the spool, where a killed program cannot lose it."""
        if writer := self._open("flush"):
            writer.flush()

    def finish(self, outcome: Outcome = "finished", reason: str = "") -> None:
        """End the run: write the rest, and wait a little until the portal has it.

        May be called in a signal handler. A full disk or a portal that is away raise nothing.
        """
        writer = self._writer
        if self._finished or writer is None:
            return
        if writer.gate.is_mine():
            # A signal handler has interrupted a delivery: that has to be whole first.
            writer.gate.later(partial(self.finish, outcome, reason))
            return
        # What was changed inside of a value, without `update`.
        self._try(self.config.deliver_changes)
        ending = self._ending(outcome, reason)
        self._finished = self._idle = True
        end = time.monotonic() + places.seconds_from("BACKLINE_DRAIN_SECONDS", DRAIN_SECONDS)
        steps = (
            self._end_capture,
            writer.stop,
            self._give_back,
            partial(self._say_ending, writer, ending, end),
            self._let_go,
            self._release_console,
            partial(self._wait, end),
        )
        # Each, even if a signal handler raises in one of them.
        with ExitStack() as stack:
            for step in reversed(steps):
                stack.callback(self._try, step)

    def _end_capture(self) -> None:
        if self._capture:
            self._capture.close()

    def _ending(self, outcome: Any, reason: Any) -> wire.Ending:
        reason = "" if reason is None else str(reason)
        try:
            outcome, reason = outcome_named(outcome, reason)
        except ValueError as error:
            self._warn_once(f"{error} The run is taken as finished.")
            outcome = "finished"
        return wire.Ending(
            outcome=outcome,
            reason=bounds.readable(reason)[:500],
            of_run=self._spool.session.main,
        )

    def end_by_signal(self, name: str, leave: Callable[[], None]) -> None:
        """Write down what was logged and how the program ends, without waiting; then `leave`."""
        writer = self._writer
        if self._finished and self in WATCH:
            # `finish` is under way, and has not written everything down.
            self._leave = leave
        elif self._finished or writer is None:
            leave()
        elif writer.gate.is_mine():
            writer.gate.later(partial(self.end_by_signal, name, leave))
        else:
            self._try(partial(self._say_last, writer, name))
            leave()

    def _let_go(self) -> None:
        """Let the program end: everything is written down."""
        WATCH.remove(self)
        if self._leave:
            self._leave()

    def _say_last(self, writer: Writer, name: str) -> None:
        if self._capture:
            self._capture.close(0)
        writer.put("ending", self._ending("failed", f"The program was ended by {name}."))
        self._spool.finish()

    def _try(self, act: Callable[[], None]) -> None:
        try:
            act()
        except Exception as error:  # noqa: BLE001 - the end of a program must not fail.
            self._warn_once(f"{type(error).__name__} at the end of the run: {error}")

    def _give_back(self) -> None:
        for folder in self._lent.values():
            self._try(folder.give_back)

    def _say_ending(self, writer: Writer, ending: wire.Ending, end: float) -> None:
        """Deliver the ending, the last delivery of a session: it says whether anything is owed."""
        writer.put("ending", ending)
        while writer.waits() and time.monotonic() < end:
            # What the sender has delivered makes room on a full disk.
            time.sleep(RETRY_SECONDS)
            writer.flush()
        if writer.waits():
            self._try(partial(self._say_directly, ending, writer.waits() - 1))
        with suppress(OSError):
            self._spool.finish()

    def _say_directly(self, ending: wire.Ending, lost: int) -> None:
        """Report the end without the spool, whose disk takes nothing, and what is lost."""
        sentence = "The disk of its spool was full."
        self._say(f"{lost} deliveries could not be written to {self._spool.folder} and are lost.")
        session = self._spool.session
        base = f"/api/v1/runs/{self.id}"
        undelivered = wire.Undelivered(session=session.session, count=lost, reason=sentence)
        ending = ending.model_copy(update={"owed": len(self._spool.pending())})
        with self._transport() as transport:
            if lost:
                persist(
                    lambda: transport.post(f"{base}/undelivered", undelivered),
                    seconds=LAST_WORD_SECONDS,
                )
            persist(
                lambda: transport.post(f"{base}/ending", ending, session=session.session),
                seconds=LAST_WORD_SECONDS,
            )

    def _release_console(self) -> None:
        if self._console:
            self._console.release()

    def _wait(self, end: float) -> None:
        """Wait until all is delivered, and say what could not be. A child's sender goes on alone:
        the run's own process waits for it."""
        if not self._spool.session.main:
            return
        if not self._spool.wait_until_empty(end - time.monotonic()):
            waiting = len(self._spool.waiting())
            self._say(
                f"{waiting} deliveries wait in {self._spool.folder}; the sender goes on with them."
            )
        wait_for_children(self._spool, end - time.monotonic())
        for name, sentence in self._spool.refusals().items():
            self._say(f"The portal refused {name}: {sentence}")
        for name, failure in self._spool.failures().items():
            if failure.aside:
                self._say(
                    f"The portal cannot take {name}; it lies in {self._spool.folder}. {failure.why}"
                )

    def _require_open(self, call: str) -> None:
        if self._finished or self._open(call) is None:
            raise RuntimeError(f"The run has ended: {call} fetches nothing any more.")

    def _borrow(self, folder: Path) -> Path:
        """Use a folder until the run ends. Note it first: a killed program cannot give it back."""
        path = folder.absolute()
        if path not in self._lent:
            self._spool.note_lent(path)
            self._lent[path] = lent.Folder(path)
        return folder

    def _transport(self) -> Transport:
        return Transport(self._spool.session.url, self._token)

    def _count_whole(self, writer: Writer) -> None:
        """Report the use behind a checkpoint or clip before it is sent, if the program does not."""
        report = self._counting.whole() if self._counting else None
        if report:
            writer.put("usage", report)

    def _numbers_of(self, values: Mapping[str, Any]) -> dict[str, float]:
        numbers = {}
        for name, value in values.items():
            try:
                numbers[name] = number_of(value)
            except Exception:  # noqa: BLE001 - whatever a value does, a metric must not end training.
                self._warn_once(
                    f"{name} is not a number and was not logged: {shown(value)}",
                    about=f"value of {name}",
                )
        return numbers

    def _whole(self, step: Any) -> int:
        try:
            return step_of(step)
        except Exception:  # noqa: BLE001 - NaN, text: the next step, and training goes on.
            self._warn_once(
                f"A step is a whole number, not {shown(step)}; the next one is used.", about="step"
            )
            return step_of(self._step + 1)

    def _warn_once(self, sentence: str, *, about: str = "") -> None:
        """Print a warning; the second one `about` the same thing, or in the same words, is not."""
        if (about or sentence) not in self._warned:
            self._warned.add(about or sentence)
            self._say(sentence)

    def _say(self, sentence: str) -> None:
        # The stream may be closed, or in use by what a signal handler has interrupted.
        with suppress(OSError, ValueError, RuntimeError):
            if self._console and not self._finished:
                self._console.say(sentence)
            else:
                sys.stderr.write(f"backline: {sentence}\n")


# Those that this process has begun, or was forked with.
RUNS: WeakSet[Run] = WeakSet()


def _after_fork() -> None:
    for run in list(RUNS):
        if not run._finished:
            run._own_process()


os.register_at_fork(after_in_child=_after_fork)


def _fetched(spool: Spool) -> Path:
    """Return the folder into which the processes of this attempt fetch."""
    attempt = "" if spool.session.outside else os.environ.get("BACKLINE_SESSION", "")
    name = f"{spool.session.run}-{attempt or spool.session.session}"
    return spool.folder.parent / FETCHED / name
