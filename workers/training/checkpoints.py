"""A checkpoint: one safetensors file, weights and a JSON in its header. No pickles.

It holds all that an exact resume needs: weights, their average, the optimiser's moments, the
number of the last step, the scale of the data, the config, and the digest of the data.
Random numbers need no state: they depend on (seed, counter) alone.
"""

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from pydantic import BaseModel, ConfigDict
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from backline.wire import Arithmetic
from experiments.recipes.flow_matching import SHAPE
from workers.data.mel import Scale

FORMAT = 1


class Mismatch(ValueError):
    """A checkpoint of another config or other data: resuming from it would be another run."""


class Meta(BaseModel):
    """The JSON beside the weights."""

    model_config = ConfigDict(frozen=True)

    format: int = FORMAT
    recipe: str
    step: int
    config: dict[str, object]
    data: str
    genres: list[str]
    mean: float
    deviation: float
    torch: str
    # None in a checkpoint from before it was stored.
    arithmetic: Arithmetic | None = None

    @property
    def scale(self) -> Scale:
        return Scale(mean=self.mean, deviation=self.deviation)


def save(path: Path, *, tensors: Mapping[str, Tensor], meta: Meta) -> None:
    """Write under a temporary name, then replace: a crash leaves the last good file."""
    partial = path.with_suffix(".partial")
    save_file(
        {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()},
        partial,
        metadata={"backline": meta.model_dump_json()},
    )
    partial.replace(path)


def load(path: Path) -> tuple[dict[str, Tensor], Meta]:
    """Return the tensors and JSON of a checkpoint; raise `Mismatch` if it is not one of ours."""
    try:
        with safe_open(path, framework="pt") as file:
            meta = Meta.model_validate(json.loads((file.metadata() or {})["backline"]))
            return {name: file.get_tensor(name) for name in file.keys()}, meta  # noqa: SIM118
    except (SafetensorError, KeyError, ValueError) as error:
        raise Mismatch(f"The checkpoint cannot be read: {error}.") from error


def demand(meta: Meta, *, config: Mapping[str, object], data: str) -> None:
    """Refuse to resume from a checkpoint that belongs to another config or dataset."""
    changed = sorted(
        name
        for name in {*config, *meta.config}
        if config.get(name) != meta.config.get(name) and name not in {"threads", "use"}
    )
    if changed:
        raise Mismatch(f"The checkpoint was made with another {', '.join(changed)}.")
    if data != meta.data:
        raise Mismatch("The checkpoint was made with other recordings.")


def demand_shape(meta: Meta, *, config: Mapping[str, object]) -> None:
    """Refuse weights of a network of another shape."""
    different = [name for name in SHAPE if config.get(name) != meta.config.get(name)]
    if different:
        raise Mismatch(f"The weights are of a network with another {', '.join(different)}.")


def optimiser_tensors(prefix: str, optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Return the optimiser's state by parameter number and name: "adamw.3.exp_avg"."""
    return {
        f"{prefix}.{number}.{name}": value
        for number, state in optimiser.state_dict()["state"].items()
        for name, value in state.items()
    }


def restore_optimiser(
    prefix: str, optimiser: torch.optim.Optimizer, tensors: Mapping[str, Tensor]
) -> None:
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        part, _, suffix = key.partition(".")
        if part == prefix:
            number, _, name = suffix.partition(".")
            state.setdefault(int(number), {})[name] = value
    groups = optimiser.state_dict()["param_groups"]
    optimiser.load_state_dict({"state": state, "param_groups": groups})


def module_tensors(prefix: str, module: nn.Module) -> dict[str, Tensor]:
    return {f"{prefix}.{name}": value for name, value in module.state_dict().items()}


def restore_module(prefix: str, module: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    start = f"{prefix}."
    module.load_state_dict(
        {
            name.removeprefix(start): value
            for name, value in tensors.items()
            if name.startswith(start)
        }
    )
