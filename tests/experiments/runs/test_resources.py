"""What a run may ask of the cluster: bounds in sentences, types of the price list."""

from decimal import Decimal

import pytest
from django.conf import LazySettings

from experiments import recipes
from experiments.models import Run
from experiments.runs import resources
from experiments.runs.resources import Resources


@pytest.fixture(autouse=True)
def _prices(settings: LazySettings) -> None:
    settings.GPU_PRICES = {"NVIDIA-H100": Decimal("2.50"), "any": Decimal(2)}


@pytest.mark.parametrize(
    ("wanted", "field", "sentence"),
    [
        ({"cpus": 99}, "cpus", "Processor cores must be at most 64."),
        ({"nodes": 0}, "nodes", "Nodes must be at least 1."),
        ({"nodes": 65}, "nodes", "Nodes must be at most 64."),
        ({"max_hours": 0.01}, "max_hours", "Hours at most must be at least 0.02."),
        ({"max_hours": 721}, "max_hours", "Hours at most must be at most 720."),
        ({"max_hours": float("nan")}, "max_hours", "Hours at most must be a number."),
        ({"cpus": True}, "cpus", "Processor cores must be a whole number."),
        ({"max_hours": True}, "max_hours", "Hours at most must be a number."),
        ({"gpus": "two"}, "gpus", "GPUs must be a whole number."),
        ({"gpus": 1, "gpu_type": "H1000"}, "gpu_type",
         "There is no GPU type “H1000” here. Known are: NVIDIA-H100, any."),
        ({"gpu_type": "NVIDIA-H100"}, "gpus",
         "A GPU type was chosen: ask for at least 1 GPU, or for any type."),
        ({"tpus": 1}, "tpus",
         "A run has no resource “tpus”. Known are: "
         + ", ".join(Resources.model_fields) + "."),
    ],
)  # fmt: skip
def test_what_cannot_be_had_is_refused_with_a_sentence(
    wanted: dict[str, object], field: str, sentence: str
) -> None:
    with pytest.raises(recipes.ConfigInvalid) as refusal:
        resources.read(wanted)
    assert refusal.value.errors == {f"resources.{field}": sentence}


def test_all_that_is_wrong_is_said_at_once() -> None:
    with pytest.raises(recipes.ConfigInvalid) as refusal:
        resources.read({"cpus": "two", "gpus": "all", "gpu_type": "H1000", "tpus": 1})
    assert set(refusal.value.errors) == {
        f"resources.{name}" for name in ("cpus", "gpus", "gpu_type", "tpus")
    }
    assert refusal.value.errors["resources.gpus"] == "GPUs must be a whole number."


def test_one_machine_is_one_node(settings: LazySettings) -> None:
    settings.CLUSTER = "local"
    with pytest.raises(recipes.ConfigInvalid, match="1 node is all there is"):
        resources.read({"nodes": 2})


def test_any_is_no_type() -> None:
    assert resources.read({"gpus": 1, "gpu_type": "any"}).gpu_type == ""


def test_a_run_from_before_a_field_has_its_default() -> None:
    found = Resources.of(Run(resources={"cpus": 4, "memory_gb": 8, "gpus": 0}))
    assert (found.cpus, found.nodes, found.max_hours) == (4, 1, 24)


def test_resources_in_words() -> None:
    assert str(Resources()) == "2 cores and 2 GiB"
    many = Resources(gpus=8, gpu_type="NVIDIA-H100", cpus=16, memory_gb=64, nodes=2)
    assert str(many) == "2 nodes with 8 NVIDIA-H100 GPUs, 16 cores and 64 GiB each"
