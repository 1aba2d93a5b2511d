"""The config of the tone check: the shortest run that passes through every stage."""

from pydantic import ConfigDict, Field

from backline.no_truth import NoTruthAsNumber


class ToneCheckConfig(NoTruthAsNumber):
    """Fits a sine of the given frequency by gradient descent and plays it."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    frequency: float = Field(
        default=440.0,
        ge=40.0,
        le=8_000.0,
        title="Frequency",
        description="Of the tone, in hertz.",
        json_schema_extra={"group": "Tone"},
    )
    seconds: float = Field(
        default=2.0,
        ge=0.5,
        le=30.0,
        title="Length",
        description="Of the tone, in seconds.",
        json_schema_extra={"group": "Tone"},
    )
    steps: int = Field(
        default=60,
        ge=1,
        le=100_000,
        title="Steps",
        description="Each logs one point of the loss curve.",
        json_schema_extra={"group": "Training"},
    )
    learning_rate: float = Field(
        default=0.1,
        ge=0.0,
        le=10.0,
        title="Learning rate",
        description="How far each step goes. At 1 one step is enough; beyond 2 the fit diverges.",
        json_schema_extra={"group": "Training"},
    )
    noise: float = Field(
        default=0.0,
        ge=0.0,
        le=10.0,
        title="Noise",
        description="Its loudness over the tone, drawn anew in each step: what seeds differ in.",
        json_schema_extra={"group": "Training"},
    )
    step_seconds: float = Field(
        default=0.05,
        ge=0.0,
        le=60.0,
        title="Time per step",
        description="Seconds waited in each step, to try the queue, the live page and cancelling.",
        json_schema_extra={"group": "Training"},
    )
    seed: int = Field(
        default=1,
        ge=0,
        le=2**31 - 1,
        title="Seed",
        description="Where the fit starts from.",
        json_schema_extra={"group": "Training"},
    )
