"""`run.log` with media beside numbers: what arrives, and that nothing of it ends a program."""

import numpy as np
import pytest

import backline
from audio_samples.models import Sample
from backline.delivery import sender
from backline.delivery.transport import Transport, Unreachable
from experiments.models import Media, Run
from portal import storage
from tests.backline.script import curves
from tests.backline.test_logging import script

__all__ = ["script"]


@pytest.mark.django_db(transaction=True)
def test_media_arrive_once_beside_the_numbers_of_their_call(
    script: backline.Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    picture = np.zeros((4, 6), np.uint8)
    for step in range(3):
        script.log(
            {
                "loss": 0.5,
                "spec": [backline.Image(picture, "first"), backline.Image(picture + 9)],
                "bad": backline.Image(np.array([[7.5]])),
                "weights": backline.Histogram(np.arange(9.0)),
                "said": backline.Text("**hello**", markdown=True),
                "sounds": backline.Audio(np.zeros((1, 8_000)), 8_000, "a silence"),
                "worse": backline.Audio(np.zeros((1, 8_000))),
            },
            step=step,
        )
    # As after an answer that was lost: the portal has the pack, and it is sent again.
    script.flush()
    script._writer.sender.terminate()
    script._writer.sender.wait()
    post, tries = Transport.post, []

    def lose_the_first(self: Transport, path: str, *args: object, **more: object) -> object:
        answer = post(self, path, *args, **more)  # type: ignore[arg-type]
        if path.endswith("/media") and len(tries) < 1:
            tries.append(path)
            raise Unreachable("The answer was lost.")
        return answer

    monkeypatch.setattr(Transport, "post", lose_the_first)
    monkeypatch.setenv("BACKLINE_DRAIN_SECONDS", "0")
    script.finish()
    assert sender.drain(script._spool.folder)
    run = Run.objects.get()
    assert run.state == Run.State.FINISHED
    assert curves()["loss"] == dict.fromkeys(range(3), 0.5)
    rows = Media.objects.filter(run=run, step=2).values_list("name", "index", "kind", "caption")
    assert list(rows.order_by("name", "index")) == [
        ("said", 0, "text", ""), ("spec", 0, "image", "first"), ("spec", 1, "image", ""),
        ("weights", 0, "histogram", ""),
    ]  # fmt: skip
    assert Media.objects.count() == 12
    first = Media.objects.filter(name="spec", index=0).first()
    assert first is not None
    with storage.open_blob(first.file.sha256) as file:
        assert file.read() == backline.Image(picture).encode().data
    samples = Sample.objects.order_by("step").values_list("name", "step", "prompt")
    assert list(samples) == [("sounds", step, "a silence") for step in range(3)]
    lines = capsys.readouterr().err.splitlines()
    for words in ("bad was not logged (Image). The values of a picture", "'worse' was not logged"):
        assert sum(words in line for line in lines) == 1, (words, lines)


@pytest.mark.django_db(transaction=True)
def test_an_older_portal_is_sent_no_media_and_a_rank_has_names_of_its_own(
    script: backline.Run, capsys: pytest.CaptureFixture[str]
) -> None:
    from backline.ranks import ProcessPlace

    spec = script.spec
    script.spec = spec.model_copy(update={"accepts": ["environment"]})
    script.log({"loss": 1.0, "note": backline.Text("a")})
    script.spec = spec
    script._place = ProcessPlace(rank=2, count=3)
    script.log({"note": backline.Text("b")})
    script.finish()
    assert [row.name for row in Media.objects.all()] == ["rank/2/note"]
    assert "earlier version" in capsys.readouterr().err
