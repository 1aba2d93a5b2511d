"""What a run asks of the cluster: its cores, memory, GPUs, machines, and for how long at most."""

from collections.abc import Mapping
from typing import Any, Self

from django.conf import settings
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from experiments import recipes
from experiments.models import Run

# The word of the price list, and of the form, for "whichever is free".
ANY = "any"


class Resources(BaseModel):
    """What one attempt gets of the cluster."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    cpus: int = Field(2, ge=1, le=64, title="Processor cores", description="On each node.")
    memory_gb: int = Field(
        2, ge=1, le=1024, title="Memory, GiB",
        description="On each node. A program that takes more is ended.",
    )  # fmt: skip
    gpus: int = Field(
        0, ge=0, le=8, title="GPUs", description="Whole GPUs on each node. 0: processors only."
    )
    gpu_type: str = Field(
        "", max_length=63, title="GPU type",
        description="A run that takes any may start sooner.",
    )  # fmt: skip
    nodes: int = Field(
        1, ge=1, le=64, title="Nodes",
        description="Machines that start together, each with all that is asked for here.",
    )  # fmt: skip
    max_hours: float = Field(
        24, ge=0.02, le=720, title="Hours at most", allow_inf_nan=False,
        description=(
            "A run that takes longer ends as failed. What it saved stays. "
            "Fewer hours are easier on the project's quota."
        ),
    )  # fmt: skip

    @classmethod
    def of(cls, run: Run) -> Self:
        """Those of a run; what a run from before a field knew nothing of has its default."""
        known = {key: run.resources[key] for key in cls.model_fields if key in run.resources}
        return cls.model_validate(known)

    @property
    def all_gpus(self) -> int:
        """GPUs over all nodes."""
        return self.gpus * self.nodes

    @property
    def gpu_hours(self) -> float:
        """The most GPU-hours that it may take."""
        return self.all_gpus * self.max_hours

    def __str__(self) -> str:
        """In words: "2 nodes with 8 NVIDIA-H100-80GB-HBM3 GPUs, 16 cores and 64 GiB each"."""
        parts = [f"{self.cpus} core{_s(self.cpus)}", f"{self.memory_gb} GiB"]
        if self.gpus:
            kind = f"{self.gpu_type} " if self.gpu_type else ""
            parts.insert(0, f"{self.gpus} {kind}GPU{_s(self.gpus)}")
        words = f"{', '.join(parts[:-1])} and {parts[-1]}"
        return f"{self.nodes} nodes with {words} each" if self.nodes > 1 else words


def gpu_types() -> list[str]:
    """The types that the price list names, beside "any"."""
    return [name for name in settings.GPU_PRICES if name != ANY]


def bounds(name: str) -> str:
    """The bounds of a field in words: "(1 to 64)"."""
    part = Resources.model_json_schema()["properties"][name]
    if "maximum" not in part:
        return ""
    return f"({part['minimum']:g} to {part['maximum']:g})"


def read(wanted: Mapping[str, Any]) -> Resources:
    """The resources that were asked for, or recipes.ConfigInvalid with a sentence per field."""
    asked = dict(wanted)
    if asked.get("gpu_type") == ANY:
        asked["gpu_type"] = ""
    try:
        found = Resources.model_validate(asked)
    except ValidationError as refusal:
        raise _invalid(
            {_field(error): _sentence(error) for error in refusal.errors(include_url=False)}
        ) from None
    if errors := _impossible(found):
        raise _invalid(errors)
    return found


def _impossible(asked: Resources) -> dict[str, str]:
    """What fits the bounds and can still not be had here."""
    errors = {}
    if asked.gpu_type and asked.gpu_type not in gpu_types():
        known = ", ".join([*gpu_types(), ANY])
        errors["gpu_type"] = f"There is no GPU type “{asked.gpu_type}” here. Known are: {known}."
    elif asked.gpu_type and not asked.gpus:
        errors["gpus"] = "A GPU type was chosen: ask for at least 1 GPU, or for any type."
    if asked.nodes > 1 and settings.CLUSTER == "local":
        errors["nodes"] = "This portal runs programs on its own machine: 1 node is all there is."
    return errors


def _invalid(errors: Mapping[str, str]) -> recipes.ConfigInvalid:
    return recipes.ConfigInvalid({f"resources.{name}": text for name, text in errors.items()})


def _field(error: ErrorDetails) -> str:
    return str(error["loc"][0])[:80] if error["loc"] else "cpus"


def _sentence(error: ErrorDetails) -> str:
    """One refusal of pydantic in words, with the title that stands above the field."""
    name = _field(error)
    known = Resources.model_fields.get(name)
    if known is None:
        return f"A run has no resource “{name}”. Known are: {', '.join(Resources.model_fields)}."
    limits = error.get("ctx", {})
    match error["type"]:
        case "greater_than_equal":
            return f"{known.title} must be at least {limits['ge']:g}."
        case "less_than_equal":
            return f"{known.title} must be at most {limits['le']:g}."
    kinds = {"int": "a whole number", "float": "a number", "finite": "a number"}
    kind = kinds.get(error["type"].split("_")[0], "shorter text")
    return f"{known.title} must be {kind}."


def _s(count: int) -> str:
    return "" if count == 1 else "s"
