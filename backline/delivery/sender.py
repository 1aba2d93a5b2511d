"""The sender: `python -m backline.delivery.sender <spool folder>`, one process per session.

It delivers what the program writes to the spool, reports to the portal that the program lives, and
brings back requests to stop. It outlives the program: what a killed program left is delivered.

While the portal is down, the sender waits and drops nothing. If the portal fails on one delivery,
later ones go on after some tries, and once it has failed repeatedly while others were accepted, it
is set aside. It stays on the disk, is tried now and then, and the run's page says so; nothing waits
for it.
"""

import argparse
import fcntl
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from backline import wire
from backline.delivery.spool import FILE_KINDS, Delivery, Failure, Spool, children
from backline.delivery.transport import LONGEST_PAUSE, Broken, Refused, Transport, Unreachable
from backline.usage_count import Counting

POLL_SECONDS = 0.1
BEAT_SECONDS = 3.0
# Longest pause while the portal answers but fails; with this many failures it may be down.
BROKEN_PAUSE = 2.0
MAX_BROKEN = 3
# Undelivered counts are reported again after this long; if that works, the portal is not down.
REPORT_SECONDS = 3.0
# How long to try after a program's end while the portal is away; `backline sync` goes on.
GIVE_UP_SECONDS = 24 * 3600.0


NEVER = Failure()
# Deliveries that are bytes with a number, and where they go.
BYTES = {"batch": "batches", "media": "media"}


class Sender:
    """Sends in two lanes, so that metrics do not wait for weights; each keeps its order."""

    def __init__(self, spool: Spool) -> None:
        self.spool = spool
        self.over = threading.Event()
        self.gone_since: float | None = None
        # How much the portal has accepted, and how much it had when a delivery failed last.
        self._taken = 0
        self._taken_at: dict[str, int] = {}
        self._counting = threading.Lock()
        self._reporting = threading.Lock()
        # An earlier sender may have reported what has been accepted since.
        self._reported: tuple[float, tuple[int, str]] = (0.0, (int(spool.has_reported()), ""))

    def run(self) -> None:
        lanes = [
            threading.Thread(target=self._lane, args=(False,), name="stream"),
            threading.Thread(target=self._lane, args=(True,), name="files"),
            threading.Thread(target=self._beat, name="heartbeat"),
        ]
        for lane in lanes:
            lane.start()
        try:
            while not self._try_to_end():
                time.sleep(2 * POLL_SECONDS)
        finally:
            # Also when the folder was deleted meanwhile: no lane may go on by itself.
            self.over.set()
            for lane in lanes:
                lane.join()

    def _transport(self, timeout: float = 20.0) -> Transport:
        return Transport(self.spool.session.url, self.spool.session.token, timeout=timeout)

    def _try_to_end(self) -> bool:
        try:
            return self._is_done()
        except OSError as error:
            if not self.spool.folder.exists():
                raise
            # A full disk: what the lanes deliver makes room.
            _say(f"The end cannot be written yet: {error}")
            return False

    def _is_done(self) -> bool:
        """Return whether nothing is left or still to come, or GIVE_UP_SECONDS are over."""
        if not self.spool.is_finished():
            if self.spool.program_lives():
                return False
            self.spool.clear_lent()
            if report := Counting(self.spool.folder).whole():
                # `backline exec` was killed before it could count what its program had fetched.
                Spool.open(self.spool.folder).put("usage", report.model_dump_json().encode())
            # It was killed: nothing else will report its end.
            ending = wire.Ending(
                outcome="failed",
                reason="The program ended without a word.",
                of_run=self.spool.session.main,
            )
            # Opened again, so that it gets a number after everything that the program wrote.
            Spool.open(self.spool.folder).put("ending", ending.model_dump_json().encode())
            self.spool.finish()
        if self.gone_since is None:
            self.gone_since = time.monotonic()
            self.spool.clear_lent()
        limit = float(os.environ.get("BACKLINE_GIVE_UP_SECONDS", GIVE_UP_SECONDS))
        return not self.spool.pending() or time.monotonic() - self.gone_since > limit

    def _lane(self, files: bool) -> None:
        pause = 0.0
        with self._transport() as transport:
            while not self.over.wait(pause or POLL_SECONDS):
                pause = self._pass(transport, files, pause)

    def _pass(self, transport: Transport, files: bool, pause: float) -> float:
        """Send what is ready; return the seconds to wait before the next pass (0: as usual)."""
        broken = 0
        for delivery in self._ready(files):
            try:
                self._deliver(transport, delivery)
            except Broken as error:
                broken += 1
                failure = self._failed(delivery, str(error))
                _say(f"{delivery.path.name} failed {failure.tries} times: {error}")
                if failure.holds_up or broken == MAX_BROKEN:
                    return min(max(pause * 2, 0.2), BROKEN_PAUSE)
            except Unreachable as error:
                pause = min(max(pause * 2, 0.2), LONGEST_PAUSE)
                _say(f"{error} Next try in {pause:.1f} s.")
                return pause
            if self.over.is_set():
                break
        return 0.0

    def _ready(self, files: bool) -> list[Delivery]:
        """Return what this lane may send now, in order. A file waits for what the stream had before
        it, and the ending for all earlier deliveries; nothing waits for what was set aside.
        """
        now, failures = time.time(), self.spool.failures()
        pending = [
            (delivery, failures.get(delivery.path.name, NEVER)) for delivery in self.spool.pending()
        ]
        waited_for = [delivery for delivery, failure in pending if not failure.aside]
        stream = (delivery.number for delivery in waited_for if delivery.kind not in FILE_KINDS)
        first = min(stream, default=sys.maxsize) if files else sys.maxsize
        ready: list[Delivery] = []
        for delivery, failure in pending:
            if (delivery.kind in FILE_KINDS) is not files:
                continue
            if delivery.number > first or (
                delivery.kind == "ending" and waited_for[0].number < delivery.number
            ):
                break
            if failure.due(now):
                ready.append(delivery)
            elif failure.holds_up:
                break
        # Few files at once: what the next one must wait for may change during an upload.
        return ready[:MAX_BROKEN] if files else ready

    def _deliver(self, transport: Transport, delivery: Delivery) -> None:
        try:
            self._send(transport, delivery)
        except Refused as error:
            _say(f"{delivery.path.name} was refused ({error.status}): {error}")
            self.spool.refuse(delivery, str(error))
        except Unreachable:
            raise
        except FileNotFoundError:
            _say(f"{delivery.path.name} was not sent: the file that it carries is gone.")
            self.spool.refuse(delivery, "The file that it carries is gone from this disk.")
        except OSError as error:
            raise Broken(f"This disk does not give it: {error}.") from error
        except ValueError as error:
            # Only a damaged disk or a change from outside makes a delivery that cannot be read.
            self.spool.refuse(delivery, f"The delivery cannot be read: {error}")
        else:
            self.spool.accepted(delivery)
            self._was_taken()

    def _was_taken(self) -> None:
        with self._counting:
            self._taken += 1

    def _failed(self, delivery: Delivery, why: str) -> Failure:
        with self._counting:
            before = self._taken_at.get(delivery.path.name, self._taken)
            self._taken_at[delivery.path.name] = self._taken
            alone = self._taken > before
        return self.spool.failed(delivery, why, alone=alone)

    def _send(self, transport: Transport, delivery: Delivery) -> None:
        session = self.spool.session
        base = f"/api/v1/runs/{session.run}"
        match delivery.kind:
            case "batch" | "media":
                transport.post(
                    f"{base}/{BYTES[delivery.kind]}",
                    delivery.path.read_bytes(),
                    session=session.session,
                    number=delivery.number,
                )
            case "log":
                content = delivery.path.read_bytes()
                transport.post(f"{base}/logs", wire.LogPiece.model_validate_json(content))
            case "usage":
                report = wire.UsageReport.model_validate_json(delivery.path.read_bytes())
                transport.post(f"{base}/usage", report, session=session.session)
            case "arithmetic":
                content = delivery.path.read_bytes()
                transport.post(f"{base}/arithmetic", wire.Arithmetic.model_validate_json(content))
            case "environment":
                content = delivery.path.read_bytes()
                transport.post(f"{base}/environment", wire.Environment.model_validate_json(content))
            case "config":
                update = wire.ConfigUpdate.model_validate_json(delivery.path.read_bytes())
                transport.post(f"{base}/config", update, session=session.session)
            case "words":
                words = wire.Words.model_validate_json(delivery.path.read_bytes())
                transport.post(
                    f"{base}/words", words, session=session.session, number=delivery.number
                )
            case "alert":
                alert = wire.Alert.model_validate_json(delivery.path.read_bytes())
                transport.post(
                    f"{base}/alerts", alert, session=session.session, number=delivery.number
                )
            case "ending":
                ending = wire.Ending.model_validate_json(delivery.path.read_bytes())
                # What was set aside may still be accepted, and the portal waits for it.
                owed = max(0, len(self.spool.pending()) - 1)
                others = children(self.spool) if ending.of_run else []
                names = [other.session.session for other in others[:1_000]]
                # First: a run's page never calls it finished and is silent about what was refused.
                self._report_undelivered(transport)
                ending = ending.model_copy(update={"owed": owed, "children": names})
                transport.post(f"{base}/ending", ending, session=session.session)
            case "sample":
                self._upload(transport, f"{base}/samples", delivery, wire.SampleMeta)
            case "checkpoint":
                self._upload(transport, f"{base}/checkpoints", delivery, wire.CheckpointMeta)

    def _upload(
        self,
        transport: Transport,
        path: str,
        delivery: Delivery,
        kind: type[wire.SampleMeta] | type[wire.CheckpointMeta],
    ) -> None:
        note = self.spool.note(delivery)
        with (self.spool.folder / "files" / note.file).open("rb") as file:
            meta = kind.model_validate(note.meta)
            session = self.spool.session.session
            transport.upload(path, file, name=note.file, meta=meta, session=session)

    def _beat(self) -> None:
        """Report to the portal that the program lives, at least every five seconds while it does,
        and what could not be delivered."""
        seconds = float(os.environ.get("BACKLINE_BEAT_SECONDS", BEAT_SECONDS))
        with self._transport(timeout=4.0) as transport:
            while True:
                if not self.spool.is_finished() and self.spool.program_lives():
                    self._send_heartbeat(transport)
                self._report_undelivered(transport)
                if self.over.wait(seconds):
                    self._report_undelivered(transport)
                    return

    def _send_heartbeat(self, transport: Transport) -> None:
        try:
            payload = transport.post(self._path("heartbeat"), self._sign())
            answer = wire.HeartbeatAnswer.model_validate(payload)
            if answer.stop:
                self.spool.ask_to_stop(answer.reason)
            self._was_taken()
        except Refused as error:
            self.spool.ask_to_stop(f"The portal refuses this run: {error}")
        except Unreachable:
            # The lanes log it; an unreachable portal never stops a program.
            pass

    def _report_undelivered(self, transport: Transport) -> None:
        """Report what is undelivered, for the run's page; repeated while there is something."""
        with self._reporting:
            self._report_if_due(transport)

    def _report_if_due(self, transport: Transport) -> None:
        count, reason = current = self.spool.undelivered()
        reported_at, reported = self._reported
        if current == reported and (not count or time.monotonic() - reported_at < REPORT_SECONDS):
            return
        report = wire.Undelivered(session=self.spool.session.session, count=count, reason=reason)
        try:
            transport.post(self._path("undelivered"), report)
        except Unreachable:
            # It is reported later.
            return
        except Refused:
            # A portal of an earlier version does not know this request.
            pass
        else:
            self.spool.note_reported(bool(count))
            self._was_taken()
        self._reported = time.monotonic(), current

    def _path(self, endpoint: str) -> str:
        return f"/api/v1/runs/{self.spool.session.run}/{endpoint}"

    def _sign(self) -> wire.Heartbeat:
        progress = self.spool.progress()
        return wire.Heartbeat(
            session=self.spool.session.session,
            stage=progress.stage if progress else "",
            progress=progress.fraction if progress else None,
            waiting=len(self.spool.pending()),
        )


@contextmanager
def locked(folder: Path) -> Iterator[bool]:
    """Lock the folder until this process ends, however it ends; yield False if another sender has
    it, or had it and has deleted it."""
    try:
        file = (folder / "lock").open("a")
    except FileNotFoundError:
        yield False
        return
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield (folder / "session.json").exists()


def drain(folder: Path) -> bool:
    """Deliver what is in `folder` until its program ends; return False if another sender has it, or
    had it and is done."""
    with locked(folder) as is_sender:
        if not is_sender:
            return False
        spool = Spool.open(folder)
        Sender(spool).run()
        spool.remove()
    return True


def _say(sentence: str) -> None:
    sys.stderr.write(time.strftime("%H:%M:%S ") + sentence + "\n")
    sys.stderr.flush()


def main() -> None:
    parser = argparse.ArgumentParser(prog="backline.delivery.sender", description=__doc__)
    parser.add_argument("folder", type=Path)
    drain(parser.parse_args().folder)


if __name__ == "__main__":
    main()
