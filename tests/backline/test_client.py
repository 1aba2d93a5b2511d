"""The client against the real server: nothing lost, nothing twice, nothing slowed."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

import backline
from backline import wire
from backline.delivery.spool import Spool
from experiments.deliveries import logs
from experiments.metrics import metrics
from experiments.models import Project, Run, Series
from experiments.runs import runs
from portal import storage, tokens
from portal.models import User
from tests.backline.portal import Door, opened
from tests.patience import LIMIT_SECONDS

pytestmark = pytest.mark.django_db(transaction=True)


class Server:
    url: str


@pytest.fixture
def token(ada: User) -> str:
    return tokens.issue(ada, "script")[1]


@pytest.fixture(autouse=True)
def spools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "spools"
    for name in ("BACKLINE_RUN", "BACKLINE_SESSION", "BACKLINE_TOKEN", "BACKLINE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("BACKLINE_SPOOL", str(root))
    monkeypatch.setenv("BACKLINE_BEAT_SECONDS", "0.2")
    return root


@pytest.fixture
def door(live_server: Server) -> Iterator[Door]:
    with opened(live_server.url) as found:
        yield found


def wait_for(what: Callable[[], bool], seconds: float = LIMIT_SECONDS) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.05)


def senders_gone(root: Path) -> bool:
    return not any(root.glob("*/session.json"))


def begin(project: Project, token: str, url: str, **how: bool) -> backline.Run:
    how = {"capture_console": False, "system_figures": False} | how
    return backline.init(project.slug, "Script", {"lr": 0.1, "seed": 3}, url, token, **how)


def test_a_script_outside_is_a_run(
    live_server: Server, project: Project, token: str, spools: Path
) -> None:
    with begin(project, token, live_server.url) as run:
        for step in range(100):
            run.log({"loss": 1 / (step + 1), "lr": np.float32(0.5)}, step=step)
        run.log({"loss": float("nan")}, step=100)
        run.progress(0.5, stage="half way")
    row = Run.objects.get()
    assert (row.name, row.state, row.origin) == ("Script", Run.State.FINISHED, Run.Origin.CLIENT)
    assert row.config == {"lr": 0.1, "seed": 3}
    assert run.url.endswith(row.get_absolute_url())
    loss = Series.objects.get(run=row, name="loss")
    assert (loss.count, loss.nonfinite, loss.last_step) == (101, 1, 100)
    assert metrics.read(row, "lr").mean.tolist() == [0.5] * 100
    wait_for(lambda: senders_gone(spools))


def test_an_exception_fails_the_run_with_its_words(
    live_server: Server, project: Project, token: str
) -> None:
    with pytest.raises(ZeroDivisionError), begin(project, token, live_server.url):
        _ = 1 / 0
    row = Run.objects.get()
    assert (row.state, row.state_reason) == (
        Run.State.FAILED,
        "ZeroDivisionError: division by zero",
    )


def test_what_cannot_be_logged_warns_and_does_not_raise(
    live_server: Server, project: Project, token: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with begin(project, token, live_server.url) as run:
        run.log({"loss": 1.0, "text": "no"}, step=1)  # type: ignore[dict-item]
        run.log({"x" * 300: 1.0}, step=1)
        run.log({"loss": 2.0}, step=2**70)
        run.log({}, step=3)
    said = capsys.readouterr().err
    assert "text is not a number" in said
    assert "cannot be the name of a metric" in said
    assert Series.objects.get(name="loss").count == 2


def test_logging_costs_a_few_calls_and_no_network(project: Project, token: str, door: Door) -> None:
    run = begin(project, token, door.url)
    door.broken = True
    calls = 0

    def count(_frame: object, event: str, _of: object) -> None:
        nonlocal calls
        calls += event in {"call", "c_call"}

    # Of this thread alone: what the others send, they send.
    sys.setprofile(count)
    for step in range(20_000):
        run.log({"loss": 0.5, "lr": 0.1}, step=step)
    sys.setprofile(None)
    assert calls / 20_000 < 20
    door.broken = False
    run.finish()
    assert Series.objects.get(name="loss").count == 20_000


def test_a_portal_that_is_broken_or_loses_answers_loses_nothing(
    project: Project, token: str, door: Door
) -> None:
    run = begin(project, token, door.url)
    for step in range(300):
        door.broken = 50 <= step < 200
        if step == 230:
            door.swallow = 2
        run.log({"loss": float(step)}, step=step)
        if step % 20 == 0:
            run.flush()
            time.sleep(0.1)
    run.finish()
    row = Run.objects.get()
    assert metrics.read(row, "loss").mean.tolist() == [float(step) for step in range(300)]
    assert Series.objects.get(run=row).count == 300
    taken = [seen for seen in door.seen if "/batches?" in seen and seen.endswith(" 200")]
    numbers = [int(seen.partition("number=")[2].split()[0]) for seen in taken]
    assert len(numbers) > 10
    assert numbers == sorted(numbers)


PROGRAM = """
import os, sys, time
import backline
run = backline.init(project="first-light", url=sys.argv[1], token=sys.argv[2])
print("héllo", flush=True)
mark = os.open(sys.argv[3], os.O_WRONLY | os.O_CREAT)
step = 0
while True:
    run.log({"loss": float(step)}, step=step)
    os.pwrite(mark, f"{step:9d} {time.time():.6f}".encode(), 0)
    step += 1
    time.sleep(0.002)
"""


def test_a_killed_program_loses_at_most_the_last_second(
    project: Project, token: str, door: Door, tmp_path: Path, spools: Path
) -> None:
    mark = tmp_path / "mark"
    program = subprocess.Popen([sys.executable, "-c", PROGRAM, door.url, token, str(mark)])
    wait_for(lambda: Series.objects.filter(name="loss", count__gt=50).exists())
    # The portal is away when the program dies: what it left is delivered afterwards.
    door.broken = True
    time.sleep(8)
    os.kill(program.pid, signal.SIGKILL)
    program.wait()
    last, at = mark.read_text().split()
    door.broken = False
    wait_for(lambda: senders_gone(spools))
    row = Run.objects.get()
    steps, times, _ = metrics.points(row, "loss")
    assert steps.tolist() == list(range(len(steps)))
    # Laid down twice a second; a busy machine may be seconds behind, and not eight.
    assert float(at) - times[-1] < 4.0
    assert len(steps) > int(last) - 2_000
    assert (row.state, row.state_reason) == (
        Run.State.FAILED,
        "The program ended without a word.",
    )
    assert logs.text(row, "stdout", row.logs.get().session) == "héllo\n"
    assert Series.objects.get(run=row, name="system/memory_bytes").count >= 1


def test_a_sender_that_was_killed_too_is_replaced_by_the_next_run(
    project: Project, token: str, door: Door, spools: Path
) -> None:
    run = begin(project, token, door.url)
    os.kill(run._writer.sender.pid, signal.SIGKILL)
    run._writer.sender.wait()
    run.log({"loss": 1.0}, step=1)
    run.flush()
    assert not Series.objects.exists()
    with begin(project, token, door.url):
        wait_for(lambda: Series.objects.filter(count=1).exists())
    run.finish()
    wait_for(lambda: senders_gone(spools))


def test_what_a_program_computes_in_reaches_its_row(
    live_server: Server, project: Project, token: str
) -> None:
    chosen = wire.Arithmetic(precision="fp32", threads=2, reason="No bf16 here.")
    with begin(project, token, live_server.url) as run:
        run.log_arithmetic(chosen)
    assert Run.objects.get().arithmetic == chosen.model_dump()


def test_a_refusal_is_final_and_said(
    live_server: Server,
    project: Project,
    token: str,
    spools: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = begin(project, token, live_server.url)
    run.log_usage(step=1, usage={12345: (1, 2.0)})
    run.log({"loss": 1.0}, step=1)
    run.finish()
    folder = next(spools.glob("*/session.json")).parent
    spool = Spool.open(folder)
    sentence = f"Recording 12345 is not in the dataset of run {Run.objects.get().number}."
    assert spool.refusals() == {"000000000001.usage": sentence}
    assert sentence in capsys.readouterr().err
    wait_for(lambda: Spool.open(folder).session.token == "")
    assert Series.objects.get().count == 1


def test_a_stop_request_reaches_the_program(
    live_server: Server, project: Project, token: str, ada: User
) -> None:
    run = begin(project, token, live_server.url)
    assert run.stop_requested is None
    runs.cancel(run=Run.objects.get(), by=ada)
    wait_for(lambda: run.stop_requested is not None)
    assert run.stop_requested is not None
    assert run.stop_requested.reason == "Cancelled by Ada Okafor."
    run.finish()
    assert Run.objects.get().state == Run.State.CANCELLED


def test_checkpoints_and_audio_arrive_as_they_were(
    live_server: Server, project: Project, token: str, tmp_path: Path
) -> None:
    weights = tmp_path / "weights.pt"
    weights.write_bytes(os.urandom(300_000))
    wave = 0.25 * np.sin(np.arange(44_100) / 20).astype(np.float32)
    with begin(project, token, live_server.url) as run:
        run.save_checkpoint(weights, step=10, meta={"loss": 0.5})
        kept = weights.read_bytes()
        weights.write_bytes(b"overwritten at once")
        run.log_audio("final/a", np.stack([wave, -wave]), sample_rate=44_100, step=10, prompt="a")
    row = Run.objects.get()
    checkpoint = row.checkpoints.get()
    assert (checkpoint.step, checkpoint.meta) == (10, {"loss": 0.5})
    with storage.open_blob(checkpoint.blob_id) as file:
        assert file.read() == kept
    sample = row.samples.get()
    assert (sample.name, sample.step, sample.prompt) == ("final/a", 10, "a")
    with storage.open_blob(sample.audio_id) as file:
        audio, rate = soundfile.read(file, dtype="float32")
    assert rate == 44_100
    assert np.array_equal(audio.T, np.stack([wave, -wave]))


def test_the_console_is_kept_with_offsets(
    live_server: Server, project: Project, token: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with begin(project, token, live_server.url, capture_console=True) as run:
        print("epoch 1 ✓")
        run.flush()
        print("epoch 2")
        sys.stderr.write("a warning\n")
    row = Run.objects.get()
    session = row.logs.first().session
    assert logs.text(row, "stdout", session) == "epoch 1 ✓\nepoch 2\n"
    assert logs.text(row, "stderr", session) == "a warning\n"
    assert capsys.readouterr().out == "epoch 1 ✓\nepoch 2\n"
    assert not isinstance(sys.stdout, type(run._console))


def test_a_wrong_token_is_a_sentence(live_server: Server, project: Project) -> None:
    with pytest.raises(backline.Refused) as refused:
        begin(project, "bl_wrong", live_server.url)
    assert refused.value.status == 401


def test_somebody_elses_project_is_not_there(
    live_server: Server, project: Project, ben: User
) -> None:
    with pytest.raises(backline.Refused, match="no project first-light"):
        begin(project, tokens.issue(ben, "script")[1], live_server.url)


def test_a_portal_that_is_away_is_said_in_time(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BACKLINE_START_SECONDS", "0.5")
    with pytest.raises(backline.Unreachable, match="does not answer"):
        begin(project, "bl_x", "http://127.0.0.1:9")
