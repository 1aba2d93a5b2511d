"""A log reads as a terminal shows it, all of it, page by page, searched and as a file."""

import pytest
from django.test import Client
from django.urls import reverse
from hypothesis import given
from hypothesis import strategies as st

from backline import wire
from experiments.deliveries import log_pages, logs, terminal
from experiments.models import Project, Run
from experiments.runs import runs
from portal.models import User


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("plain ✓", "plain ✓"),
        ("10%\r 9%", " 9%"),
        ("100 %\rdone", "done%"),
        ("100 %\r\x1b[Kdone", "done"),
        ("done\r", "done"),
        ("a\r\r\nb"[:3], "a"),
        ("ab\bc", "ac"),
        ("\b\bx", "x"),
        ("one\x1b[2Ktwo", "   two"),
        ("abc\x1b[2Dx", "axc"),
        ("abc\x1b[1Gx", "xbc"),
        ("a\x1b[3Cb", "a   b"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07text", "text"),
        ("\x1b]8;;https://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1b[?25lhidden\x1b[?25h", "hidden"),
        ("\x1b[A\x1b[1Bup", "up"),
        ("bell\x07, null\x00", "bell, null"),
        ("tab\tbed", "tab\tbed"),
        ("cut \x1b[3", "cut "),
    ],
)
def test_a_line_is_what_a_terminal_shows(line: str, text: str) -> None:
    assert terminal.as_text(line) == text


@pytest.mark.parametrize(
    ("line", "html"),
    [
        ("\x1b[1;31m<b>\x1b[0m", '<span class="ink-1 bold">&lt;b&gt;</span>'),
        ("\x1b[92mok\x1b[39m no", '<span class="ink-10">ok</span> no'),
        ("\x1b[38;5;196mr", '<span class="ink-1">r</span>'),
        ("\x1b[38;2;0;0;230mb", '<span class="ink-4">b</span>'),
        ("\x1b[44;97mx", '<span class="ink-15 ground-4">x</span>'),
        ("\x1b[7mi\x1b[27mn", '<span class="inverse">i</span>n'),
        ("\x1b[mx", "x"),
    ],
)
def test_colours_are_classes_and_text_is_escaped(line: str, html: str) -> None:
    assert terminal.as_html(line) == html


@given(st.text(st.sampled_from("ab<\r\b\t\x1b[;0123456789mKGCDAJ?\x07]"), max_size=60))
def test_whatever_is_printed_is_safe_and_has_one_text(line: str) -> None:
    html = terminal.as_html(line)
    bare = html
    for mark in ("</span>", *(f'<span class="{c}">' for c in _classes(html))):
        bare = bare.replace(mark, "")
    assert "<" not in bare
    assert bare.replace("&lt;", "<") == terminal.as_text(line)


def _classes(html: str) -> set[str]:
    return {part.partition('"')[0] for part in html.split('<span class="')[1:]}


def test_a_progress_bar_of_a_day_takes_no_time_at_all() -> None:
    line = "".join(f"\r{n:>9}%" for n in range(200_000))
    assert terminal.as_text(line).strip() == "199999%"


@pytest.fixture
def run(ada: User, project: Project) -> Run:
    return runs.open_client_run(by=ada, project=project)


def write(run: Run, *texts: str, session: str = "attempt-1", stream: str = "stdout") -> None:
    before = sum(
        len(chunk.text.encode()) for chunk in run.logs.filter(session=session, stream=stream)
    )
    for text in texts:
        piece = wire.LogPiece(session=session, stream=stream, offset=before, text=text)  # type: ignore[arg-type]
        logs.append(run, piece)
        before += len(text.encode())


@pytest.mark.django_db
def test_pages_have_every_line_once_however_it_was_cut(run: Run) -> None:
    text = "".join(f"line {number}\n" for number in range(1, 2_501)) + "unfinished"
    write(run, *(text[at : at + 997] for at in range(0, len(text), 997)))
    write(run, "an error\n", stream="stderr")
    found = [log_pages.read_page(run, page) for page in (1, 2, 3)]
    assert [page.pages for page in found] == [3, 3, 3]
    assert [len(page.lines) for page in found] == [1_000, 1_000, 502]
    lines = [line for page in found for line in page.lines]
    assert [line.number for line in lines] == list(range(1, 2_503))
    assert [line.text for line in lines][:2_500] == [f"line {n}" for n in range(1, 2_501)]
    assert [line.text for line in lines][2_500:] == ["an error", "unfinished"]
    assert log_pages.read_page(run, None).page == 3
    assert log_pages.read_page(run, 99).page == 3
    assert "".join(logs.whole(run)) == text + "an error\n"


@pytest.mark.django_db
def test_an_empty_log_and_a_whole_page_have_one_page(run: Run) -> None:
    assert log_pages.read_page(run, None) == log_pages.LogPage([], 1, 1, 0)
    write(run, "x\n" * log_pages.PAGE)
    whole = log_pages.read_page(run, 1)
    assert (whole.pages, len(whole.lines)) == (1, log_pages.PAGE)
    write(run, "y")
    assert len(log_pages.read_page(run, 1).lines) == log_pages.PAGE + 1


@pytest.mark.django_db
def test_a_search_finds_what_is_shown_also_across_pieces(run: Run) -> None:
    write(run, "one\ntw", "o \x1b[31mRed\x1b[0mdish\n10%\r20%\n", "two\n" * 600)
    assert [line.number for line in log_pages.search(run, "REDDISH").matches] == [2]
    assert log_pages.search(run, "10%").count == 0
    assert log_pages.search(run, "20%").count == 1
    found = log_pages.search(run, "two")
    assert (found.count, len(found.matches)) == (601, log_pages.MATCHES)
    assert log_pages.search(run, "%_").count == 0


@pytest.mark.django_db
def test_the_page_of_the_log(client: Client, ada: User, ben: User, run: Run) -> None:
    write(run, *("".join(f"line {n}\n" for n in range(a, a + 500)) for a in range(1, 1_501, 500)))
    write(run, "rank one\n", session="attempt-1-rank-1-1f0c9a")
    address = reverse("experiments:run_log", args=[run.project.slug, run.number])
    file = reverse("experiments:run_log_file", args=[run.project.slug, run.number])
    client.force_login(ben)
    assert {client.get(address).status_code, client.get(file).status_code} == {404}
    client.force_login(ada)
    page = client.get(address).content.decode()
    assert "Page 2 of 2" in page
    assert 'id="L1501"' in page
    assert 'id="L1000"' not in page
    assert 'id="L1"' in client.get(address + "?page=1").content.decode()
    found = client.get(address + "?q=LINE 1499").content.decode()
    assert "1 line with" in found
    assert "?page=2#L1499" in found
    assert "No line has it" in client.get(address + "?q=nowhere").content.decode()
    assert "rank one" in client.get(address + "?rank=1").content.decode()
    answer = client.get(file)
    assert 'filename="first-light-1.log"' in answer["Content-Disposition"]
    content = b"".join(answer.streaming_content)  # type: ignore[attr-defined]
    assert content.startswith(b"line 1\nline 2\n")
