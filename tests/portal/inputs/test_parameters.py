"""The one reader of what an address asks: what it gives fits everywhere, or is refused in words."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from django.http import QueryDict
from django.test import Client

from backline import bounds
from portal.asgi import application, with_readable_charset
from portal.inputs.parameters import LONGEST, Parameters, Unreadable
from portal.models import User


def asked(query: str) -> Parameters:
    return Parameters(QueryDict(query))


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("7", 7), ("007", 7), (str(bounds.MAX_INT), bounds.MAX_INT), ("", None), ("-1", None),
        (str(bounds.MAX_INT + 1), None), ("9" * 5_000, None), ("1.5", None), (" 7", None),
        ("\u0667", None), ("\u00b2", None), ("7%00", None),
    ],
)  # fmt: skip
def test_a_number_is_one_that_a_row_can_have_or_none(text: str, number: int | None) -> None:
    assert asked(f"n={text}").number("n") == number


@pytest.mark.parametrize("read", [
    lambda one: one.text("q"), lambda one: one.texts("q"), lambda one: one.listed("q"),
    lambda one: dict(one.words()), lambda one: one.given("q"),
])  # fmt: skip
def test_a_text_that_no_database_keeps_is_refused_in_words(
    read: Callable[[Parameters], object],
) -> None:
    with pytest.raises(Unreadable, match="NUL"):
        read(asked("q=a%00b"))


def test_a_text_without_end_is_refused_with_its_length() -> None:
    assert asked("q=" + "a" * LONGEST).text("q")
    with pytest.raises(Unreadable, match=f"has {LONGEST + 1} characters"):
        asked("q=" + "a" * (LONGEST + 1)).text("q")


def test_options_that_make_no_sense_fall_back() -> None:
    assert asked("page=zz").page() == 1
    assert asked("state=zz").choice("state", ("open", "all"), "open") == "open"
    assert asked("n=1&n=x&n=3").numbers("n") == [1, 3]


@pytest.mark.django_db
@pytest.mark.parametrize("query", ["q=a%00b", "page=%00", "any%00thing=1", "q=" + "a" * 52_000])
def test_a_page_that_cannot_read_its_address_says_so(
    client: Client, rosa: User, query: str
) -> None:
    client.force_login(rosa)
    answer = client.get(f"/rights/recordings/?{query}")
    page = answer.content.decode()
    assert answer.status_code == 400
    assert "This could not be read" in page
    assert "Leave it out" in page or "Shorten it" in page


@pytest.mark.django_db
def test_a_program_is_answered_with_a_detail(client: Client, ada: User) -> None:
    client.force_login(ada)
    answer = client.get("/api/v1/projects?limit=%00")
    assert answer.status_code == 400
    assert "NUL" in answer.json()["detail"]


@pytest.mark.django_db
@pytest.mark.parametrize("kind", ["utf-7", "utf-16", "idna", "iso-8859-1"])
def test_letters_of_another_alphabet_are_refused(client: Client, ada: User, kind: str) -> None:
    client.force_login(ada)
    answer = client.get("/?q=1", CONTENT_TYPE=f"text/plain; charset={kind}")
    assert answer.status_code == 400
    assert "UTF-8" in answer.content.decode()


ODD = ["hex", "undefined", "base64", '"rot13"', "UTF-16", "hex; charset=hex"]
PLAIN = [
    b"", b"text/html", b"a/b; charset=UTF-8", b"a/b; charset=\xff", b"a/b; charset=nobody-knows",
    b"multipart/form-data; boundary=x",
]  # fmt: skip


@pytest.mark.asyncio
@pytest.mark.parametrize("kind", ODD)
async def test_an_alphabet_that_django_falls_over_is_refused_too(kind: str) -> None:
    said: list[dict[str, Any]] = []
    coming = iter([{"type": "http.request", "body": b""}])

    async def receive() -> dict[str, Any]:
        if message := next(coming, None):
            return message
        # Nobody hangs up.
        return await asyncio.Event().wait()  # type: ignore[return-value]

    async def send(message: dict[str, Any]) -> None:
        said.append(message)

    header = f"text/plain; charset={kind}".encode()
    scope = {
        "type": "http", "http_version": "1.1", "method": "GET", "path": "/healthz",
        "query_string": b"q=%C3%A9",
        "headers": [(b"content-type", header), (b"host", b"localhost")],
    }  # fmt: skip
    await application(scope, receive, send)
    assert said[0]["status"] == 400


@pytest.mark.parametrize("header", PLAIN)
def test_a_header_that_can_be_read_stays_as_it_is(header: bytes) -> None:
    assert with_readable_charset(header) == header


@pytest.mark.django_db
def test_a_cookie_that_cannot_be_kept_is_as_if_it_were_not_there(client: Client) -> None:
    answer = client.get("/models/", headers={"cookie": 'sessionid="a\\000b"; theme="\\000"'})
    assert answer.status_code == 200


@pytest.mark.django_db
@pytest.mark.parametrize("address", ["rights/parties/{}/", "projects/first-light/runs/{}/"])
@pytest.mark.parametrize("number", ["9" * 30, "9" * 5_000, str(2**63)])
def test_a_number_that_no_row_has_is_not_there(
    client: Client, rosa: User, address: str, number: str
) -> None:
    client.force_login(rosa)
    assert client.get("/" + address.format(number)).status_code == 404


@pytest.mark.django_db
def test_a_log_in_name_without_end_is_refused_before_it_is_looked_up(client: Client) -> None:
    answer = client.post("/account/login/", {"login": "a" * 100_000, "password": "x"})
    assert answer.status_code == 400
    assert "100,000 characters" in answer.content.decode()


@pytest.mark.django_db
@pytest.mark.parametrize(("method", "path", "status"), [
    ("post", "/health", 405), ("get", "/theme", 405), ("get", "/nothing/here/", 404),
])  # fmt: skip
def test_a_page_of_an_error_says_what_to_do_next(
    client: Client, olga: User, method: str, path: str, status: int
) -> None:
    client.force_login(olga)
    answer = getattr(client, method)(path)
    page = answer.content.decode()
    assert answer.status_code == status
    assert 'class="button" href="/"' in page
    assert "Go back" in page or "Check the address" in page
