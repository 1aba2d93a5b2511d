"""The recipe `program`: what may be started, and what its form says beside each field."""

import pytest
from django.conf import LazySettings
from django.test import Client
from django.urls import reverse
from django.utils.html import escape

from experiments import forms, recipes
from experiments.models import Dataset, Project, Run
from experiments.recipes import program
from experiments.runs import datasets, runs
from portal import tokens
from portal.machine import separation
from portal.models import User
from rights.models import Recording, Use
from tests.catalogue import make_allowed
from tests.experiments.test_forms import submit

DIGEST = "@sha256:" + "0" * 64
OWN = recipes.get("program")


def refused(**config: object) -> dict[str, str]:
    with pytest.raises(recipes.ConfigInvalid) as refusal:
        recipes.validate("program", config)
    return refusal.value.errors


def valid(**config: object) -> program.ProgramConfig:
    found = recipes.validate("program", config)
    assert isinstance(found, program.ProgramConfig)
    return found


def test_a_command_is_split_as_a_shell_would() -> None:
    line = "python -m train --name 'a b' --glob *.flac"
    assert valid(command=line).command == [
        "python",
        "-m",
        "train",
        "--name",
        "a b",
        "--glob",
        "*.flac",
    ]
    assert valid(command=["a", "b c"]).command == ["a", "b c"]


@pytest.mark.parametrize(
    "image",
    [
        "",
        "registry.lab.example:5000/ada/train:2026-11-21",
        f"train{DIGEST}",
        f"ghcr.io/lab/train:v1{DIGEST}",
        f"lab/train:latest{DIGEST}",
    ],
)
def test_images_that_are_the_same_tomorrow(image: str) -> None:
    assert valid(image=f" {image} ").image == image


@pytest.mark.parametrize(
    ("config", "field", "words"),
    [
        ({"command": ""}, "command", "Command is empty: say what to start."),
        ({"command": []}, "command", "Command is empty"),
        (
            {"command": "python 'train"},
            "command",
            "cannot be split into words: no closing quotation.",
        ),
        ({"command": ["a", "b\0"]}, "command", "cannot be passed on (number 2)"),
        (
            {"command": ["x", "--key=hf_abcdefghijklmnopqrstuv"]},
            "command",
            "like a secret (word 2)",
        ),
        ({"command": 3}, "command", "Command is not valid"),
        ({"image": "train"}, "image", "needs a digest or a tag other than latest"),
        ({"image": "train:latest"}, "image", "needs a digest or a tag other than latest"),
        ({"image": "Train Me:1"}, "image", "is not the name of an image"),
        ({"image": "train@sha256:abc"}, "image", "is not the name of an image"),
        ({"env": "LR=0.1\nDEPTH"}, "env", "one NAME=value per line; “DEPTH” is none."),
        ({"env": "A=1\nA=2"}, "env", "names A twice"),
        ({"env": {"1A": "x"}}, "env", "no digit first; “1A”"),
        ({"env": {"BACKLINE_RUN": "x"}}, "env", "names with BACKLINE_ are the portal's"),
        ({"env": {"HF_TOKEN": "x"}}, "env", "keep it in the lab's secret store"),
        ({"env": {"AWS_SECRET_ACCESS_KEY": "x"}}, "env", "AWS_SECRET_ACCESS_KEY"),
        ({"env": {"WANDB_API_KEY": "x"}}, "env", "looks like a secret"),
        ({"env": {"DB": "postgres://me:hush@db/x"}}, "env", "DB, which looks like a secret"),
        ({"env": {"A": "x\ny"}}, "env", "cannot be passed on (A)"),
        ({"env": {"A": None}}, "env", "Environment is not valid"),
        (
            {"use": "training"},
            "use",
            "Use of the recordings must be one of: 'eval'",
        ),
        ({"dataset_folder": "../x"}, "dataset_folder", "a path without .. in it"),
        ({"nodes": 2}, "nodes", "This recipe has no setting “nodes”."),
    ],
)
def test_what_cannot_be_started_is_refused_in_words(
    config: dict[str, object], field: str, words: str
) -> None:
    errors = refused(**config)
    assert list(errors) == [field]
    assert words in errors[field]


def test_an_environment_comes_as_lines_or_as_yaml() -> None:
    assert valid(env="LR=1e-3\n\nNAME = a=b \n").env == {"LR": "1e-3", "NAME": "a=b"}
    yaml = forms.from_yaml("env:\n  LR: 0.001\n  DEEP: true\n  TOKENIZERS_PARALLELISM: 'false'\n")
    told = {"LR": "0.001", "DEEP": "true", "TOKENIZERS_PARALLELISM": "false"}
    assert valid(**yaml).env == told


def test_the_form_shows_a_line_and_pairs_and_reads_them_back() -> None:
    config = valid(command=["sh", "-c", "echo 'a b'"], env={"A": "1", "B": "x y"})
    groups = forms.fields(OWN, values=config.model_dump(mode="json"))
    every = {one.key: one for group in groups.values() for one in group}
    assert (every["command"].kind, every["env"].value) == ("text", "A=1\nB=x y")
    assert every["use"].choices == [(use.value, use.label) for use in Use]
    sent = {one.name: one.value for one in every.values()}
    assert recipes.validate("program", forms.read(OWN, sent)) == config


def test_the_words_that_start_it() -> None:
    config = valid(command="python train.py").model_dump(mode="json")
    start = ("-m", "backline", "exec")
    end = ("--", "python", "train.py")
    assert program.started_by(config, has_dataset=False) == (*start, *end)
    with_music = (*start, "--dataset", "dataset", *end)
    assert program.started_by(config, has_dataset=True) == with_music
    scratch = program.started_by(config, has_dataset=True, scratch="/scratch")
    assert scratch == (*start, "--dataset", "/scratch/dataset", *end)
    config["dataset_folder"] = "/data"
    assert "/data" in program.started_by(config, has_dataset=True, scratch="/scratch")
    config["dataset_folder"] = ""
    assert program.started_by(config, has_dataset=True) == (*start, *end)


@pytest.fixture
def frozen(ada: User, rosa: User, project: Project) -> Dataset:
    recordings: list[Recording] = make_allowed(rosa)
    return datasets.freeze(
        by=ada, project=project, name="ours", recordings=recordings, use=Use.TRAIN_GENERATIVE
    )


def test_consent_is_asked_for_the_use_that_the_config_names(
    ada: User, project: Project, frozen: Dataset
) -> None:
    def queue(use: str) -> Run:
        config = {"use": use}
        return runs.submit(by=ada, project=project, recipe="program", config=config, dataset=frozen)

    run = queue("train.analysis")
    assert (run.use, run.decision and run.decision.use) == ("train.analysis", "train.analysis")
    with pytest.raises(runs.NotAllowed):
        queue("voice")
    assert Run.objects.count() == 1


def test_without_a_dataset_nobody_is_asked(ada: User, project: Project) -> None:
    run = runs.submit(by=ada, project=project, recipe="program", config={})
    assert (run.decision, run.dataset) == (None, None)


def sent(**changes: str) -> dict[str, str]:
    """What a browser sends when nothing was changed but `changes`."""
    groups = forms.fields(OWN)
    every = {one.name: one.value for group in groups.values() for one in group}
    return every | {"recipe": "program"} | {forms.PREFIX + k: v for k, v in changes.items()}


def test_the_page_queues_a_program_with_and_without_recordings(
    client: Client, ada: User, project: Project, frozen: Dataset
) -> None:
    client.force_login(ada)
    page = client.get(reverse("experiments:run_new", args=[project.slug]) + "?recipe=program")
    text = page.content.decode()
    assert 'value="python train.py"' in text
    assert "it uses no recordings of ours" in text
    assert str(frozen) in text
    typed = sent(command="python -c 'print(1)'", env="LR=0.1")
    assert submit(client, project, typed)[0] == 302
    assert submit(client, project, typed | {"dataset": str(frozen.pk)})[0] == 302
    first, second = Run.objects.order_by("number")
    assert first.config["command"] == ["python", "-c", "print(1)"]
    assert first.config["env"] == {"LR": "0.1"}
    assert (first.dataset, second.dataset, second.use) == (None, frozen, "train.generative")
    copy = client.get(reverse("experiments:run_duplicate", args=[project.slug, 2])).content.decode()
    assert "python -c &#x27;print(1)&#x27;" in copy


@pytest.mark.parametrize(
    ("key", "text", "words"),
    [
        ("command", "python 'x", "no closing quotation"),
        ("env", "WANDB_API_KEY=x", "secret store"),
        ("image", "train", "tag other than latest"),
    ],
)
@pytest.mark.usefixtures("ada")
def test_what_is_wrong_stands_beside_it(
    client: Client, project: Project, key: str, text: str, words: str
) -> None:
    client.force_login(User.objects.get(username="ada"))
    status, page = submit(client, project, sent(**{key: text}))
    assert status == 422
    beside = page.split(f'id="config-{key}-error">', 1)[1].split("</span>", 1)[0]
    assert words in beside
    assert not Run.objects.exists()


def test_yaml_may_be_pasted_instead(client: Client, ada: User, project: Project) -> None:
    client.force_login(ada)
    yaml = "command: python -m train --steps 10\nenv:\n  LR: 0.1\nuse: train.analysis\n"
    status, _ = submit(client, project, sent() | {"yaml": yaml})
    assert status == 302
    run = Run.objects.get()
    assert run.config["command"] == ["python", "-m", "train", "--steps", "10"]
    assert (run.config["env"], run.use) == ({"LR": "0.1"}, "train.analysis")
    status, page = submit(client, project, sent() | {"yaml": "comand: x"})
    assert status == 422
    assert "no setting “comand”" in page


def test_where_programs_are_local_processes_an_image_is_refused(
    client: Client, ada: User, project: Project, settings: LazySettings
) -> None:
    settings.CLUSTER = "local"
    settings.LOCAL_PROGRAMS = "trusted"
    client.force_login(ada)
    status, page = submit(client, project, sent(image="train:1"))
    assert status == 422
    assert "processes of its own machine" in page
    assert not Run.objects.exists()


def test_where_own_programs_are_off_the_choice_says_so_and_does_not_offer_them(
    client: Client, ada: User, project: Project, settings: LazySettings
) -> None:
    settings.CLUSTER = "local"
    client.force_login(ada)
    address = reverse("experiments:run_new", args=[project.slug])
    page = client.get(address).content.decode()
    assert escape(separation.OFF) in page
    assert "recipe=program" not in page
    assert "recipe=tone_check" in page
    form = client.get(address + "?recipe=program").content.decode()
    assert escape(separation.OFF) in form
    assert "Queue the run" not in form


def test_where_own_programs_are_off_none_is_queued_by_any_road(
    client: Client, ada: User, project: Project, settings: LazySettings
) -> None:
    before = runs.submit(by=ada, project=project, recipe="program", config={})
    settings.CLUSTER = "local"
    client.force_login(ada)
    status, page = submit(client, project, sent())
    assert (status, page.count(escape(separation.OFF))) == (422, 1)
    _, secret = tokens.issue(ada, "script")
    answer = client.post(
        "/api/v1/submissions",
        {"project": project.slug, "recipe": "program", "config": {"command": "python x.py"}},
        content_type="application/json",
        headers={"authorization": f"Bearer {secret}"},
    )
    assert (answer.status_code, answer.json()["detail"]) == (422, separation.OFF)
    with pytest.raises(recipes.ConfigInvalid, match="switched off"):
        runs.rerun(run=before, by=ada)
    assert Run.objects.count() == 1


def test_the_form_says_what_separates_a_program_from_the_portal(
    client: Client, ada: User, project: Project, settings: LazySettings
) -> None:
    client.force_login(ada)
    address = reverse("experiments:run_new", args=[project.slug]) + "?recipe=program"
    settings.CLUSTER = "local"
    settings.LOCAL_PROGRAMS = "trusted"
    page = client.get(address).content.decode()
    assert escape(separation.WORDS["trusted"]) in page
    settings.CLUSTER = "kubernetes"
    assert "Separated by pods" in client.get(address).content.decode()
    tone = client.get(address.replace("program", "tone_check")).content.decode()
    assert "Separated by" not in tone
