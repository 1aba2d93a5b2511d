"""A small diffusion transformer over the frames of a spectrogram (Peebles and Xie, 2212.09748)."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional


def timestep_features(t: Tensor, *, size: int = 128) -> Tensor:
    """Sines and cosines of a time in [0, 1]: (batch,) -> (batch, size)."""
    rates = torch.exp(-math.log(10_000.0) * torch.arange(size // 2, device=t.device) / (size // 2))
    angles = 1_000.0 * t[:, None] * rates
    return torch.cat([angles.cos(), angles.sin()], dim=1)


def rotation(*, frames: int, size: int) -> tuple[Tensor, Tensor]:
    """Cosines and sines (frames, size / 2) that rotate queries and keys by their place in time, so
    that attention sees how far apart two frames are (RoFormer, 2104.09864)."""
    rates = 1_000.0 ** -(torch.arange(size // 2) / max(1, size // 2))
    angles = torch.arange(frames)[:, None] * rates
    return angles.cos(), angles.sin()


def turn(x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    """Rotate each pair of features, one from either half: (..., frames, size)."""
    half = cosine.shape[1]
    first, second, unpaired = x[..., :half], x[..., half : 2 * half], x[..., 2 * half :]
    return torch.cat(
        [first * cosine - second * sine, first * sine + second * cosine, unpaired], dim=-1
    ).to(x.dtype)


class Block(nn.Module):
    """Attention and a feed-forward part, both scaled, shifted and gated by the condition.

    A depthwise convolution over time on the attention's input gives it the near past and future
    as features; without it rhythm is not learned in so few steps.
    """

    def __init__(self, *, width: int, heads: int, kernel: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(width, elementwise_affine=False, eps=1e-6)
        self.near = nn.Conv1d(width, width, kernel, padding=kernel // 2, groups=width)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.up = nn.Linear(width, 4 * width)
        self.down = nn.Linear(4 * width, width)
        self.modulation = nn.Linear(width, 6 * width)
        # AdaLN-zero: every block starts as the identity.
        nn.init.zeros_(self.modulation.weight)
        nn.init.zeros_(self.modulation.bias)

    def forward(self, x: Tensor, condition: Tensor, places: tuple[Tensor, Tensor]) -> Tensor:
        shift1, scale1, gate1, shift2, scale2, gate2 = self.modulation(condition)[:, None].chunk(
            6, dim=-1
        )
        h = self.norm(x) * (1 + scale1) + shift1
        h = h + self.near(h.transpose(1, 2)).transpose(1, 2)
        batch, frames, width = h.shape
        q, k, v = self.qkv(h).view(batch, frames, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        h = functional.scaled_dot_product_attention(turn(q, *places), turn(k, *places), v)
        x = x + gate1 * self.out(h.transpose(1, 2).reshape(batch, frames, width))
        h = self.norm(x) * (1 + scale2) + shift2
        result: Tensor = x + gate2 * self.down(functional.gelu(self.up(h), approximate="tanh"))
        return result


class DiT(nn.Module):
    """Velocity of a noisy log-mel, given a time and a class. Class `classes` means "no class"."""

    def __init__(
        self,
        *,
        bands: int,
        frames: int,
        classes: int,
        width: int,
        heads: int,
        blocks: int,
        kernel: int,
        patch: int = 1,
    ) -> None:
        super().__init__()
        self.nothing = classes
        self.patch = patch
        self.enter = nn.Linear(bands * patch, width)
        self.position = nn.Parameter(0.02 * torch.randn(1, frames // patch, width))
        cosine, sine = rotation(frames=frames // patch, size=width // heads)
        self.register_buffer("cosine", cosine, persistent=False)
        self.register_buffer("sine", sine, persistent=False)
        self.time = nn.Sequential(nn.Linear(128, width), nn.SiLU(), nn.Linear(width, width))
        self.label = nn.Embedding(classes + 1, width)
        self.blocks = nn.ModuleList(
            Block(width=width, heads=heads, kernel=kernel) for _ in range(blocks)
        )
        self.norm = nn.LayerNorm(width, elementwise_affine=False, eps=1e-6)
        self.modulation = nn.Linear(width, 2 * width)
        self.leave = nn.Linear(width, bands * patch)
        nn.init.normal_(self.label.weight, std=0.02)
        for layer in (self.modulation, self.leave):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor, t: Tensor, label: Tensor) -> Tensor:
        """(batch, frames, bands), (batch,), (batch,) of classes -> (batch, frames, bands)."""
        condition = functional.silu(self.time(timestep_features(t)) + self.label(label))
        shape = x.shape
        x = self.enter(x.reshape(shape[0], -1, shape[2] * self.patch)) + self.position
        places = (self.cosine, self.sine)
        for block in self.blocks:
            x = block(x, condition, places)
        shift, scale = self.modulation(condition)[:, None].chunk(2, dim=-1)
        result: Tensor = self.leave(self.norm(x) * (1 + scale) + shift)
        return result.reshape(shape)
