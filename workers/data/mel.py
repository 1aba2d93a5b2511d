"""Sound to log-mel and back: 16 kHz mono, 64 bands, a frame every 32 ms."""

from dataclasses import dataclass

import torch
from torch import Tensor

from workers.models.torchaudio_door import transforms

RATE = 16_000
WINDOW = 1_024
HOP = 512
BANDS = 64
# Under this magnitude a band counts as silent; music at -20 dBFS has bands around 1 to 30.
FLOOR = 0.2


@dataclass(frozen=True)
class Scale:
    """One mean and one deviation for all bands: a scale per band would hide their balance,
    and models trained on that did not learn to follow their condition."""

    mean: float
    deviation: float

    @classmethod
    def of(cls, mels: list[Tensor]) -> "Scale":
        values = torch.cat([mel.reshape(-1) for mel in mels]).double()
        return cls(mean=float(values.mean()), deviation=max(float(values.std()), 1e-6))

    def apply(self, mel: Tensor) -> Tensor:
        return (mel - self.mean) / self.deviation

    def undo(self, mel: Tensor) -> Tensor:
        return mel * self.deviation + self.mean


def analyse(audio: Tensor) -> Tensor:
    """Mono sound at 16 kHz, (..., samples), to natural log-mel magnitudes, (..., frames, bands)."""
    spectrogram = transforms.MelSpectrogram(
        sample_rate=RATE, n_fft=WINDOW, hop_length=HOP, n_mels=BANDS, power=1.0
    )
    mel: Tensor = spectrogram(audio)
    return torch.log(mel.clamp_min(FLOOR)).transpose(-1, -2)


def resound(mel: Tensor, *, rounds: int, seed: int) -> Tensor:
    """Log-mel (batch, frames, bands) to sound (batch, samples) at 16 kHz, peaks at most 0.95.

    Bands become bins by the filter bank's pseudo-inverse, phases come from fast Griffin-Lim
    (Perraudin et al. 2013), started from phases drawn from `seed`.
    """
    inverse = transforms.InverseMelScale(n_stft=WINDOW // 2 + 1, n_mels=BANDS, sample_rate=RATE)
    magnitude = inverse(torch.exp(mel.float()).transpose(-1, -2)).clamp_min(0.0)
    phases = transforms.GriffinLim(
        n_fft=WINDOW, hop_length=HOP, power=1.0, n_iter=rounds, momentum=0.99
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        audio: Tensor = phases(magnitude)
    peaks = audio.abs().amax(dim=-1, keepdim=True).clamp_min(0.95)
    return audio * (0.95 / peaks)
