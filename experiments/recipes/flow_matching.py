"""The config of the flow-matching recipe. Every field has a description and bounds."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, ConfigDict, Field, ValidationInfo, field_validator

from backline import uses
from backline.no_truth import NoTruthAsNumber

MAX_PROMPT = 500
# The settings that determine the network's shape: weights fit where these are the same.
SHAPE = ("clip_frames", "patch", "blocks", "width", "heads", "kernel")


def lines(value: object) -> object:
    """Split a form's text area, one prompt per line; a list stays as it is."""
    if isinstance(value, str):
        return [line.strip() for line in value.splitlines() if line.strip()]
    return value


def check_prompts(prompts: list[str]) -> list[str]:
    """Return the prompts; raises ValueError on the first that cannot be stored."""
    for number, prompt in enumerate(prompts, start=1):
        if not prompt.strip():
            raise ValueError(f"may not hold an empty line (number {number}).")
        if len(prompt) > MAX_PROMPT:
            raise ValueError(
                f"may be {MAX_PROMPT} characters long each; number {number} has {len(prompt):,}."
            )
        if any(ord(letter) < 32 for letter in prompt):
            raise ValueError(f"may not hold control characters (number {number}).")
    return prompts


class FlowMatchingConfig(NoTruthAsNumber):
    """Conditional flow matching on log-mel spectrograms (Lipman et al. 2023, arXiv 2210.02747)."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, validate_default=True
    )

    prompts: Annotated[list[str], BeforeValidator(lines)] = Field(
        default=["ambient pad", "techno", "chip arpeggio", "piano waltz"],
        title="Prompts",
        description=(
            "One per line. A genre of the dataset that is named in a prompt steers the clip; "
            "a prompt without one is answered freely."
        ),
        min_length=1,
        max_length=8,
        json_schema_extra={"first": True, "group": "Samples", "widget": "textarea"},
    )
    use: Literal["train.generative", "finetune"] = Field(
        default="train.generative",
        title="Use of the recordings",
        description=(
            "Fine-tuning where the dataset is a named artist's or catalogue's, to make a model "
            "sound like it. Consent is asked for exactly this."
        ),
        json_schema_extra={"first": True, "group": "Training", "labels": uses.labels()},
    )
    seed: int = Field(
        default=1,
        ge=0,
        le=2**31 - 1,
        title="Seed",
        description="Same seed, settings, dataset and machine: the same samples, bit for bit.",
        json_schema_extra={"first": True, "group": "Training"},
    )
    steps: int = Field(
        default=800,
        ge=1,
        le=200_000,
        title="Steps",
        description="Optimiser steps. 800 take about three minutes on two idle cores.",
        json_schema_extra={"first": True, "group": "Training"},
    )
    batch_size: int = Field(
        default=16,
        ge=1,
        le=256,
        title="Batch size",
        description="Clips per step, all processes together.",
        json_schema_extra={"first": True, "group": "Training"},
    )
    learning_rate: float = Field(
        default=2e-3,
        ge=1e-6,
        le=0.1,
        title="Learning rate",
        description=(
            "The highest rate: after the warm-up, then falling to zero as a cosine. The matrices "
            "of the blocks learn by Muon at ten times this rate, all else by AdamW."
        ),
        json_schema_extra={"first": True, "group": "Training"},
    )
    warmup_steps: int = Field(
        default=50,
        ge=0,
        le=10_000,
        title="Warm-up steps",
        description="Steps in which the learning rate rises from zero.",
        json_schema_extra={"group": "Training"},
    )
    ema: float = Field(
        default=0.995,
        ge=0.0,
        le=0.99999,
        title="Averaging of weights",
        description="How much of the averaged weights stays at each step. Samples use the average.",
        json_schema_extra={"group": "Training"},
    )
    condition_drop: float = Field(
        default=0.1,
        ge=0.0,
        le=0.9,
        title="Clips without genre",
        description="Share of clips that are trained without their genre, which guidance needs.",
        json_schema_extra={"group": "Training"},
    )
    time_shift: float = Field(
        default=3.0,
        ge=1.0,
        le=10.0,
        title="Weight of the noisy end",
        description="1 treats every noise level alike; more dwells where rhythm and form arise.",
        json_schema_extra={"group": "Training"},
    )
    clip_frames: int = Field(
        default=128,
        ge=16,
        le=512,
        title="Clip length",
        description="In frames of 32 ms: 128 are 4 seconds.",
        json_schema_extra={"group": "Model"},
    )
    patch: int = Field(
        default=2,
        ge=1,
        le=8,
        title="Frames per token",
        description="Neighbouring frames that the model sees as one; must divide the clip length.",
        json_schema_extra={"group": "Model"},
    )
    blocks: int = Field(
        default=4,
        ge=1,
        le=24,
        title="Blocks",
        description="Transformer blocks, one after the other.",
        json_schema_extra={"group": "Model"},
    )
    width: int = Field(
        default=192,
        ge=16,
        le=1536,
        title="Width",
        description="Channels of each block; a multiple of the attention heads.",
        json_schema_extra={"group": "Model"},
    )
    heads: int = Field(
        default=4,
        ge=1,
        le=24,
        title="Attention heads",
        description="Must divide the width.",
        json_schema_extra={"group": "Model"},
    )
    kernel: int = Field(
        default=9,
        ge=1,
        le=63,
        title="Convolution over time",
        description="Frames that the convolution before each attention sees; an odd number.",
        json_schema_extra={"group": "Model"},
    )
    sample_every: int = Field(
        default=200,
        ge=0,
        le=200_000,
        title="Samples every",
        description="Steps between samples while training (200: about 40 s). 0: only at the end.",
        json_schema_extra={"group": "Samples"},
    )
    final_seeds: int = Field(
        default=2,
        ge=1,
        le=8,
        title="Final clips per prompt",
        description="Each with its own seed, made after training.",
        json_schema_extra={"group": "Samples"},
    )
    guidance: float = Field(
        default=2.0,
        ge=0.0,
        le=10.0,
        title="Guidance",
        description="How strongly the genre steers. 1 is without guidance, 0 without genre.",
        json_schema_extra={"group": "Samples"},
    )
    sampling_steps: int = Field(
        default=25,
        ge=1,
        le=200,
        title="Sampling steps",
        description="Euler steps from noise to music.",
        json_schema_extra={"group": "Samples"},
    )
    griffin_lim_rounds: int = Field(
        default=32,
        ge=1,
        le=200,
        title="Griffin-Lim rounds",
        description="Rounds in which phases are found when a spectrogram becomes sound.",
        json_schema_extra={"group": "Samples"},
    )
    checkpoint_every: int = Field(
        default=200,
        ge=0,
        le=200_000,
        title="Checkpoint every",
        description="Steps between checkpoints, where a stopped run goes on. 0: only at the end.",
        json_schema_extra={"group": "Training"},
    )
    precision: Literal["auto", "bf16", "fp32"] = Field(
        default="auto",
        title="Precision",
        description=(
            "Of the network's arithmetic. auto measures at the start which is faster on this "
            "machine, and keeps to it: a rerun computes in the same."
        ),
        json_schema_extra={"group": "Arithmetic"},
    )
    threads: int = Field(
        default=0,
        ge=0,
        le=64,
        title="Threads",
        description=(
            "0: as many as the job was given; with Precision auto fewer, where they are faster. "
            "Another number may change the last bits."
        ),
        json_schema_extra={"group": "Arithmetic"},
    )

    @field_validator("prompts")
    @classmethod
    def readable(cls, prompts: list[str]) -> list[str]:
        return check_prompts(prompts)

    @field_validator("patch")
    @classmethod
    def divides_clip(cls, patch: int, info: ValidationInfo) -> int:
        frames = info.data.get("clip_frames")
        if frames is not None and frames % patch:
            raise ValueError(f"must divide the clip length ({frames}).")
        return patch

    @field_validator("heads")
    @classmethod
    def divides_width(cls, heads: int, info: ValidationInfo) -> int:
        width = info.data.get("width")
        if width is not None and width % heads:
            raise ValueError(f"must divide the width ({width}).")
        return heads

    @field_validator("kernel")
    @classmethod
    def has_a_middle(cls, kernel: int) -> int:
        if kernel % 2 == 0:
            raise ValueError("must be an odd number of frames.")
        return kernel
