"""What a run's page hears while the run goes, by events and by asking."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any, cast

import pytest
from asgiref.sync import sync_to_async
from django.http import StreamingHttpResponse
from django.test import AsyncClient, Client
from django.urls import reverse
from django.utils import timezone

from backline import wire
from experiments.deliveries import logs
from experiments.models import LogChunk, Project, Run
from experiments.run_page import live
from experiments.runs import runs
from portal.models import User
from tests.experiments.metrics.measured import log_loss


@pytest.fixture
def going(ada: User, project: Project) -> Run:
    run = runs.submit(by=ada, project=project, recipe="tone_check", config={})
    started = timezone.now() - timedelta(seconds=60)
    Run.objects.filter(pk=run.pk).update(
        state=Run.State.RUNNING, started_at=started, progress=0.5,
        progress_at=timezone.now(), heartbeat_at=timezone.now(), stage="step 30 of 60",
    )  # fmt: skip
    run.refresh_from_db()
    return run


def write(run: Run, text: str, offset: int = 0) -> None:
    LogChunk.objects.create(run=run, session="attempt-1", stream="stdout", offset=offset, text=text)


def events(raw: bytes) -> list[tuple[str, dict[str, Any]]]:
    found = []
    for block in raw.decode().split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.splitlines() if ": " in line)
        if "event" in lines:
            found.append((lines["event"], json.loads(lines["data"])))
    return found


def test_a_waiting_run_says_its_place_and_how_long(ada: User, project: Project) -> None:
    first, second = (
        runs.submit(by=ada, project=project, recipe="tone_check", config={}) for _ in range(2)
    )
    assert live.read_moment(first).detail == "Next to start."
    assert live.read_moment(second).detail.startswith("1 run before it, about ")


def test_a_going_run_says_how_far_and_how_much_longer(going: Run) -> None:
    now = live.read_moment(going)
    assert now.detail == "step 30 of 60"
    assert now.progress_words.startswith("50 %, about ")
    assert live.time_left(going, going.progress_at) == pytest.approx(60, abs=2)
    going.progress = 0
    assert live.time_left(going, timezone.now()) is None


def test_a_run_that_is_stopping_has_no_time_left_to_tell(ada: User, going: Run) -> None:
    Run.objects.filter(pk=going.pk).update(
        progress=0.5, progress_at=timezone.now(), started_at=timezone.now() - timedelta(minutes=1)
    )
    runs.cancel(run=going, by=ada)
    going.refresh_from_db()
    assert live.read_moment(going).progress_words == "50 %"


def test_a_program_that_is_not_heard_any_more_is_said_to_be_silent(going: Run) -> None:
    heard = timezone.now() - timedelta(seconds=16)
    Run.objects.filter(pk=going.pk).update(heartbeat_at=heard)
    going.refresh_from_db()
    words = live.read_moment(going).detail
    assert words.startswith(f"Nothing was heard of its program since {heard:%H:%M:%S} UTC.")
    assert "the next attempt goes on from the last checkpoint" in words
    going.heartbeat_at = timezone.now()
    assert live.read_moment(going).detail == "step 30 of 60"


def test_a_failed_run_says_why(going: Run) -> None:
    Run.objects.filter(pk=going.pk).update(state=Run.State.FAILED, state_reason="Out of memory.")
    going.refresh_from_db()
    assert live.read_moment(going).detail == "Out of memory."


@pytest.mark.django_db(transaction=True)
@pytest.mark.asyncio
async def test_events_tell_what_changed_and_end_with_the_run(going: Run) -> None:
    raw = b""
    step = 0
    async for piece in live.stream(going.pk, tick=0.01):
        raw += piece
        if b"event: change" not in piece:
            continue
        step += 1
        if step == 1:
            await sync_to_async(write)(going, "hello\n")
        elif step == 2:
            await Run.objects.filter(pk=going.pk).aupdate(
                state=Run.State.FINISHED, ended_at=timezone.now()
            )
    told = events(raw)
    assert [name for name, _ in told] == ["change", "change", "change", "end"]
    assert told[0][1]["state"] == "running"
    assert set(told[1][1]) == {"log", "log_html"}
    assert told[1][1]["log_html"] == "hello"
    assert told[2][1]["state"] == "finished"
    assert "log_html" not in told[2][1]


@pytest.mark.django_db(transaction=True)
@pytest.mark.asyncio
async def test_a_long_connection_ends_so_that_rights_are_checked_anew(going: Run) -> None:
    pieces = [piece async for piece in live.stream(going.pk, tick=0.01, longest=0.03)]
    assert pieces[0].startswith(b"retry:")
    assert b"event: end" not in b"".join(pieces)


@pytest.mark.django_db(transaction=True)
@pytest.mark.asyncio
async def test_events_are_only_for_those_who_may_see_the_run(
    going: Run, ada: User, ben: User
) -> None:
    address = reverse("experiments:run_live", args=["first-light", going.number])
    client = AsyncClient()
    await client.aforce_login(ben)
    assert (await client.get(address)).status_code == 404
    await client.aforce_login(ada)
    answer = cast("StreamingHttpResponse", await client.get(address))
    assert answer.status_code == 200
    assert answer["Content-Type"] == "text/event-stream"
    stream = cast("AsyncIterator[bytes]", answer.__aiter__())
    assert (await anext(stream)).startswith(b"retry:")
    assert b'"state": "running"' in await asyncio.wait_for(anext(stream), 60)
    await stream.aclose()  # type: ignore[attr-defined]


def test_asking_tells_the_same_and_the_log_only_when_it_grew(
    client: Client, ada: User, going: Run
) -> None:
    client.force_login(ada)
    write(going, "one\ntwo\n")
    address = reverse("experiments:run_state", args=[going.project.slug, going.number])
    first = client.get(address).json()
    assert first["log_html"] == "one\ntwo"
    again = client.get(address, {"log": first["log"]}).json()
    assert "log_html" not in again
    assert again["state"] == "running"


def test_curves_come_as_json(client: Client, ada: User, going: Run) -> None:
    log_loss(going, [0.5, float("nan"), 0.25])
    client.force_login(ada)
    address = reverse("experiments:run_curve", args=[going.project.slug, going.number])
    body = client.get(address, {"name": ["loss", "nothing"]}).json()
    loss, nothing = body["curves"]
    assert loss["steps"] == [0, 1, 2]
    assert loss["mean"] == [0.5, None, 0.25]
    assert nothing["steps"] == []
    assert client.get(address, {"name": "loss", "points": "no"}).status_code == 400
    page = client.get(going.get_absolute_url()).content.decode()
    assert "data-chart" in page
    assert "vendor/plotly.min.js" in page


def test_the_console_is_text_and_no_markup(client: Client, ada: User, going: Run) -> None:
    logs.append(going, wire.LogPiece(session="s", stream="stdout", offset=0, text="<b>hi</b>\n"))
    client.force_login(ada)
    for name in ("run", "run_log"):
        address = reverse(f"experiments:{name}", args=[going.project.slug, going.number])
        page = client.get(address).content.decode()
        assert "<b>hi</b>" not in page
        assert "&lt;b&gt;hi&lt;/b&gt;" in page
