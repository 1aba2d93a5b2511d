"""The console by byte offset: kept once, read in order."""

import pytest

from backline import wire
from experiments.deliveries import logs, terminal
from experiments.models import Project, Run
from portal.models import User

pytestmark = pytest.mark.django_db


@pytest.fixture
def run(project: Project, ada: User) -> Run:
    return Run.objects.create(project=project, number=1, name="Probe", submitted_by=ada)


def say(run: Run, offset: int, text: str, stream: str = "stdout", session: str = "a") -> bool:
    piece = wire.LogPiece.model_validate(
        {"session": session, "stream": stream, "offset": offset, "text": text}
    )
    return logs.append(run, piece)


def test_a_piece_sent_twice_is_kept_once(run: Run) -> None:
    assert say(run, 0, "one\n")
    assert not say(run, 0, "one\n")
    assert [line.text for line in logs.tail(run, 10)] == ["one"]


def test_offsets_count_bytes_and_overlaps_give_their_rest(run: Run) -> None:
    say(run, 0, "é\n")
    assert say(run, 0, "é\nmore\n")
    assert say(run, 8, "last")
    assert logs.text(run, "stdout", "a") == "é\nmore\nlast"
    assert logs.text(run, "stdout", "a", offset=3) == "more\nlast"


def test_the_tail_has_both_streams_and_what_the_terminal_would_show(run: Run) -> None:
    say(run, 0, "loading 10%\rloading 90%\rdone\nhalf")
    say(run, 0, "Traceback\n", stream="stderr")
    say(run, 33, " a line\n")
    found = [(line.stream, terminal.as_text(line.text)) for line in logs.tail(run, 10)]
    assert found == [("stdout", "doneing 90%"), ("stderr", "Traceback"), ("stdout", "half a line")]
    assert [line.text for line in logs.tail(run, 1)] == ["half a line"]


def test_long_logs_are_read_from_their_end(run: Run) -> None:
    offset = 0
    for number in range(300):
        text = f"line {number}\n"
        say(run, offset, text)
        offset += len(text)
    assert [line.text for line in logs.tail(run, 3)] == ["line 297", "line 298", "line 299"]


def test_nul_and_html_are_only_text(run: Run) -> None:
    say(run, 0, "<script>\0</script>\n")
    assert logs.tail(run)[0].text == "<script>\N{REPLACEMENT CHARACTER}</script>"
