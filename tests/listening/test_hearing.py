"""What was heard of a clip: noted by the portal and the page's script, carried by the answer."""

from datetime import timedelta
from itertools import pairwise

import pytest
from django.db import IntegrityError, transaction
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from audio_samples import samples
from audio_samples.models import Sample
from experiments.models import Project, Run
from listening import hearing, trials
from listening.models import Hearing, Item, ListeningTest, Rating
from portal.models import User
from tests.audio_samples.cast import make_run
from tests.catalogue import make_allowed
from tests.tones import tone

JSON = {"Accept": "application/json"}
Heard = Rating.Heard


@pytest.fixture
def run(ada: User, rosa: User, project: Project) -> Run:
    return make_run(ada, project, make_allowed(rosa, 1))


@pytest.fixture
def item(ada: User, run: Run) -> Item:
    """A clip of 4 seconds: 3.8 of them are to be heard."""
    return clip_in_test(ada, run, seconds=4.0)


@pytest.fixture
def long_item(ada: User, run: Run) -> Item:
    """A clip of 30 seconds: ten of them are to be heard."""
    return clip_in_test(ada, run, seconds=30.0)


def clip_in_test(by: User, run: Run, *, seconds: float) -> Item:
    sample = samples.receive(
        run=run, name="final/0", prompt="slow techno", final=True, file=tone(seconds=seconds)
    )
    test = trials.open_test(by=by, project=run.project, title="T", question="Q", samples=[sample])
    return test.items.get()


def as_user(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def fetch(user: User, item: Item, **headers: str) -> int:
    url = reverse("listening:audio", args=[item.code])
    return as_user(user).get(url, headers=headers).status_code


def report(user: User, item: Item, **said: object):
    return as_user(user).post(reverse("listening:heard", args=[item.code]), said)


def answer(user: User, item: Item, **said: object):
    """As the page's script sends it; without `stretches`, as a page without scripts."""
    url = reverse("listening:answer", args=[item.code])
    return as_user(user).post(url, {"score": "4", **said}, headers=JSON)


def played(item: Item, listener: User, *stretches: tuple[int, int], **said: object) -> Hearing:
    return hearing.note_played(item=item, listener=listener, stretches=stretches, **said)  # type: ignore[arg-type]


# What has to be heard


@pytest.mark.parametrize(
    ("seconds", "milliseconds"), [(0.6, 570), (4.0, 3_800), (10.0, 9_500), (11.0, 10_000),
                                  (180.0, 10_000)],
)  # fmt: skip
def test_a_short_clip_is_heard_whole_and_ten_seconds_of_a_long_one(
    seconds: float, milliseconds: int
) -> None:
    assert hearing.required_ms(seconds) == milliseconds


def test_an_answer_waits_until_enough_was_heard(item: Item, lou: User) -> None:
    fetch(lou, item)
    refused = answer(lou, item, stretches="0-3799", plays="1")
    assert refused.status_code == 422
    assert refused.json()["error"] == "Listen first; 1 s to go."
    assert not Rating.objects.exists()
    assert answer(lou, item, stretches="0-3800", plays="0").json() == {"score": 4}


def test_what_a_refused_answer_brought_along_is_kept(item: Item, lou: User) -> None:
    fetch(lou, item)
    answer(lou, item, stretches="0-2000")
    assert answer(lou, item, stretches="2000-4000").status_code == 200


def test_an_answer_carries_what_was_heard(item: Item, lou: User) -> None:
    fetch(lou, item)
    report(lou, item, stretches="0-2000", plays="1")
    answer(lou, item, stretches="1000-4000", plays="2")
    rating = Rating.objects.get()
    assert (rating.heard, rating.plays, rating.muted) == (Heard.WHOLE, 3, False)
    assert rating.seconds_heard == pytest.approx(4.0)
    assert rating.share_heard == pytest.approx(1.0)
    assert rating.first_played_at == Hearing.objects.get().first_played_at is not None


def test_ten_seconds_of_a_long_clip_are_a_part_of_it(long_item: Item, lou: User) -> None:
    fetch(lou, long_item)
    assert (
        answer(lou, long_item, stretches="0-6000").json()["error"].startswith("Listen first; 4 s")
    )
    answer(lou, long_item, stretches="20000-24000")
    rating = Rating.objects.get()
    assert (rating.heard, rating.seconds_heard) == (Heard.PART, 10.0)
    assert rating.share_heard == pytest.approx(1 / 3)


def test_a_changed_answer_carries_what_was_heard_until_then(long_item: Item, lou: User) -> None:
    fetch(lou, long_item)
    answer(lou, long_item, stretches="0-10000")
    answer(lou, long_item, stretches="10000-30000", score="2")
    rating = Rating.objects.get()
    assert (rating.score, rating.changes, rating.heard) == (2, 1, Heard.WHOLE)


def test_the_same_answer_again_brings_along_what_was_heard_since(item: Item, lou: User) -> None:
    fetch(lou, item)
    answer(lou, item)
    before = Rating.objects.get()
    answer(lou, item, stretches="0-4000")
    rating = Rating.objects.get()
    assert (before.heard, rating.heard) == (Heard.UNMEASURED, Heard.WHOLE)
    assert (rating.changes, rating.answered_at) == (0, before.answered_at)


def test_a_plain_answer_after_a_measured_one_takes_nothing_away(item: Item, lou: User) -> None:
    fetch(lou, item)
    answer(lou, item, stretches="0-4000")
    answer(lou, item)
    assert Rating.objects.get().heard == Heard.WHOLE


def test_an_answer_of_before_has_no_record_and_gets_one_when_it_is_given_again(
    item: Item, lou: User
) -> None:
    Rating.objects.create(item=item, listener=lou, score=4)
    assert Rating.objects.get().heard == Heard.UNRECORDED
    fetch(lou, item)
    answer(lou, item, stretches="0-4000", score="4")
    assert Rating.objects.get().heard == Heard.WHOLE


@pytest.mark.parametrize(("heard", "seconds"), [("whole", None), ("", 3.0), ("unmeasured", 3.0)])
def test_seconds_stand_where_something_was_measured_and_nowhere_else(
    item: Item, lou: User, heard: str, seconds: float | None
) -> None:
    with pytest.raises(IntegrityError, match="heard_is_measured"), transaction.atomic():
        Rating.objects.create(item=item, listener=lou, score=4, heard=heard, seconds_heard=seconds)


# What the portal notes by itself


def test_nobody_rates_what_was_never_sent_to_them(item: Item, lou: User, ada: User) -> None:
    fetch(ada, item)
    for said in ({}, {"stretches": "0-4000"}):
        refused = answer(lou, item, **said)
        assert refused.status_code == 422
        assert "Play the clip first" in refused.json()["error"]
    assert not Rating.objects.exists()


def test_a_page_without_scripts_says_so_beside_the_scale_and_keeps_the_choice(
    item: Item, lou: User
) -> None:
    url = reverse("listening:answer", args=[item.code])
    page = as_user(lou).post(url, {"score": "4"})
    text = page.content.decode()
    assert page.status_code == 422
    assert 'id="scale-error" role="alert">Play the clip first' in text
    assert 'value="4" required checked' in text
    assert str(item.code) in text


def test_without_scripts_it_is_enough_that_the_clip_was_sent(item: Item, lou: User) -> None:
    fetch(lou, item)
    assert answer(lou, item).status_code == 200
    rating = Rating.objects.get()
    assert (rating.heard, rating.seconds_heard, rating.plays) == (Heard.UNMEASURED, None, None)


@pytest.mark.parametrize("part", ["bytes=0-", "bytes=100-199"])
def test_a_part_that_was_sent_counts_and_one_row_is_enough(
    item: Item, lou: User, part: str
) -> None:
    assert {fetch(lou, item, Range=part), fetch(lou, item, Range=part)} == {206}
    assert Hearing.objects.get().stretches == []


@pytest.mark.parametrize("headers", [{"If-None-Match": "*"}, {"Range": "bytes=99999999-"}])
def test_an_answer_without_bytes_does_not_count(
    item: Item, lou: User, headers: dict[str, str]
) -> None:
    assert fetch(lou, item, **headers) in {304, 416}
    as_user(lou).head(reverse("listening:audio", args=[item.code]))
    assert not Hearing.objects.exists()


def test_a_withdrawn_clip_is_neither_sent_nor_noted(item: Item, lou: User, ada: User) -> None:
    fetch(lou, item)
    samples.withhold(Sample.objects.get(), by=ada, reason="Noor withdrew it")
    told = report(lou, item, stretches="0-4000")
    assert (told.status_code, told.content.decode()) == (
        410, "This clip was withdrawn and can no longer be heard.",
    )  # fmt: skip
    assert "Noor" not in told.content.decode()
    assert Hearing.objects.get().stretches == []
    assert answer(lou, item, stretches="0-4000").status_code == 410


# What the page reports


def test_reports_add_up_over_visits_and_tabs_and_count_no_second_twice(
    item: Item, lou: User
) -> None:
    fetch(lou, item)
    report(lou, item, stretches="0-1000,3000-3500", plays="1")
    told = report(lou, item, stretches="500-1500", plays="1")
    assert told.json() == {"heard": "0-1500,3000-3500"}
    assert report(lou, item, stretches="500-1500").json() == told.json()
    assert Hearing.objects.get().plays == 2


def test_what_one_heard_nobody_else_did(item: Item, lou: User, ada: User) -> None:
    fetch(lou, item)
    fetch(ada, item)
    report(lou, item, stretches="0-4000")
    assert answer(ada, item, stretches="").status_code == 422


def test_a_page_goes_on_from_what_was_heard_before(item: Item, lou: User) -> None:
    fetch(lou, item)
    report(lou, item, stretches="0-1500")
    page = as_user(lou).get(reverse("listening:rate", args=[item.test_id])).content.decode()
    assert 'data-heard="0-1500" data-required="3800"' in page


def test_when_it_was_first_played_stays(item: Item, lou: User) -> None:
    fetch(lou, item)
    assert Hearing.objects.get().first_played_at is None
    first = played(item, lou, plays=1).first_played_at
    assert played(item, lou, (0, 900), plays=1).first_played_at == first is not None


def test_playing_without_sound_is_noted_and_stays_noted(item: Item, lou: User) -> None:
    fetch(lou, item)
    report(lou, item, stretches="", plays="1", muted="yes")
    answer(lou, item, stretches="0-4000")
    assert Rating.objects.get().muted


def test_nothing_beyond_the_end_is_heard(item: Item, lou: User) -> None:
    fetch(lou, item)
    played(item, lou, (3900, 999_999_999), (5000, 6000))
    assert Hearing.objects.get().stretches == [[3900, 4000]]


@pytest.mark.parametrize("said", ["x", "5", "5-", "-5", "9-5", "5-5", "1.5-2", "٣-٤", "0-1;2-3",
                                  "0-" + "9" * 10, "0-1-2"])  # fmt: skip
def test_what_is_no_list_of_stretches_is_refused(item: Item, lou: User, said: str) -> None:
    fetch(lou, item)
    refused = report(lou, item, stretches=said)
    assert refused.status_code == 422
    assert refused.json()["error"].startswith("What was played is a list of milliseconds")


@pytest.mark.parametrize(("plays", "stored"), [("", 0), ("-3", 0), ("9" * 19, 0),
                                               ("5000", hearing.MOST_PLAYS)])  # fmt: skip
def test_plays_are_a_small_number(item: Item, lou: User, plays: str, stored: int) -> None:
    fetch(lou, item)
    report(lou, item, stretches="", plays=plays)
    assert Hearing.objects.get().plays == stored


def test_reports_come_from_who_may_answer_and_end_with_the_test(
    item: Item, lou: User, rosa: User, ada: User
) -> None:
    fetch(lou, item)
    assert report(rosa, item, stretches="0-10").status_code == 404
    trials.close_test(ListeningTest.objects.get(), by=ada)
    late = report(lou, item, stretches="0-10")
    assert (late.status_code, late.json()) == (409, {"error": trials.CLOSED})
    assert report(rosa, item, stretches="0-10").status_code == 404
    told = answer(lou, item, stretches="0-4000")
    assert "closed" in told.json()["error"]
    assert Hearing.objects.get().stretches == []


@given(
    st.lists(
        st.tuples(st.integers(0, 9_000), st.integers(1, 2_000)).map(lambda p: (p[0], p[0] + p[1])),
        max_size=12,
    ),
    st.integers(0, 12),
)
def test_the_union_is_the_same_in_one_report_and_in_two(
    stretches: list[tuple[int, int]], cut: int
) -> None:
    once = hearing.union(stretches)
    assert hearing.union([*hearing.union(stretches[:cut]), *stretches[cut:]]) == once
    gaps = [start - end for (_, end), (start, _) in pairwise(once)]
    assert all(gap > hearing.GAP_MS for gap in gaps)
    assert all(any(a <= start and end <= b for a, b in once) for start, end in stretches)


# The results


def rate(item: Item, listener: User, score: int, heard: str) -> None:
    seconds = 4.0 if heard in {"whole", "part"} else None
    Rating.objects.create(
        item=item, listener=listener, score=score, heard=heard, seconds_heard=seconds
    )


def test_results_count_what_was_heard_and_leave_out_the_rest(
    item: Item, ada: User, ben: User, lou: User, rosa: User
) -> None:
    for listener, score, heard in (
        (lou, 5, "whole"), (ada, 1, "unmeasured"), (ben, 1, ""), (rosa, 3, "part"),
    ):  # fmt: skip
        rate(item, listener, score, heard)
    everything, whole = trials.results(item.test), trials.results(item.test, whole_only=True)
    counted = [(line.kind, line.answers) for line in everything.heard]
    assert counted == [(Heard.WHOLE, 1), (Heard.PART, 1), (Heard.UNMEASURED, 1),
                       (Heard.UNRECORDED, 1)]  # fmt: skip
    assert (everything.answers, everything.left_out) == (4, 0)
    assert everything.runs[0].estimate.mean == everything.samples[0].estimate.mean == 2.5
    assert (whole.answers, whole.listeners, whole.left_out) == (1, 1, 3)
    assert whole.runs[0].estimate.mean == whole.samples[0].estimate.mean == 5
    assert whole.heard == everything.heard


def test_the_page_of_results_says_how_many_it_leaves_out(item: Item, ada: User, lou: User) -> None:
    rate(item, lou, 5, "whole")
    rate(item, ada, 1, "")
    url = reverse("listening:results", args=[item.test.project.slug, item.test_id])
    page = as_user(ada).get(url, {"heard": "whole"}).content.decode()
    assert "1 answer left out here." in page
    assert "Not recorded" in page
    assert "left out" not in as_user(ada).get(url, {"heard": "everything"}).content.decode()


# What can have been heard


def after(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """Let this much time have passed since the clip was sent."""
    later = timezone.now() + timedelta(seconds=seconds)
    monkeypatch.setattr("listening.hearing.timezone.now", lambda: later)


@pytest.mark.real_time
def test_nobody_hears_more_than_the_time_since_it_was_sent(
    long_item: Item, lou: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetch(lou, long_item)
    assert answer(lou, long_item, stretches="0-30000", plays="1").status_code == 422
    assert hearing.heard_ms(Hearing.objects.get()) <= hearing.SLACK_MS + 1_000
    after(monkeypatch, 5)
    heard = played(long_item, lou, (0, 30_000))
    assert 5_000 <= hearing.heard_ms(heard) <= 5_000 + hearing.SLACK_MS + 1_000
    # The page reports the rest again, and gets it when its time has come.
    after(monkeypatch, 11)
    assert answer(lou, long_item, stretches="0-10500", plays="0").status_code == 200
    assert Rating.objects.get().heard == Heard.PART


@pytest.mark.real_time
def test_reports_in_a_row_bring_no_slack_of_their_own(long_item: Item, lou: User) -> None:
    fetch(lou, long_item)
    for number in range(20):
        played(long_item, lou, (number * 1_000, number * 1_000 + 1_000))
    assert hearing.heard_ms(Hearing.objects.get()) <= hearing.SLACK_MS + 2_000


@pytest.mark.real_time
def test_a_page_that_lies_open_for_a_day_gains_a_minute(
    long_item: Item, lou: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetch(lou, long_item)
    after(monkeypatch, 86_400)
    assert played(long_item, lou, (0, 1_000)).clock_ms == hearing.LONGEST_PAUSE_MS
