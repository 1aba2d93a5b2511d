"""From words to genres, and from noise to music."""

import pytest
import torch

from workers.data import prompts
from workers.models import euler, path
from workers.models.dit import DiT
from workers.training import draws

GENRES = ["ambient", "chip", "techno", "waltz"]


@pytest.mark.parametrize(
    ("text", "genre"),
    [
        ("techno", "techno"),
        ("A slow WALTZ in the rain", "waltz"),
        ("techno, then a waltz", "techno"),
        ("chips and technology", None),
        ("<b>ambient</b>", "ambient"),
        ("ein stilles Lied", None),
    ],
)
def test_the_first_named_genre_steers(text: str, genre: str | None) -> None:
    assert prompts.understand([text], genres=GENRES)[0].genre == genre


def test_names_of_samples_are_plain_and_apart() -> None:
    made = prompts.understand(["techno", "techno", "<b>Ünï</b> / ..", "?!"], genres=GENRES)
    assert [prompt.slug for prompt in made] == ["1-techno", "2-techno", "3-b-n-b", "4"]


class Constant(DiT):
    """A velocity of 1 with a label and of 3 without."""

    def forward(self, x: torch.Tensor, _t: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        velocity = torch.where(label == self.nothing, 3.0, 1.0)
        return velocity[:, None, None].expand_as(x)


@pytest.mark.parametrize(("guidance", "end"), [(0.0, -3.0), (1.0, -1.0), (2.0, 1.0)])
def test_euler_follows_the_guided_velocity_from_noise_to_music(guidance: float, end: float) -> None:
    model = Constant(bands=2, frames=3, classes=4, width=8, heads=1, blocks=1, kernel=3)
    made = euler.sample(
        model,
        noise=torch.zeros(2, 3, 2),
        labels=torch.tensor([0, 1]),
        steps=7,
        shift=3.0,
        guidance=guidance,
        dtype=torch.float32,
    )
    assert torch.allclose(made, torch.full_like(made, end), atol=1e-5)


def test_sampling_noise_is_the_same_for_a_seed() -> None:
    assert torch.equal(draws.noise(seed=3, shape=(4, 5)), draws.noise(seed=3, shape=(4, 5)))
    assert not torch.equal(draws.noise(seed=3, shape=(4, 5)), draws.noise(seed=4, shape=(4, 5)))


def test_a_shift_moves_times_towards_the_noise_and_leaves_the_ends() -> None:
    times = torch.linspace(0, 1, 5)
    assert torch.equal(path.shifted(times, by=1.0), times)
    moved = path.shifted(times, by=3.0)
    assert moved.tolist() == pytest.approx([0.0, 0.5, 0.75, 0.9, 1.0])
