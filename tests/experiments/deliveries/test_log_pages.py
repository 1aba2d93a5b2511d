"""The whole log: numbered alike however it was cut, searched without reading all of it."""

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from hypothesis import given, settings
from hypothesis import strategies as st

from backline import wire
from experiments.deliveries import log_pages, logs, terminal
from experiments.models import LogChunk, Project, Run
from experiments.runs import runs
from portal.models import User

pytestmark = pytest.mark.django_db


@pytest.fixture
def run(ada: User, project: Project) -> Run:
    return runs.open_client_run(by=ada, project=project)


def write(run: Run, text: str, *, session: str = "attempt-1") -> None:
    own = run.logs.filter(session=session, stream="stdout").order_by("-pk").first()
    offset = own.offset + len(own.text.encode()) if own else 0
    logs.append(run, wire.LogPiece(session=session, stream="stdout", offset=offset, text=text))


def numbers(found: log_pages.Search) -> list[int]:
    return [line.number for line in found.matches]


def test_a_search_reads_only_pieces_that_can_have_the_text(run: Run) -> None:
    for number in range(50):
        write(run, f"step {number}\n" * 10)
    write(run, "here is the Needle\n")
    with CaptureQueriesContext(connection, ) as queries:  # fmt: skip
        found = log_pages.search(run, "needle")
    assert numbers(found) == [501]
    texts = [sql for sql in (query["sql"] for query in queries) if "IN (" in sql]
    # One piece of 51 was read: the statement names one number.
    assert len(texts) == 1
    assert "," not in texts[0].rpartition("IN (")[2].partition(")")[0]


def test_pieces_from_before_that_was_noted_are_counted_and_searched_alike(run: Run) -> None:
    write(run, "one\ntwo\n")
    write(run, "thr")
    write(run, "ee\nfour\n")
    LogChunk.objects.update(breaks=None, plain=None)
    write(run, "five\n")
    assert log_pages.read_page(run, 1).total == 5
    assert numbers(log_pages.search(run, "three")) == [3]
    assert numbers(log_pages.search(run, "FIVE")) == [5]


def test_what_is_not_ascii_is_found_in_either_case(run: Run) -> None:
    write(run, "plain\n")
    write(run, "Größe: 3\n")
    write(run, "STRASSE\n")
    assert numbers(log_pages.search(run, "GRÖSSE")) == [2]
    assert numbers(log_pages.search(run, "straße")) == [3]
    assert numbers(log_pages.search(run, "grösse")) == [2]


@settings(max_examples=25)
@given(
    pieces=st.lists(
        st.tuples(st.sampled_from("ab"), st.text("xY\n\r\x1b[m1é", min_size=1, max_size=8)),
        max_size=12,
    ),
    needle=st.text("xy1é", min_size=1, max_size=2),
)
def test_a_search_finds_what_a_reader_of_everything_finds(
    pieces: list[tuple[str, str]], needle: str
) -> None:
    run = Run.objects.get_or_create(
        number=77, project=_project(), defaults={"name": "p", "submitted_by": _user()}
    )[0]
    run.logs.all().delete()
    for session, text in pieces:
        write(run, text, session=session)
    lines = list(logs.lines_in(run.logs.order_by("pk")))
    wanted = [line.number for line in lines if needle in terminal.as_text(line.text).casefold()]
    assert numbers(log_pages.search(run, needle)) == wanted
    for after in (0, len(lines) // 2):
        assert log_pages.read_after(run, after).lines == lines[after:]


def _user() -> User:
    return User.objects.get_or_create(username="writer")[0]


def _project() -> Project:
    return Project.objects.get_or_create(slug="log-words", defaults={"name": "Log words"})[0]


def test_who_follows_gets_the_new_lines_and_the_unfinished_one_again(
    client: Client, ada: User, ben: User, run: Run
) -> None:
    write(run, "one\ntwo\nhal")
    page = reverse("experiments:run_log", args=[run.project.slug, run.number])
    lines = reverse("experiments:run_log_lines", args=[run.project.slug, run.number])
    client.force_login(ben)
    assert client.get(lines).status_code == 404
    client.force_login(ada)
    text = client.get(page).content.decode()
    assert f'data-follow="{lines}?after="' in text
    assert 'data-last="2"' in text
    assert 'id="L3" data-unfinished' in text
    write(run, "f <b>\nfour\n")
    grown = client.get(lines, {"after": 2}).content.decode()
    assert 'data-last="4"' in grown
    assert "half &lt;b&gt;" in grown
    assert 'id="L2"' not in grown
    assert "data-unfinished" not in grown
    assert "data-more" not in grown
    # Nonsense is as no number.
    assert 'id="L1"' in client.get(lines, {"after": "x"}).content.decode()


def test_more_than_a_page_at_once_comes_in_pages(run: Run) -> None:
    write(run, "x\n" * (log_pages.PAGE + 5))
    first = log_pages.read_after(run, 0)
    assert (len(first.lines), first.last, first.more) == (log_pages.PAGE, log_pages.PAGE, True)
    rest = log_pages.read_after(run, first.last)
    assert (len(rest.lines), rest.more) == (5, False)


def test_a_line_has_an_address(client: Client, ada: User, run: Run) -> None:
    write(run, "x\n" * (2 * log_pages.PAGE))
    client.force_login(ada)
    page = reverse("experiments:run_log", args=[run.project.slug, run.number])
    assert 'id="L120"' in client.get(page, {"line": 120}).content.decode()
    assert 'id="L120"' not in client.get(page).content.decode()
    assert "Page 2 of 2" in client.get(page, {"line": 10**9}).content.decode()
    # A run that has ended does not grow.
    assert "data-follow" in client.get(page).content.decode()
    runs.close_client_run(run, outcome="finished", reason="")
    assert "data-follow" not in client.get(page).content.decode()
