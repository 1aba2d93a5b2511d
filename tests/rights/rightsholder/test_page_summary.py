"""What all recordings of a page have in common is said once, and only what differs beside them."""

from rights.models import Use
from rights.rightsholder import page_summary
from rights.rightsholder.use_status import Choice, UseStatus


def row(**words: Choice) -> list[UseStatus]:
    """The statuses of a recording: the uses named are as given, all others off."""
    chosen = {Use[name.upper()]: word for name, word in words.items()}
    return [UseStatus(use, chosen.get(use, Choice.OFF)) for use in Use]


def test_what_most_have_is_said_once() -> None:
    summary = page_summary.summarise(
        {1: row(eval=Choice.ON), 2: row(eval=Choice.ON), 3: row(eval=Choice.ON, voice=Choice.ON)}
    )
    assert summary.on == [Use.EVAL]
    assert summary.off == len(Use) - 1
    assert summary.different[1] == []
    assert [one.use for one in summary.different[3]] == [Use.VOICE]


def test_a_recording_that_lacks_what_the_others_have_says_so() -> None:
    rows = {1: row(eval=Choice.ON), 2: row(eval=Choice.ON), 3: row()}
    summary = page_summary.summarise(rows)
    assert [(one.use, one.short) for one in summary.different[3]] == [(Use.EVAL, "off")]


def test_what_waits_is_neither_on_nor_off() -> None:
    summary = page_summary.summarise({1: row(stems=Choice.OFFERED)})
    assert [one.use for one in summary.not_yet] == [Use.STEMS]
    assert (summary.on, summary.off) == ([], len(Use) - 1)


def test_a_page_of_nothing_has_nothing_in_common() -> None:
    summary = page_summary.summarise({})
    assert (summary.on, summary.not_yet, summary.off, summary.different) == ([], [], 0, {})
