"""The samples of runs: their credits, checks, flags, downloads and releases."""

from audio_samples.models.copy_check import DatasetIndex, Screening
from audio_samples.models.samples import (
    ClipRelease,
    Credential,
    CreditStatement,
    NamedArtist,
    Sample,
    SampleFlag,
    SampleQuerySet,
    same_sound,
    silent_twins,
)

__all__ = [
    "ClipRelease",
    "Credential",
    "CreditStatement",
    "DatasetIndex",
    "NamedArtist",
    "Sample",
    "SampleFlag",
    "SampleQuerySet",
    "Screening",
    "same_sound",
    "silent_twins",
]
