"""Times, sizes and states in words."""

from datetime import timedelta

import pytest
from django.template import Context, Template
from django.utils import timezone

from portal.templatetags import words


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (0.42, "0.4 s"),
        (9.0, "9 s"),
        (59.6, "1 min"),
        (123, "2 min 3 s"),
        (3600, "1 h"),
        (7260, "2 h 1 min"),
        (90_000, "1 d 1 h"),
        (-5, "0 s"),
        (None, words.NOTHING),
    ],
)
def test_duration(seconds: float | None, text: str) -> None:
    assert words.duration(seconds) == text


def test_ago() -> None:
    now = timezone.now()
    assert words.ago(now) == "just now"
    assert words.ago(now - timedelta(minutes=5)) == "5 min ago"
    assert words.ago(now + timedelta(hours=2, minutes=1)) == "in 2 h"
    assert words.ago(None) == "never"


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 B"), (999, "999 B"), (2_500_000, "2.5 MB"), (3e12, "3.0 TB")]
)
def test_bytes(count: float, text: str) -> None:
    assert words.size_words(count) == text


def test_states_and_shares() -> None:
    assert words.state_words("queued") == "Waiting"
    assert words.state_words("train_done") == "Train done"
    assert words.shares(333_333) == "33.3333 %"
    assert words.percent(0.034) == "3.4 %"
    assert words.percent(0.0001) == "< 0.1 %"


def test_when_escapes_nothing_it_should_not() -> None:
    moment = timezone.now()
    page = Template("{% load words %}{{ moment|when }}").render(Context({"moment": moment}))
    assert page.startswith(f'<time datetime="{moment.isoformat()}"')
