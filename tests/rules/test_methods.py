"""Every address says by which methods it is asked; what can be fetched can be asked for by HEAD."""

import importlib
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.forms import BaseForm

from portal.api import api
from portal.inputs.forms import Bounded
from tests.rules.everything import World, make_world
from tests.rules.test_urls import ROLES, TABLE, text_of

pytestmark = [pytest.mark.django_db, pytest.mark.slow]

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("portal", "rights", "experiments", "audio_samples", "listening", "workers")
# Who reads what is sent, and the page that sends what was typed again.
# What the API changes by other methods than POST.
CHANGES = {
    ("patch", "api/v1/runs/<uuidstr:run_id>"),
    ("patch", "api/v1/projects/<slug:slug>/reports/<int:number>"),
}
READERS = {
    "portal/inputs/parameters.py",
    "portal/http/middleware.py",
    "portal/accounts/login_redirect.py",
}


@pytest.fixture
def world() -> World:
    return make_world()


def test_every_page_refuses_the_methods_that_it_does_not_name(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("CRITICAL", logger="django.request")
    client = world.client("operator")
    wrong = [
        f"{method} {route}: {status}"
        for route in TABLE
        # Ninja's own: two that take everything as GET, and one that is nowhere.
        if route not in {"api/", "api/docs", "api/openapi.json"}
        for method in ("delete", "put", "patch", "trace")
        if (method, route) not in CHANGES
        and (status := getattr(client, method)(world.address(route)).status_code) != 405
    ]
    assert not wrong, "Say by require_safe, require_POST or require_http_methods:\n" + "\n".join(
        wrong
    )


def test_whatever_can_be_fetched_answers_head_alike_and_without_a_body(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("CRITICAL", logger="django.request")
    wrong = []
    for route, (seen_by, _) in TABLE.items():
        if not seen_by or route in {"api/docs", "api/openapi.json"}:
            continue
        client, path = world.client(ROLES[seen_by[-1]]), world.address(route)
        whole, head = client.get(path), client.head(path)
        text_of(whole)
        if (head.status_code, text_of(head)) != (whole.status_code, ""):
            wrong.append(f"{route}: {whole.status_code} by GET, {head.status_code} by HEAD")
        # What is made anew each time has another length each time; a file has one.
        names = ["Content-Type", "Content-Disposition"]
        names += ["Content-Length", "ETag"] if "Accept-Ranges" in whole.headers else []
        wrong += [
            f"{route}: {name} is {head.headers.get(name)} by HEAD"
            for name in names
            if head.headers.get(name) != whole.headers.get(name)
        ]
    assert not wrong, "\n".join(wrong)


def test_a_parameter_is_read_by_the_one_reader_or_by_a_form() -> None:
    found = [
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for room in ROOMS
        for path in sorted((ROOT / room).rglob("*.py"))
        if str(path.relative_to(ROOT)) not in READERS
        for line in path.read_text(encoding="utf-8").splitlines()
        if re.search(r"request\.(GET|POST)\b", re.sub(r"Form\(\s*request\.POST\b", "", line))
    ]
    assert found == [], "Read it by portal/inputs/parameters.py."


def forms() -> list[type[BaseForm]]:
    """Every form class of ours, also of a module that only the settings name."""

    def ours(kind: type[BaseForm]) -> list[type[BaseForm]]:
        return [kind, *(inner for one in kind.__subclasses__() for inner in ours(one))]

    rooms = {config.name for config in apps.get_app_configs()} & set(ROOMS)
    for room in sorted(rooms):
        for module in pkgutil.walk_packages([str(ROOT / room)], prefix=f"{room}."):
            importlib.import_module(module.name)
    return [kind for kind in ours(BaseForm) if kind.__module__.partition(".")[0] in rooms]


# Django's own, with its own bounds; the operators' desk is held by the net.
THEIRS = {"PersonForm"}


def test_every_form_has_the_bounds_of_the_house() -> None:
    loose = [kind.__name__ for kind in forms() if not issubclass(kind, Bounded)]
    assert set(loose) <= THEIRS, "Derive it from portal.inputs.forms.Form or ModelForm."


def test_several_rows_are_chosen_by_the_field_that_knows_numbers() -> None:
    users = {
        str(path.relative_to(ROOT))
        for room in ROOMS
        for path in (ROOT / room).rglob("*.py")
        if re.search(r"\bModelMultipleChoiceField\(", path.read_text(encoding="utf-8"))
    }
    assert users == set(), "Use portal.inputs.forms.RowsField."


def leaves(part: Any, parts: Any, where: str, seen: tuple[str, ...] = ()) -> Iterator[Any]:
    """Every number and text in a part of the schema, with the words of the way to it."""
    name = str(part.get("$ref", "")).rpartition("/")[2]
    if name and name not in seen:
        yield from leaves(parts[name], parts, f"{where} {name}", (*seen, name))
    for one in (*part.get("anyOf", ()), *part.get("allOf", ())):
        yield from leaves(one, parts, where, seen)
    for key, one in part.get("properties", {}).items():
        yield from leaves(one, parts, f"{where}.{key}", seen)
    if isinstance(part.get("items"), dict):
        yield from leaves(part["items"], parts, f"{where}[]", seen)
    if part.get("type") in {"integer", "number", "string"}:
        yield where, part


def is_open_ended(part: Any) -> bool:
    if part["type"] == "string":
        return not part.keys() & {"enum", "format", "pattern", "const", "maxLength"}
    return not {"minimum", "maximum"} <= part.keys()


# A part of an address: the converter has read it.
READ = ("{slug} slug",)


def test_every_number_and_text_that_the_api_takes_has_both_its_ends() -> None:
    """What the schema does not bound, a database finds out."""
    schema = api.get_openapi_schema()
    parts, found = schema["components"]["schemas"], []
    for path, methods in schema["paths"].items():
        for method, told in methods.items():
            taken = {one["name"]: one["schema"] for one in told.get("parameters", [])}
            taken |= {
                kind: content["schema"]
                for kind, content in told.get("requestBody", {}).get("content", {}).items()
            }
            for name, part in taken.items():
                found += leaves(part, parts, f"{method} {path} {name}")
    open_ended = [where for where, part in found if is_open_ended(part)]
    assert [where for where in open_ended if not where.endswith(READ)] == []
