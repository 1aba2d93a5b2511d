"""Configs as people have them reach the portal, whatever is in them, and can be completed."""

import argparse
import enum
import functools
import json
import math
from collections import OrderedDict, namedtuple
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction
from pathlib import Path, PurePosixPath
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from django.test import Client
from django.urls import reverse
from omegaconf import OmegaConf
from pydantic import BaseModel

from backline import bounds, configs
from experiments.models import ConfigChange, Project, Run
from experiments.runs import config_changes, runs
from portal.models import User
from tests.backline.script import Scripts


class Optimizer(enum.Enum):
    ADAM = 1
    MUON = "muon"


class Level(enum.IntEnum):
    HIGH = 3


class Strange:
    def __str__(self) -> str:
        raise RuntimeError("no text")


class ConfigDict:
    """As ml_collections and transformers have it."""

    def to_dict(self) -> dict[str, Any]:
        return {"depth": 2}


@dataclass
class Model:
    width: int = 64
    betas: tuple[float, float] = (0.9, 0.99)
    kind: Optimizer = Optimizer.ADAM
    inner: "Model | None" = None


class Schema(BaseModel):
    rate: float = 0.5


Pair = namedtuple("Pair", "left right")


def convert(value: Any) -> tuple[Any, list[str]]:
    said: list[str] = []
    return configs.plain({"x": value}, say=said.append)["x"], said


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None), (True, True), (1, 1), (1.5, 1.5), ("é", "é"), (2**70, str(2**70)),
        (np.float32(0.5), 0.5), (np.int64(3), 3), (np.bool_(True), True), (np.str_("a"), "a"),
        (np.array(7), 7), (np.array([[1, 2], [3, 4]]), [[1, 2], [3, 4]]),
        (np.dtype("float32"), "float32"), (torch.tensor(0.25, requires_grad=True), 0.25),
        (torch.tensor([1, 2]), [1, 2]), (torch.ones(2, requires_grad=True), [1.0, 1.0]),
        (torch.float32, "torch.float32"), (torch.device("cpu"), "cpu"),
        (torch.Size([2, 3]), [2, 3]),
        (Path("/a/b"), "/a/b"), (PurePosixPath("c"), "c"), (Optimizer.ADAM, "ADAM"),
        (Optimizer.MUON, "muon"), (Level.HIGH, "HIGH"), ({3, 1, 2}, [1, 2, 3]),
        (frozenset("ba"), ["a", "b"]), ((1, (2, 3)), [1, [2, 3]]), (range(3), [0, 1, 2]),
        (Model(inner=Model(width=1)), {
            "width": 64, "betas": [0.9, 0.99], "kind": "ADAM",
            "inner": {"width": 1, "betas": [0.9, 0.99], "kind": "ADAM", "inner": None},
        }),
        (argparse.Namespace(lr=0.1), {"lr": 0.1}), (SimpleNamespace(lr=0.1), {"lr": 0.1}),
        (OrderedDict(b=1, a=2), {"b": 1, "a": 2}), (Pair(1, 2), {"left": 1, "right": 2}),
        (Schema(), {"rate": 0.5}), (ConfigDict(), {"depth": 2}), ({1: "a", Level.HIGH: "b"},
         {"1": "a", "HIGH": "b"}), (date(2026, 1, 2), "2026-01-02"), (Fraction(1, 4), 0.25),
        (datetime(2026, 1, 2, tzinfo=UTC), "2026-01-02T00:00:00+00:00"), ("a\0\ud800", "a��"),
    ],
)  # fmt: skip
def test_values_are_converted_without_a_word(value: Any, expected: Any) -> None:
    converted, said = convert(value)
    assert configs.same(converted, expected), converted
    assert said == []


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (b"bytes", "b'bytes'"), (1j, "1j"), (Decimal("0.1"), "0.1"), (Strange, "Strange"),
        (functools.partial(print, 1), "functools.partial"), (print, "builtins.print"),
        (np.zeros(5_000), "[0. 0."), (torch.nn.Identity(), "Identity()"), (Strange(), "Strange"),
        (list(range(2_000)), "[0, 1"), (lambda: 0, "<lambda>"), (object(), "<object object>"),
    ],
)  # fmt: skip
def test_what_json_does_not_know_becomes_a_text_with_one_warning(value: Any, text: str) -> None:
    converted, said = convert([value, value])
    assert all(isinstance(item, str) and text in item for item in converted), converted
    assert "0x" not in converted[0]
    assert len(said) == 1
    assert said[0].startswith("Kept as a text")
    assert "x[0] (" in said[0]


def test_nan_and_infinities_are_kept() -> None:
    config = {"clip": math.inf, "low": -math.inf, "nan": [math.nan], "fine": 1.0}
    converted = configs.plain(config, say=lambda _: None)
    assert converted["clip"] == math.inf
    assert math.isnan(converted["nan"][0])
    assert configs.as_json(converted) == {"clip": "inf", "low": "-inf", "nan": ["nan"], "fine": 1.0}


def test_a_config_of_omegaconf_is_resolved() -> None:
    config = OmegaConf.create({"lr": 0.1, "twice": "${lr}", "list": [1, "${lr}"], "missing": "???"})
    assert configs.plain(config, say=lambda _: None) == {
        "lr": 0.1, "twice": 0.1, "list": [1, 0.1], "missing": "???",
    }  # fmt: skip
    config = OmegaConf.create({"wrong": "${nowhere}"})
    assert configs.plain(config, say=lambda _: None) == {"wrong": "${nowhere}"}


def test_circles_and_depths_and_sizes_end_somewhere() -> None:
    circle: dict[str, Any] = {"a": 1}
    circle["again"] = [circle, {"x": circle}]
    wide: Any = "leaf"
    for _ in range(60):
        wide = [wide, wide]
    said: list[str] = []
    converted = configs.plain({"c": circle, "w": wide, "long": "x" * 90_000}, say=said.append)
    bounds.check_json(configs.as_json(converted), most=bounds.MAX_CONFIG_BYTES)
    assert converted["c"]["a"] == 1
    many = configs.plain({str(n): "y" * 500 for n in range(1_000)}, say=said.append)
    bounds.check_json(many, most=bounds.MAX_CONFIG_BYTES)
    assert "too long" in said[-1]


@pytest.mark.parametrize("config", [None, {}, [], 3, "text", Strange(), [("a", 1)]])
def test_whatever_is_given_is_a_config(config: Any) -> None:
    converted = configs.plain(config, say=lambda _: None)
    assert isinstance(converted, dict)
    json.dumps(configs.as_json(converted), allow_nan=False)


# --- On the portal ---------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_a_run_with_any_config_is_opened_and_completed(scripts: Scripts) -> None:
    done = scripts.run("""
import argparse, math
from pathlib import Path
from dataclasses import dataclass
@dataclass
class Model: width: int = 64
run = backline.init(os.environ["PROJECT"], "x" * 300, argparse.Namespace(
    lr=0.1, data=Path("/d"), clip=math.inf, model=Model(), fn=print, bad="\\ud800"))
assert run.config["clip"] == math.inf and run.config.lr == 0.1
run.config.update({"batch": 8, "lr": 0.2})
run.config.update(Model(width=3), seed=5)
run.config["epochs"] = 2
run.config |= {"late": True}
assert run.config.setdefault("epochs", 9) == 2
run.config["model"]["depth"] = 4
for act in (lambda: run.config.pop("lr"), lambda: run.config.clear(), lambda: run.config.missing):
    try: act()
    except (TypeError, AttributeError) as error: print(error)
run.finish()
run.config.update({"after": 1})
""")
    assert done.returncode == 0, done.stderr
    assert "Kept as a text" in done.stderr
    assert "The run has ended: config.update does nothing any more." in done.stderr
    run = Run.objects.get()
    assert run.state == "finished"
    assert run.config == {
        "lr": 0.2, "data": "/d", "clip": "inf", "model": {"width": 64, "depth": 4},
        "fn": "builtins.print", "bad": "�", "batch": 8, "width": 3, "seed": 5, "epochs": 2,
        "late": True,
    }  # fmt: skip
    assert [(change.before, change.after) for change in run.config_changes.all()] == [
        ({"lr": 0.1}, {"batch": 8, "lr": 0.2}),
        ({}, {"width": 3, "seed": 5}),
        ({}, {"epochs": 2}),
        ({}, {"late": True}),
        ({"model": {"width": 64}}, {"model": {"width": 64, "depth": 4}}),
    ]
    assert done.stdout.count("What a run was configured with stays") == 2


@pytest.mark.django_db
def test_a_change_that_comes_again_is_no_change(ada: User, project: Project) -> None:
    run = runs.open_client_run(by=ada, project=project, config={"lr": 1})
    assert config_changes.complete(run, {"lr": 2, "on": True})
    assert not config_changes.complete(run, {"lr": 2, "on": True})
    assert config_changes.complete(run, {"on": 1})
    assert ConfigChange.objects.count() == 2
    with pytest.raises(config_changes.NotChangeable, match="too long"):
        config_changes.complete(run, {"long": "x" * 70_000})
    run.refresh_from_db()
    assert run.config == {"lr": 2, "on": 1}


@pytest.mark.django_db
def test_what_a_run_of_the_portal_was_submitted_with_stays(
    ada: User, project: Project, client: Client
) -> None:
    run = runs.submit(by=ada, project=project, recipe="tone_check", config={})
    submitted = dict(run.config)
    name = next(iter(submitted))
    with pytest.raises(config_changes.NotChangeable, match=f"submitted with stays.*{name}"):
        config_changes.complete(run, {name: "other", "batch": 8})
    assert config_changes.complete(run, {"batch": 16})
    run.refresh_from_db()
    assert run.config == submitted | {"batch": 16}
    assert run.submitted_config == submitted
    again = runs.rerun(run=run, by=ada)
    assert again.config == submitted
    client.force_login(ada)
    address = reverse("experiments:run_config", args=[project.slug, run.number])
    page = client.get(address).content.decode()
    assert "Set by its program (2)" in page
    assert "batch: 8 → 16" in page
