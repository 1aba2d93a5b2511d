"""The config of generation alone: clips made with a model that was trained before."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, ConfigDict, Field, field_validator

from backline.no_truth import NoTruthAsNumber
from experiments.recipes.flow_matching import check_prompts, lines


class GenerateConfig(NoTruthAsNumber):
    """Sampling as after training, or from a noised recording (SDEdit, arXiv 2108.01073)."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, validate_default=True
    )

    prompts: Annotated[list[str], BeforeValidator(lines)] = Field(
        default=["ambient pad", "techno"],
        title="Prompts",
        description=(
            "One per line. A genre that the model knows steers the clip when a prompt names it; "
            "a prompt without one is answered freely."
        ),
        min_length=1,
        max_length=32,
        json_schema_extra={"first": True, "group": "Clips", "widget": "textarea"},
    )
    seed: int = Field(
        default=1,
        ge=0,
        le=2**31 - 1,
        title="Seed",
        description="Same seed, settings, model and machine: the same clips, bit for bit.",
        json_schema_extra={"first": True, "group": "Clips"},
    )
    clips: int = Field(
        default=2,
        ge=1,
        le=32,
        title="Clips per prompt",
        description="Each with its own seed, counted on from the first.",
        json_schema_extra={"first": True, "group": "Clips"},
    )
    guidance: float = Field(
        default=2.0,
        ge=0.0,
        le=10.0,
        title="Guidance",
        description="How strongly the genre steers. 1 is without guidance, 0 without genre.",
        json_schema_extra={"first": True, "group": "Clips"},
    )
    sampling_steps: int = Field(
        default=25,
        ge=1,
        le=200,
        title="Sampling steps",
        description="Euler steps from noise to music.",
        json_schema_extra={"group": "Clips"},
    )
    strength: float = Field(
        default=0.7,
        ge=0.05,
        le=0.99,
        title="Distance from the reference",
        description=(
            "How much noise is laid over a reference recording before the model takes it from "
            "there: little stays close to it, much keeps its outline only. Without references it "
            "means nothing."
        ),
        json_schema_extra={"group": "References"},
    )
    griffin_lim_rounds: int = Field(
        default=32,
        ge=1,
        le=200,
        title="Griffin-Lim rounds",
        description="Rounds in which phases are found when a spectrogram becomes sound.",
        json_schema_extra={"group": "Clips"},
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
