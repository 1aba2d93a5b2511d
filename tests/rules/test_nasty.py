"""Whatever is sent, wherever, by whomever: never a 500, and no page that is broken from then on.

Of each kind of sending a sample with a fixed seed runs with every other test; all of it by
`pytest -m nasty`, on PostgreSQL by `python -m tests.postgres -m nasty`, in hours:
`-k "bodies or paths"` takes some kinds of it.
What was accepted is looked at: the pages that show it are walked before it is undone.
"""

import json
import math
import os
import random
import re
import urllib.parse
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from itertools import islice
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import transaction
from django.test import Client

from experiments.models import Comment, Report
from portal import tokens
from portal.api import api
from rights.withdrawal import descendants
from tests.rules import nasty
from tests.rules.everything import World, make_world, routes
from tests.rules.nasty_values import (
    CONTENTS,
    FILE_NAMES,
    HEADERS,
    RAW,
    RAW_BODIES,
    TEXTS,
)
from tests.rules.test_urls import text_of, with_object

pytestmark = [pytest.mark.django_db, pytest.mark.slow]

ROLES = ("nobody", "listener", "member", "viewer", "outsider", "holder", "stranger", "admin",
         "operator")  # fmt: skip
# Where what was accepted would be shown, by the room that it was sent to.
SHOWN = {
    "/rights": ("/rights/recordings/", "/rights/parties/", "/rights/grants/", "/rights/cases/",
                "/rights/signals/", "/rights/exports/recordings.csv",
                "/rights/exports/recordings.json", "/operator/portal/auditevent/"),
    "/listen": ("/listen/of/umbra/", "/listen/"),
    "/inbox": ("/inbox/?show=all", "/inbox/away/"),
    "/samples": ("/samples/of/umbra/", "/samples/clips/", "/samples/flags/", "/samples/copies/"),
    "/publishing": ("/models/", "/projects/umbra/models/"),
    "/api": ("/projects/umbra/", "/projects/umbra/runs/1/", "/projects/umbra/runs/1/state/",
             "/projects/umbra/runs/1/log/", "/projects/umbra/runs/1/config/",
             "/samples/of/umbra/", "/projects/umbra/compare/?runs=1,2"),
    "/projects": ("/projects/umbra/", "/projects/umbra/runs/1/", "/projects/umbra/datasets/",
                  "/projects/umbra/models/", "/operator/portal/auditevent/"),
    "": ("/", "/profile", "/tokens", "/operator/portal/user/"),
}  # fmt: skip
SEED = int(os.environ.get("NASTY_SEED", "20261129"))
# How many of each kind run with every other test; more by NASTY_SAMPLE, with another NASTY_SEED.
SAMPLE = int(os.environ.get("NASTY_SAMPLE", "50"))


@dataclass(frozen=True)
class Sending:
    """One request: what it is called in a failure, and how it is sent."""

    name: str
    role: str
    send: Callable[[Client], Any]
    # The page that it was sent from.
    page: str = ""


@dataclass
class House:
    """The world with a client for each role, and tokens beside."""

    world: World
    clients: dict[str, tuple[Client, str]] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)
    _pages: dict[str, Any] = field(default_factory=dict)

    def path(self, route: str) -> str:
        return self.world.address(with_object(route))

    def as_role(self, role: str) -> Client:
        client, session = self.clients.get(role, self.clients["nobody"])
        client.cookies = SimpleCookie({"sessionid": session} if session else {})
        return client

    def ask(self, one: Sending) -> str:
        """What went wrong, or nothing. Whatever the request changed is undone."""
        client = self.as_role(one.role)
        mark = transaction.savepoint()
        try:
            return self._asked(client, one)
        finally:
            transaction.savepoint_rollback(mark)

    def _asked(self, client: Client, one: Sending) -> str:
        answer = self._answer(lambda: one.send(client))
        if isinstance(answer, str):
            return f"{one.name}: {answer}"
        location = answer.headers.get("Location", "")
        changed = answer.request["REQUEST_METHOD"] == "POST" and answer.status_code < 400
        if not changed or "login" in location:
            return ""
        sent = answer.request["PATH_INFO"]
        shown = next(pages for start, pages in SHOWN.items() if sent.startswith(start))
        for page in filter(None, (location, one.page, *shown)):
            role = "operator" if page.startswith("/operator") else "admin"
            if page.startswith(("/projects", "/samples/of", "/profile", "/tokens")):
                role = "member"
            looker = self.as_role(role)
            seen = self._answer(lambda page=page, looker=looker: looker.get(page))
            if isinstance(seen, str):
                return f"{one.name}, and then {page}: {seen}"
        return ""

    @staticmethod
    def _answer(send: Callable[[], Any]) -> Any:
        try:
            answer = send()
            text = text_of(answer)
        except Exception as error:  # noqa: BLE001 - a stream may break off with anything.
            return f"broke off by {error!r:.200}"
        if answer.status_code >= 500 or "Traceback (most recent" in text:
            return f"{answer.status_code}"
        return answer


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("CRITICAL", logger="django.request")
    caplog.set_level("CRITICAL", logger="django.security")


@pytest.fixture
def house() -> House:
    world = make_world()
    viewer = world.people["outsider"]
    project = world.people["member"].memberships.get().project
    project.memberships.create(user=viewer, level="viewer")
    world.people["viewer"] = viewer
    found = House(world)
    for role in ROLES:
        client = world.client(role)
        kept = client.cookies.get("sessionid")
        found.clients[role] = (client, kept.value if kept else "")
    ada = world.people["member"]
    run = project.runs.get()
    found.secrets = {
        "run": tokens.issue(ada, "run", scope=f"run:{run.pk}")[1],
        "member": tokens.issue(ada, "script")[1],
        "admin": tokens.issue(world.people["admin"], "script")[1],
    }
    return found


# --- What is sent ---------------------------------------------------------------------------


def addresses(house: House) -> list[str]:
    """Every address that a person may open, with real numbers in it."""
    return sorted(
        {house.path(route) for route in routes() if "(?P" not in route and "logout" not in route}
    )


def in_paths(house: House) -> Iterator[Sending]:
    """Each text and number in place of each part of each address."""
    for route in routes():
        if "(?P" in route or "<" not in route:
            continue
        path = house.path(route)
        parts = path.split("/")
        dynamic = [n for n, part in enumerate(("/" + route).split("/")) if "<" in part]
        for place in dynamic:
            for text in (*TEXTS, "_00", "_0A_00"):
                spoiled = "/".join(
                    urllib.parse.quote(text, safe="") if n == place else part
                    for n, part in enumerate(parts)
                )
                for method in ("get", "post"):
                    yield Sending(
                        f"{method} {spoiled[:120]!r}", _role(route),
                        lambda c, m=method, p=spoiled: getattr(c, m)(p),
                    )  # fmt: skip


def in_queries(house: House, part: int = 0, parts: int = 1) -> Iterator[Sending]:
    """Each text as each parameter that the view reads; and as all that it may read at once, by
    everybody; at one part of the addresses."""
    for path in addresses(house)[part::parts]:
        every = nasty.parameters(path)
        for turn, text in enumerate(TEXTS):
            query = urllib.parse.urlencode(dict.fromkeys(every, text))
            yield _get(path, query, ROLES[turn % len(ROLES)], f"all={text[:20]!r}")
        names = nasty.read_parameters(house.as_role(_role(path)), path)
        for text in TEXTS:
            for name in names:
                yield _get(path, urllib.parse.urlencode({name: text}), _role(path), "")
        for raw in RAW:
            for name in (*names, raw):
                yield _get(path, f"{name}={raw}", _role(path), "")


def _get(path: str, query: str, role: str, words: str) -> Sending:
    return Sending(
        f"get {path}?{words or query[:100]} as {role}", role,
        lambda c: c.get(path, QUERY_STRING=query),
    )  # fmt: skip


def in_forms(house: House) -> Iterator[Sending]:
    """Of forms at some addresses, as the first who is shown them; looking for forms everywhere
    takes longer than sending a sample of what is in them."""
    paths = addresses(house)
    for path in random.Random(SEED).sample(paths, min(max(30, SAMPLE // 5), len(paths))):
        for role in _roles(path):
            forms = _forms(house, role, path)
            yield from _forms_filled(forms, role, path, set())
            if forms:
                break


def in_forms_of(house: House, part: int, parts: int) -> Iterator[Sending]:
    """Of all forms at one part of the addresses, as everybody who is shown them."""
    paths = addresses(house)
    random.Random(SEED).shuffle(paths)
    seen: set[tuple[str, ...]] = set()
    for path in paths[part::parts]:
        for role in _roles(path):
            yield from _forms_filled(_forms(house, role, path), role, path, seen)


def _roles(path: str) -> list[str]:
    return sorted(ROLES, key=lambda role: role != _role(path))


def _forms_filled(
    forms: list[nasty.HtmlForm], role: str, path: str, seen: set[tuple[str, ...]]
) -> Iterator[Sending]:
    """Each text in each field of each form; the rest as it stood there."""
    for form in forms:
        if form.method == "post" and (form.action, *form.fields) not in seen:
            seen.add((form.action, *form.fields))
            yield from _filled(form, role, path)


def _forms(house: House, role: str, path: str) -> list[nasty.HtmlForm]:
    answer = house.as_role(role).get(path)
    is_page = "html" in answer.headers.get("Content-Type", "") and not answer.streaming
    if answer.status_code != 200 or not is_page:
        return []
    return nasty.forms_of(path, answer.content.decode())


def _filled(form: nasty.HtmlForm, role: str, page: str) -> Iterator[Sending]:
    fields = {name: values for name, values in form.fields.items() if name != "csrfmiddlewaretoken"}
    for name in (*fields, "unknown"):
        for text in TEXTS:
            typed = fields | {name: [text]}
            yield Sending(
                f"post {form.action} {name}={text[:30]!r} as {role}", role,
                lambda c, t=typed: c.post(form.action, t), page,
            )  # fmt: skip
    for name in form.files:
        for file_name in FILE_NAMES:
            for content in CONTENTS:
                yield Sending(
                    f"post {form.action} {name} is {file_name[:20]!r} {content[:20]!r}", role,
                    lambda c, n=name, f=file_name, b=content: c.post(
                        form.action, fields | {n: _file(f, b)}
                    ),
                    page,
                )  # fmt: skip


def _file(name: str, content: bytes) -> SimpleUploadedFile:
    made = SimpleUploadedFile("x", content, content_type="a/b\0c; charset=hex")
    # Past Django's own care, as another client writes it.
    made._name = name
    return made


def in_bodies(house: House) -> Iterator[Sending]:
    """Each value at each place of each body of the API, by each kind of token and by cookie."""
    run = house.world.people["member"].memberships.get().project.runs.get()
    known = {"run_id": str(run.pk), "slug": run.project.slug, "act": "tag"}
    known["pk"] = str(Comment.objects.get().pk)
    known["number"] = str(Report.objects.get(deleted_at=None).pk)
    ids = {"RECORDING": _recording(house), "SHA": nasty.SHA, "RUN": known["run_id"]}
    for path, right in nasty.BODIES.items():
        body = _with(right, ids)
        for where, value, spoiled in nasty.spoiled(body):
            yield from _bodies(path, known, nasty.as_json(spoiled), f"{where}={value!r:.30}", house)
        for raw in RAW_BODIES:
            yield from _bodies(path, known, raw, f"{raw[:30]!r}", house)
    for path, right in nasty.METAS.items():
        for where, value, spoiled in nasty.spoiled(_with(right, ids)):
            meta = nasty.as_json(spoiled).decode()
            yield from _uploads(path, known, meta, f"{where}={value!r:.30}", house)
        for raw in RAW_BODIES:
            text = raw.decode("utf-8", "replace")
            yield from _uploads(path, known, text, f"{raw[:30]!r}", house)
    batches = f"/api/v1/runs/{known['run_id']}/batches"
    for raw in (*RAW_BODIES, *CONTENTS, b"BLMB\x01" + b"\xff" * 60):
        yield _post(batches + "?session=attempt-1&number=1", raw, "run", house, "a batch")
    media = f"/api/v1/runs/{known['run_id']}/media"
    for raw in (*RAW_BODIES, *CONTENTS, b"BLMM\x01" + b"\xff" * 60):
        yield _post(media + "?session=attempt-1&number=2", raw, "run", house, "media")


def _bodies(path: str, known: Any, raw: bytes, words: str, house: House) -> Iterator[Sending]:
    address = path.format(**known) + nasty.ADDITIONS.get(path, "")
    # What runs deliver comes by their own token; the rest by a person's.
    kinds = ("run",) if "{run_id}" in path else ("member", "admin")
    for kind in kinds:
        method = nasty.METHODS.get(path, "POST")
        yield _post(address, raw, kind, house, f"{address} {words}", method=method)
    yield Sending(
        f"post {address} {words} by cookie", "outsider",
        lambda c: c.post(address, raw, content_type="application/json"),
    )  # fmt: skip


def _post(
    address: str, raw: bytes, kind: str, house: House, words: str, *, method: str = "POST"
) -> Sending:
    return Sending(
        f"{method.lower()} {words} by the token of {kind}", "nobody",
        lambda c: c.generic(
            method, address, raw, content_type="application/json",
            headers={"authorization": f"Bearer {house.secrets[kind]}"},
        ),
    )  # fmt: skip


def _uploads(path: str, known: Any, meta: str, words: str, house: House) -> Iterator[Sending]:
    address = path.format(**known)
    secret = house.secrets["run"]
    yield Sending(
        f"post {address} meta {words}", "nobody",
        lambda c: c.post(
            address, {"meta": meta, "file": SimpleUploadedFile("a", nasty.FILE)},
            headers={"authorization": f"Bearer {secret}"},
        ),
    )  # fmt: skip


def in_api_queries(house: House) -> Iterator[Sending]:
    """Each text as each parameter that the schema of the API names."""
    right = {"old": "1", "name": "loss", "session": "attempt-1", "number": "1", "use": "eval"}
    for path, methods in api.get_openapi_schema()["paths"].items():
        address = house.path(_route_of(path))
        for method, told in methods.items():
            names = [one["name"] for one in told.get("parameters", []) if one["in"] == "query"]
            for name in names:
                for text in TEXTS:
                    query = urllib.parse.urlencode(right | {name: text})
                    words = f"{method} {path} {name}={text[:30]!r}"
                    for kind in house.secrets:
                        yield _api(method, address, query, words, house.secrets[kind])


def _api(method: str, address: str, query: str, words: str, secret: str) -> Sending:
    headers = {"authorization": f"Bearer {secret}"}
    return Sending(
        words,
        "nobody",
        lambda c: c.generic(method.upper(), address, QUERY_STRING=query, headers=headers),
    )


def _route_of(path: str) -> str:
    """The route that the schema writes as `/api/v1/runs/{run_id}/spec`."""
    plain = path.lstrip("/")
    for route in routes():
        words = _bare(route)
        if words == plain:
            return route
    raise AssertionError(f"No route is {path}.")


def _bare(route: str) -> str:
    return re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", route)


# One of each sort of answer: pages, parts, files, streams, and what programs ask.
ANSWERS = (
    "", "projects/<slug:slug>/", "projects/<slug:slug>/runs/<int:number>/live/", "theme",
    "projects/<slug:slug>/runs/<int:number>/curve/", "rights/recordings/", "account/login/",
    "rights/recordings/<int:pk>/audio/", "rights/exports/recordings.<str:extension>",
    "samples/<int:pk>/audio", "samples/<int:pk>/download", "samples/credentials/<uuid:number>.c2pa",
    "models/<slug:slug>/", "models/<slug:slug>/clips/<uuid:number>/audio",
    "listen/clips/<uuid:code>", "operator/", "api/v1/runs",
    "api/v1/runs/<uuidstr:run_id>/checkpoints/<int:step>",
)  # fmt: skip


def in_headers(house: House) -> Iterator[Sending]:
    for path in map(house.path, ANSWERS):
        for name, values in HEADERS.items():
            for value in values:
                for method in ("get", "head", "post"):
                    yield _with_header(method, path, name, value)


def _with_header(method: str, path: str, name: str, value: str) -> Sending:
    body = b"a=b" if method == "post" else b""
    key = name.upper().replace("-", "_")
    kind = value if key == "CONTENT_TYPE" else "application/x-www-form-urlencoded"
    extra = {key if key == "CONTENT_TYPE" else f"HTTP_{key}": value}
    return Sending(
        f"{method} {path} {name}: {value[:40]!r}",
        _role(path),
        lambda c: c.generic(method.upper(), path, body, content_type=kind, **extra),
    )


def _role(path: str) -> str:
    """Somebody who sees this address, so that it is read to its end."""
    first = path.strip("/").split("/")[0]
    part = path.strip("/")
    if part.startswith(("rights/mine", "samples/mine")):
        return "holder"
    if first in {"operator", "health"}:
        return "operator"
    if part.startswith(("samples/flags", "samples/copies", "samples/clips", "publishing")):
        return "admin"
    return "admin" if first == "rights" else "member"


def _recording(house: House) -> int:
    return int(house.path("rights/recordings/<int:pk>/").split("/")[3])


def _with(body: Any, ids: dict[str, Any]) -> Any:
    text = json.dumps(body)
    for word, value in ids.items():
        text = text.replace(f'"{word}"', json.dumps(value))
    return json.loads(text)


KINDS: dict[str, Callable[..., Iterable[Sending]]] = {
    "paths": in_paths,
    "queries": in_queries,
    "forms": in_forms,
    "bodies": in_bodies,
    "api queries": in_api_queries,
    "headers": in_headers,
}


# --- The tests ------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_a_sample_of_what_is_nasty_is_answered_with_sense(house: House, kind: str) -> None:
    _check(house, _sampled(house, kind))


def _sampled(house: House, kind: str) -> list[Sending]:
    dice = random.Random(SEED)
    if kind != "queries":
        return _some(dice, KINDS[kind](house), SAMPLE)
    # Some at each of a sample of addresses: finding out what all of them read would take longer
    # than all other tests of these rules.
    count = len(addresses(house))
    places = dice.sample(range(count), min(SAMPLE, count))
    each = math.ceil(SAMPLE / len(places))
    return [one for place in places for one in _some(dice, in_queries(house, place, count), each)]


def _some(dice: random.Random, sendings: Iterable[Sending], number: int) -> list[Sending]:
    found = list(sendings)
    return dice.sample(found, min(number, len(found)))


# Each in a house of its own: a transaction of ten thousand requests holds more locks than
# PostgreSQL has room for. Some take their part of the addresses, others every sixth sending.
BY_ADDRESS: dict[str, Callable[..., Iterable[Sending]]] = {
    "forms": in_forms_of,
    "queries": in_queries,
}
PARTS = [(kind, part, 24 if kind in BY_ADDRESS else 6) for kind in KINDS for part in range(24)]


@pytest.mark.nasty
@pytest.mark.parametrize(("kind", "part", "parts"), [one for one in PARTS if one[1] < one[2]])
def test_all_that_is_nasty_is_answered_with_sense(
    house: House, kind: str, part: int, parts: int
) -> None:
    if kind in BY_ADDRESS:
        _check(house, BY_ADDRESS[kind](house, part, parts))
    else:
        _check(house, islice(KINDS[kind](house), part, None, parts))


def test_every_body_of_the_api_has_a_right_example_to_spoil() -> None:
    known = set(nasty.BODIES) | set(nasty.METAS)
    taken = {
        path
        for path, methods in api.get_openapi_schema()["paths"].items()
        for told in methods.values()
        if "requestBody" in told
    }
    assert known == taken, "Say in BODIES or METAS what a right body is."


def test_what_is_typed_as_the_number_of_a_descendant_names_one_or_nothing(house: House) -> None:
    assert len(descendants.kinds()) >= 7
    for kind in descendants.kinds():
        for text in TEXTS:
            assert set(kind.now([text])) <= {text}, kind.name
            assert kind.open_to([text], house.world.people["member"]) <= {text}, kind.name
            kind.retire([text], "never")


def _check(house: House, sendings: Iterable[Sending]) -> None:
    wrong = []
    for sending in sendings:
        if words := house.ask(sending):
            wrong.append(words)
            # Seen at once by who asked for all of it with `-s`.
            print(words, flush=True)
    assert not wrong, f"{len(wrong)} are wrong:\n" + "\n".join(wrong[:60])
