"""What a run can do: named recipes, each with a frozen, validated config.

Pure pydantic: the web side makes forms from it, the compute side reads the same model, and
neither needs the other's dependencies. `json_schema_extra` says how the form shows a field: its
`group`, its `widget`, and whether it is one of those that are changed `first` and stay in sight.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from backline import bounds
from experiments.recipes.flow_matching import FlowMatchingConfig
from experiments.recipes.generate import GenerateConfig
from experiments.recipes.program import ProgramConfig
from experiments.recipes.tone_check import ToneCheckConfig

# The key of a sentence that belongs to the config as a whole; Django forms know it by this name.
WHOLE = "__all__"
MAX_BYTES = bounds.MAX_CONFIG_BYTES
ONE_NODE = (
    "This recipe has one process: on several nodes each would do the whole of it. "
    "Flow matching and own programs can share one training among them."
)
NO_RECORDINGS = "This recipe uses no recordings: leave the dataset out."
NO_WEIGHTS = "This recipe starts from nothing: leave the checkpoint out."
NEEDS_WEIGHTS = "This recipe generates with a trained model: choose a checkpoint."
NO_IMAGES = (
    "Image must stay empty here: this portal starts programs as processes of its own machine, "
    "with the Python that it runs with. Only a Kubernetes cluster starts images."
)


class UnknownRecipe(LookupError):
    """There is no recipe of that name; the message lists those that exist."""


class ConfigInvalid(ValueError):
    """A config was refused. `errors` maps a field (or WHOLE) to a sentence a person can act on."""

    code = "config_invalid"

    def __init__(self, errors: dict[str, str]) -> None:
        super().__init__(" ".join(errors.values()))
        self.errors = errors


@dataclass(frozen=True)
class Recipe:
    """A program with a config; `use` is what it does with recordings (a value of rights' Use).

    Empty where it uses none. A config with a field `use` sets the use itself.
    """

    name: str
    title: str
    description: str
    config: type[BaseModel]
    use: str
    needs_dataset: bool
    # Whether its processes on several nodes share one training.
    many_nodes: bool = False
    # Whether each GPU of a node gets a process of its own; a program of one process sees them all.
    process_per_gpu: bool = False
    # Whether it starts from the weights of another run.
    weights: Literal["none", "may", "must"] = "none"
    # The recipe whose checkpoints it can read; None: any recipe.
    reads: str | None = None
    # Whether its program is a researcher's: the portal must be isolated from it, and it may read
    # data that the portal does not know of.
    own: bool = False

    @property
    def generates(self) -> bool:
        """Whether it makes clips with a model that it does not train."""
        return self.weights == "must"

    @property
    def uses(self) -> tuple[str, ...]:
        """All uses that it may make of recordings."""
        if self.chooses_use:
            return get_args(self.config.model_fields["use"].annotation)
        return (self.use,)

    @property
    def chooses_use(self) -> bool:
        return "use" in self.config.model_fields

    def use_of(self, config: Mapping[str, object]) -> str:
        """What a run with this resolved config does with its recordings."""
        return str(config["use"]) if self.chooses_use else self.use

    def processes_on_a_node(self, *, gpus: int, nodes: int) -> int:
        """How many processes are started on each node with that many GPUs."""
        return max(1, gpus) if self.process_per_gpu or nodes > 1 else 1


RECIPES: dict[str, Recipe] = {
    recipe.name: recipe
    for recipe in (
        Recipe(
            name="flow_matching",
            title="Flow matching",
            description=(
                "Trains a small diffusion transformer on the recordings of a dataset and "
                "generates clips in their genres. About three minutes on two idle cores; several "
                "GPUs or nodes share one training."
            ),
            config=FlowMatchingConfig,
            use="train.generative",
            needs_dataset=True,
            many_nodes=True,
            process_per_gpu=True,
            weights="may",
            reads="flow_matching",
        ),
        Recipe(
            name="generate",
            title="Generate",
            description=(
                "Makes clips with a model that was trained before, without training: of prompts "
                "alone, or with recordings as reference audio."
            ),
            config=GenerateConfig,
            use="condition",
            needs_dataset=False,
            weights="must",
            reads="flow_matching",
        ),
        Recipe(
            name="tone_check",
            title="Tone check",
            description=(
                "Tries the road from the queue to a heard sample in a few seconds: fits one "
                "sine, logs the loss and plays the result. Uses no recordings."
            ),
            config=ToneCheckConfig,
            use="",
            needs_dataset=False,
        ),
        Recipe(
            name="program",
            title="Own program",
            description=(
                "Starts a command of yours, in an image of yours, with the recordings of a dataset "
                "in a folder if you choose one. Its console, figures, metrics, clips and "
                "checkpoints come here as those of every run."
            ),
            config=ProgramConfig,
            use="train.generative",
            needs_dataset=False,
            many_nodes=True,
            weights="may",
            own=True,
        ),
    )
}


def get(name: str) -> Recipe:
    """The recipe of that name, or `UnknownRecipe`."""
    try:
        return RECIPES[name]
    except KeyError:
        known = ", ".join(RECIPES)
        raise UnknownRecipe(f"There is no recipe “{name[:80]}”. Known are: {known}.") from None


def validate(name: str, data: Mapping[str, object]) -> BaseModel:
    """The resolved config of a recipe, or `ConfigInvalid` with a sentence for each field."""
    model = get(name).config
    if not isinstance(data, Mapping):
        raise ConfigInvalid({WHOLE: "A config is a list of names with values."})
    size = _size(data)
    if size > MAX_BYTES:
        raise ConfigInvalid(
            {WHOLE: f"The config is {size / 1024:,.0f} kB long; at most {MAX_BYTES // 1024} kB go."}
        )
    try:
        config = model.model_validate(dict(data))
        bounds.check_json(config.model_dump(mode="json"), "The config", most=MAX_BYTES)
    except bounds.NotStorable as refusal:
        raise ConfigInvalid({WHOLE: str(refusal)}) from None
    except ValidationError as refusal:
        errors: dict[str, str] = {}
        for error in refusal.errors(include_url=False):
            field = str(error["loc"][0])[:80] if error["loc"] else WHOLE
            # One sentence per field: the first error is the one to fix first.
            errors.setdefault(
                bounds.readable(field), bounds.readable(_sentence(model=model, error=error))
            )
        raise ConfigInvalid(errors) from None
    return config


def check_batch_size(config: Mapping[str, object], *, processes: int) -> None:
    """Refuse a batch that does not have an example for each of the processes that share it."""
    batch = config.get("batch_size")
    if isinstance(batch, int) and batch < processes:
        raise ConfigInvalid({"batch_size": too_small(batch=batch, processes=processes)})


def too_small(*, batch: int, processes: int) -> str:
    return (
        f"Batch size must be at least {processes:,}, one clip for each process; "
        f"it is {batch:,}. Or take fewer GPUs or nodes."
    )


def _size(data: Mapping[str, object]) -> int:
    """Bytes of the config as JSON."""
    try:
        return len(json.dumps(dict(data), default=str).encode())
    except (TypeError, ValueError, RecursionError):
        raise ConfigInvalid({WHOLE: "The config cannot be written as JSON."}) from None


def _sentence(  # noqa: PLR0911 - one return per kind of refusal reads best.
    *, model: type[BaseModel], error: ErrorDetails
) -> str:
    """Return one pydantic error in words, with the title that the form shows for the field."""
    location = error["loc"]
    field_info = model.model_fields.get(str(location[0])) if location else None
    title = (field_info.title if field_info else None) or "The config"
    if len(location) > 1 and isinstance(location[1], int):
        title = f"{title}, number {location[1] + 1},"
    limits = error.get("ctx", {})
    match error["type"]:
        case "extra_forbidden":
            return f"This recipe has no setting “{str(location[0])[:80]}”."
        case "missing":
            return f"{title} is missing."
        case "greater_than_equal":
            return f"{title} must be at least {limits['ge']:,}."
        case "less_than_equal":
            return f"{title} must be at most {limits['le']:,}."
        case "too_short":
            return f"{title} needs at least {limits['min_length']}."
        case "too_long":
            return f"{title} may have at most {limits['max_length']}."
        case "string_too_short":
            return f"{title} is empty."
        case "literal_error":
            return f"{title} must be one of: {limits['expected']}."
        case "value_error":
            return f"{title} {limits['error']}"
    kinds = {"int": "a whole number", "float": "a number", "finite": "a finite number"}
    kind = kinds.get(error["type"].split("_")[0])
    if kind:
        return f"{title} must be {kind}."
    return f"{title} is not valid: {error['msg']}."
