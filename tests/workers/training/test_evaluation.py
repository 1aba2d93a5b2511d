"""The road from sound to mel and back, and the classifier that names genres."""

from pathlib import Path

import pytest
import torch

from tests.workers.training.recorder import GENRES, record, recorder
from workers.data import mel, recordings
from workers.evaluation import control


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> list[recordings.Recording]:
    run = recorder(record(tmp_path_factory.mktemp("music"), each=4, seconds=5.0))
    return [recordings.load(item, fetch=run.fetch) for item in run.spec.items]


def clips(data: list[recordings.Recording]) -> torch.Tensor:
    return torch.stack([recordings.crop(r, frames=96, place=0.5) for r in data])


def test_shapes_and_lengths(data: list[recordings.Recording]) -> None:
    assert {r.genre for r in data} == set(GENRES)
    for recording in data:
        assert recording.mel.shape == (5 * 16_000 // 512 + 1, 64)
        assert recording.seconds == pytest.approx(5.0)
    scale = mel.Scale.of([r.mel for r in data])
    assert torch.allclose(scale.undo(scale.apply(data[0].mel)), data[0].mel, atol=1e-5)
    every = torch.cat([scale.apply(r.mel).reshape(-1) for r in data])
    assert abs(float(every.mean())) < 1e-4
    assert float(every.std()) == pytest.approx(1.0, abs=1e-4)


def test_what_comes_back_from_a_mel_has_the_same_mel(data: list[recordings.Recording]) -> None:
    before = clips(data)
    audio = mel.resound(before, rounds=16, seed=1)
    assert audio.shape == (len(data), 95 * 512)
    assert float(audio.abs().max()) <= 0.951
    after = mel.analyse(audio)
    both = torch.stack([before.reshape(-1), after.reshape(-1)])
    assert float(torch.corrcoef(both)[0, 1]) > 0.9
    again = mel.resound(before, rounds=16, seed=1)
    assert torch.equal(audio, again)


def test_genres_are_told_apart_in_unheard_recordings(data: list[recordings.Recording]) -> None:
    assert control.trust(data, frames=96) == 1.0


def test_genres_survive_the_road_through_mel_and_back(data: list[recordings.Recording]) -> None:
    classifier = control.fit(data, frames=96)
    audio = mel.resound(clips(data), rounds=16, seed=1)
    asked = [r.genre for r in data]
    assert control.accuracy(classifier, audio=audio, asked=asked) >= 14 / 16
    wrong = asked[1:] + asked[:1]
    assert control.accuracy(classifier, audio=audio, asked=wrong) <= 2 / 16


def test_trust_is_unknown_with_one_recording_of_a_genre(data: list[recordings.Recording]) -> None:
    assert control.trust(data[:4], frames=96) != control.trust(data[:4], frames=96)


def test_a_short_recording_is_repeated_and_counted_once(tmp_path: Path) -> None:
    short = recordings.Recording(1, "waltz", torch.arange(10.0)[:, None].repeat(1, 64), 0.3)
    made = recordings.crop(short, frames=25, place=0.9)
    assert made.shape == (25, 64)
    assert made[:, 0].tolist() == [float(n % 10) for n in range(25)]
    assert recordings.used_seconds(short, frames=25) == 0.3


def test_the_datas_digest_ignores_order_and_sees_content(tmp_path: Path) -> None:
    items = recorder(record(tmp_path, each=1, seconds=1.0)).spec.items
    digest = recordings.digest(items)
    assert digest == recordings.digest(items[::-1])
    changed = [*items[:-1], items[-1].model_copy(update={"sha256": "f" * 64})]
    assert digest != recordings.digest(changed)
