"""`run.log_audio`: each call is a clip, a delivery that is repeated counts once, and whatever the
portal refuses for good is counted on the run's page."""

import numpy as np
import pytest
from django.test import Client
from django.urls import reverse

import backline
from audio_samples.models import Sample
from backline.delivery import sender
from backline.delivery.transport import Transport, Unreachable
from experiments.models import Run
from portal.models import User
from tests.backline.test_logging import script

__all__ = ["script"]

RATE = 8_000


def sound(frequency: float) -> np.ndarray:
    return 0.5 * np.sin(2 * np.pi * frequency * np.arange(RATE // 2) / RATE)[None]


@pytest.mark.django_db(transaction=True)
def test_clips_under_one_name_are_all_kept(script: backline.Run) -> None:
    for prompt in "AB":
        script.log_audio("final", sound(300), sample_rate=RATE, prompt=prompt, step=1)
    # A model that has collapsed: the same sound each time.
    for _ in range(3):
        script.log_audio("silence", np.zeros((1, RATE)), sample_rate=RATE)
    script.log_audio("final", sound(400), sample_rate=RATE, prompt="A", step=1)
    script.finish()
    rows = Sample.objects.order_by("pk").values_list("name", "prompt", "take")
    assert sorted(rows) == [
        ("final", "A", 0), ("final", "A", 1), ("final", "B", 0),
        ("silence", "", 0), ("silence", "", 1), ("silence", "", 2),
    ]  # fmt: skip


@pytest.mark.django_db(transaction=True)
def test_a_clip_whose_answer_was_lost_counts_once(
    script: backline.Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the sender does it: the portal has it, the answer does not come, it is sent again."""
    script._writer.sender.terminate()
    script._writer.sender.wait()
    script.log_audio("a", sound(300), sample_rate=RATE)
    upload = Transport.upload
    tries = []

    def lose_the_first(self: Transport, path: str, *args: object, **more: object) -> object:
        answer = upload(self, path, *args, **more)  # type: ignore[arg-type]
        tries.append(path)
        if len(tries) == 1:
            raise Unreachable("The answer was lost.")
        return answer

    monkeypatch.setattr(Transport, "upload", lose_the_first)
    monkeypatch.setenv("BACKLINE_DRAIN_SECONDS", "0")
    script.finish()
    assert sender.drain(script._spool.folder)
    assert len(tries) == 2
    assert Sample.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_what_is_refused_for_good_is_counted_on_the_runs_page(
    script: backline.Run, ada: User, client: Client, tmp_path: object
) -> None:
    for number in range(2):
        broken = script._spool.folder / f"noise-{number}.wav"
        broken.write_bytes(b"not a sound")
        script.log_audio(f"broken {number}", broken)
    script.finish()
    run = Run.objects.get()
    assert run.state == Run.State.FINISHED
    client.force_login(ada)
    page = client.get(run.get_absolute_url()).content.decode()
    assert "2 deliveries of its program could not be taken" in page
    assert "sample:" in page
    assert reverse("audio_samples:sample", args=[1]) not in page
