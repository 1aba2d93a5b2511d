"""What a run requests from the cluster: cores, memory, GPUs, machines, and hours at most."""

from collections.abc import Mapping
from typing import Any, Self

from django.conf import settings
from pydantic import ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from backline.no_truth import NoTruthAsNumber
from experiments import recipes
from experiments.models import Run

# The price list and the form use this for "whichever is free".
ANY = "any"


class Resources(NoTruthAsNumber):
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
        """Return a run's resources; a field that was added after the run has its default."""
        values = {key: run.resources[key] for key in cls.model_fields if key in run.resources}
        return cls.model_validate(values)

    @property
    def all_gpus(self) -> int:
        """GPUs over all nodes."""
        return self.gpus * self.nodes

    @property
    def gpu_hours(self) -> float:
        """GPU-hours that it may take at most."""
        return self.all_gpus * self.max_hours

    def __str__(self) -> str:
        """In words: "2 nodes with 8 NVIDIA-H100-80GB-HBM3 GPUs, 16 cores and 64 GiB each"."""
        parts = [f"{self.cpus} core{_s(self.cpus)}", f"{self.memory_gb} GiB"]
        if self.gpus:
            kind = f"{self.gpu_type} " if self.gpu_type else ""
            parts.insert(0, f"{self.gpus} {kind}GPU{_s(self.gpus)}")
        per_node = f"{', '.join(parts[:-1])} and {parts[-1]}"
        return f"{self.nodes} nodes with {per_node} each" if self.nodes > 1 else per_node


def gpu_types() -> list[str]:
    """Return the types that the price list names, except "any"."""
    return [name for name in settings.GPU_PRICES if name != ANY]


def bounds(name: str) -> str:
    """Return the bounds of a field in words: "(1 to 64)"."""
    schema = Resources.model_json_schema()["properties"][name]
    if "maximum" not in schema:
        return ""
    return f"({schema['minimum']:g} to {schema['maximum']:g})"


def read(requested: Mapping[str, Any]) -> Resources:
    """Return the requested resources; raise recipes.ConfigInvalid with a sentence per field."""
    values = dict(requested)
    if values.get("gpu_type") == ANY:
        values["gpu_type"] = ""
    try:
        resources = Resources.model_validate(values)
    except ValidationError as failure:
        wrong = {_field(error): _sentence(error) for error in failure.errors(include_url=False)}
        # The others have all of their errors said at once.
        others = {name: value for name, value in values.items() if name not in wrong}
        raise _invalid(_impossible(Resources.model_validate(others)) | wrong) from None
    if errors := _impossible(resources):
        raise _invalid(errors)
    return resources


def _impossible(resources: Resources) -> dict[str, str]:
    """Collect the errors of values within bounds that this portal does not offer."""
    errors = {}
    if resources.gpu_type and resources.gpu_type not in gpu_types():
        known = ", ".join([*gpu_types(), ANY])
        errors["gpu_type"] = (
            f"There is no GPU type “{resources.gpu_type}” here. Known are: {known}."
        )
    elif resources.gpu_type and not resources.gpus:
        errors["gpus"] = "A GPU type was chosen: ask for at least 1 GPU, or for any type."
    if resources.nodes > 1 and settings.CLUSTER == "local":
        errors["nodes"] = "This portal runs programs on its own machine: 1 node is all there is."
    return errors


def _invalid(errors: Mapping[str, str]) -> recipes.ConfigInvalid:
    return recipes.ConfigInvalid({f"resources.{name}": text for name, text in errors.items()})


def _field(error: ErrorDetails) -> str:
    return str(error["loc"][0])[:80] if error["loc"] else "cpus"


def _sentence(error: ErrorDetails) -> str:
    """Describe an error of pydantic in words, with the title that stands above the field."""
    name = _field(error)
    field = Resources.model_fields.get(name)
    if field is None:
        return f"A run has no resource “{name}”. Known are: {', '.join(Resources.model_fields)}."
    limits = error.get("ctx", {})
    match error["type"]:
        case "greater_than_equal":
            return f"{field.title} must be at least {limits['ge']:g}."
        case "less_than_equal":
            return f"{field.title} must be at most {limits['le']:g}."
    kinds = {"int": "a whole number", "float": "a number", "finite": "a number"}
    kind = kinds.get(error["type"].split("_")[0], "shorter text")
    return f"{field.title} must be {kind}."


def _s(count: int) -> str:
    return "" if count == 1 else "s"
