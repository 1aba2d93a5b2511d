"""The sender: `python -m backline.sender <spool folder>`, one process per session.

It delivers what the program lays into the spool, keeps the portal told that the program lives,
and brings back requests to stop. It outlives the program: what a killed one left is delivered.
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
from backline.counting import Counting
from backline.spool import FILE_KINDS, Delivery, Spool
from backline.transport import LONGEST_PAUSE, Refused, Transport, Unreachable

POLL_SECONDS = 0.1
BEAT_SECONDS = 3.0
# How long a program's end is outlived while the portal stays away; `backline sync` goes on.
GIVE_UP_SECONDS = 24 * 3600.0


class Sender:
    """Two lanes, so that curves do not wait for weights; each keeps its order."""

    def __init__(self, spool: Spool) -> None:
        self.spool = spool
        self.over = threading.Event()
        self.gone_since: float | None = None

    def run(self) -> None:
        lanes = [
            threading.Thread(target=self._lane, args=(False,), name="stream"),
            threading.Thread(target=self._lane, args=(True,), name="files"),
            threading.Thread(target=self._beat, name="heartbeat"),
        ]
        for lane in lanes:
            lane.start()
        try:
            while not self._is_done():
                time.sleep(2 * POLL_SECONDS)
        finally:
            # Also when the folder was taken away under it: no lane may go on by itself.
            self.over.set()
            for lane in lanes:
                lane.join()

    def _transport(self, timeout: float = 20.0) -> Transport:
        return Transport(self.spool.session.url, self.spool.session.token, timeout=timeout)

    def _is_done(self) -> bool:
        """Nothing lies here and nothing more will come; or nobody has answered for a day."""
        if not self.spool.is_finished():
            if self.spool.program_lives():
                return False
            self.spool.clear_lent()
            if report := Counting(self.spool.folder).whole():
                # `backline exec` was killed before it could count what its program had fetched.
                Spool.open(self.spool.folder).put("usage", report.model_dump_json().encode())
            # It was killed: nobody else will tell the portal.
            ending = wire.Ending(outcome="failed", reason="The program ended without a word.")
            # Opened anew, so that it gets a number behind everything the program laid down.
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
                for delivery in self._ready(files):
                    try:
                        self._deliver(transport, delivery)
                        pause = 0.0
                    except Unreachable as error:
                        pause = min(max(pause * 2, 0.2), LONGEST_PAUSE)
                        _say(f"{error} Next try in {pause:.1f} s.")
                        break
                    if self.over.is_set():
                        return

    def _ready(self, files: bool) -> list[Delivery]:
        """What this lane may send now. A file waits for what the stream had before it."""
        pending = self.spool.pending()
        stream = [item for item in pending if item.kind not in FILE_KINDS]
        if not files:
            return stream
        first = stream[0].number if stream else sys.maxsize
        return [item for item in pending if item.kind in FILE_KINDS and item.number < first][:1]

    def _deliver(self, transport: Transport, delivery: Delivery) -> None:
        try:
            self._send(transport, delivery)
        except Refused as error:
            _say(f"{delivery.path.name} was refused ({error.status}): {error}")
            self.spool.refuse(delivery, str(error))
        except ValueError as error:
            # Only a damaged disk or a stranger's hand makes a delivery that cannot be read.
            self.spool.refuse(delivery, f"The delivery cannot be read: {error}")
        else:
            self.spool.accepted(delivery)

    def _send(self, transport: Transport, delivery: Delivery) -> None:
        session = self.spool.session
        base = f"/api/v1/runs/{session.run}"
        match delivery.kind:
            case "batch":
                transport.post(
                    f"{base}/batches",
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
            case "ending":
                ending = wire.Ending.model_validate_json(delivery.path.read_bytes())
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
        """Tell the portal that the program lives, at least every five seconds while it does."""
        seconds = float(os.environ.get("BACKLINE_BEAT_SECONDS", BEAT_SECONDS))
        path = f"/api/v1/runs/{self.spool.session.run}/heartbeat"
        with self._transport(timeout=4.0) as transport:
            while True:
                if not self.spool.is_finished() and self.spool.program_lives():
                    try:
                        said = transport.post(path, self._sign())
                        answer = wire.HeartbeatAnswer.model_validate(said)
                        if answer.stop:
                            self.spool.ask_to_stop(answer.reason)
                    except Refused as error:
                        self.spool.ask_to_stop(f"The portal refuses this run: {error}")
                    except Unreachable:
                        # The lanes say it; a portal that is away never stops a program.
                        pass
                if self.over.wait(seconds):
                    return

    def _sign(self) -> wire.Heartbeat:
        said = self.spool.progress()
        return wire.Heartbeat(
            session=self.spool.session.session,
            stage=said.stage if said else "",
            progress=said.fraction if said else None,
            waiting=len(self.spool.pending()),
        )


@contextmanager
def locked(folder: Path) -> Iterator[bool]:
    """Whether this process is the folder's one sender; held until it ends, however it ends."""
    with (folder / "lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


def drain(folder: Path) -> bool:
    """Deliver what lies in `folder` until its program has ended; True if this was its sender."""
    with locked(folder) as mine:
        if not mine:
            return False
        spool = Spool.open(folder)
        Sender(spool).run()
        spool.remove()
    return True


def _say(sentence: str) -> None:
    sys.stderr.write(time.strftime("%H:%M:%S ") + sentence + "\n")
    sys.stderr.flush()


def main() -> None:
    parser = argparse.ArgumentParser(prog="backline.sender", description=__doc__)
    parser.add_argument("folder", type=Path)
    drain(parser.parse_args().folder)


if __name__ == "__main__":
    main()
