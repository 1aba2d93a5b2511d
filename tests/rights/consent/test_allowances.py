"""What holders leave together is what consent answers for each of them, in every context."""

from datetime import UTC, date, datetime, timedelta
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portal.models import User
from rights.consent import allowances, consent
from rights.consent.allowances import ALL, EVERYTHING, NONE, Allowance, ContextBox
from rights.consent.evaluator import Context, Judge
from rights.consent.facts import Artist, Facts, Group, MandateTerms, Music, Share, Terms
from rights.grants import lifecycle
from rights.models import Purpose, RightType, Use
from tests.catalogue import allow, make_party, make_recording
from tests.examples import examples

GROUP = 7
AT = datetime(2026, 6, 1, tzinfo=UTC)
CONTEXTS = [
    Context(Purpose(purpose), place, family, version, name, channel)
    for purpose, place, family, version, name, channel in product(
        ("research", "commercial"), ("world", "FR", "JP"), ("backline", "other"), (1, 3),
        ("", "radio"), ("walled", "sync"),
    )
]  # fmt: skip


def some(*values: str) -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(st.sampled_from(values), unique=True, max_size=len(values)).map(tuple)


@st.composite
def worlds(draw: st.DrawFn) -> Facts:
    """Recordings of up to three holders and an agent, with grants of every kind."""
    facts = Facts(draw(st.sampled_from([Use.EVAL, Use.DISTRIBUTE, Use.STYLE_NAMED])), AT)
    holders, agent = [1, 2, 3], 9
    for pk in range(1, draw(st.integers(1, 4)) + 1):
        facts.recordings.append(Music(pk, f"Song {pk}", draw(st.sampled_from(["a", "a", None]))))
        facts.works[pk] = [pk + 100]
        main = Artist(draw(st.sampled_from(holders)), main=True)
        guest = Artist(draw(st.sampled_from([*holders, GROUP])), main=False)
        facts.artists[pk] = [main, guest][: draw(st.integers(1, 2))]
        for shares in (facts.masters[pk], facts.compositions[pk + 100]):
            confirmed = draw(st.sampled_from([True, True, True, False]))
            party = draw(st.sampled_from(holders))
            shares.append(Share(pk, party, 1_000_000, confirmed=confirmed, disputed=False))
    facts.groups[GROUP] = Group(draw(st.sampled_from([True, True, False])), [1, 2])
    asked = [music.pk for music in facts.recordings]
    for pk in asked:
        if sources := draw(st.lists(st.sampled_from(asked), max_size=2, unique=True)):
            facts.sources[pk] = sorted(set(sources) - {pk})
    facts.questioned = set(draw(st.lists(st.sampled_from(asked), max_size=1)))
    for number in range(draw(st.integers(0, 12))):
        about = draw(st.sampled_from([("w", 0), ("w", 0), ("r", 1), ("r", 2), ("w", 101)]))
        party = draw(st.sampled_from([*holders, agent]))
        right = draw(st.sampled_from(list(RightType)))
        terms = Terms(
            pk=number, grantor=party, right=right,
            recording=about[1] if about[0] == "r" else None,
            work=about[1] or None if about[0] == "w" else None,
            purposes=draw(some("research", "commercial")),
            territories=draw(some("world", "FR", "JP")),
            family=draw(st.sampled_from(["", "backline"])),
            first_version=draw(st.sampled_from([None, 2])),
            last_version=draw(st.sampled_from([None, 2])),
            products=draw(some("radio")), channels=draw(some("walled", "sync")),
            condition=draw(st.sampled_from(["", "", "", "Only if it rains."])),
            starts_on=date(2026, 1, 1), ends_on=None, activated_at=AT,
            ended_at=draw(st.sampled_from([None, None, None, AT])), expired=False,
        )  # fmt: skip
        facts.grants[party, right, *about].append(terms)
    for party in (*holders, agent):
        if draw(st.booleans()) and draw(st.booleans()):
            before = draw(st.sampled_from([AT, AT - timedelta(days=1)]))
            facts.opted_out[party, 1].append(before)
    if draw(st.booleans()):
        rights, places = draw(some("master", "composition")), draw(some("world", "FR"))
        holder = draw(st.sampled_from(holders))
        sign = MandateTerms(1, holder, agent, rights, places, date(2026, 1, 1), None, AT, None)
        facts.mandates[sign.holder].append(sign)
    return facts


@settings(max_examples=examples(400))
@given(worlds())
def test_it_is_exactly_what_every_item_allows(facts: Facts) -> None:
    left = allowances.of_facts(facts, AT)
    for context in CONTEXTS:
        judge = Judge(facts, context, AT)
        everybody = all(not judge.judge(music)[0] for music in facts.recordings)
        assert left.covers(context) == everybody, context
        assert everybody or left.against(context), "nobody is named who leaves it out"


PURPOSES = st.one_of(st.none(), st.frozensets(st.sampled_from(["research", "commercial"])))
BOXES = st.builds(
    ContextBox,
    PURPOSES,
    st.frozensets(st.sampled_from(["world", "FR", "JP"])),
    st.sampled_from(["", "backline", "other"]),
    st.integers(0, 3),
    st.one_of(st.none(), st.integers(0, 3)),
    st.one_of(st.none(), st.frozensets(st.just("radio"))),
    st.one_of(st.none(), st.frozensets(st.sampled_from(["walled", "sync"]))),
)
UNIONS = st.lists(BOXES, max_size=4).map(allowances.widest)


@given(UNIONS, UNIONS)
def test_an_intersection_is_what_lies_in_both(
    one: allowances.Boxes, other: allowances.Boxes
) -> None:
    both = Allowance(one).meet(Allowance(other))
    for context in CONTEXTS:
        asked = Allowance(one).covers(context) and Allowance(other).covers(context)
        assert both.covers(context) == asked
    assert both.boxes == Allowance(other).meet(Allowance(one)).boxes
    assert both.within(Allowance(one))
    assert both.within(Allowance(other))


@given(st.lists(BOXES, min_size=1, max_size=100))
def test_what_is_left_out_of_a_long_union_only_narrows_it(boxes: list[ContextBox]) -> None:
    short = Allowance(allowances.widest(boxes))
    assert len(short.boxes) <= allowances.MAX_BOXES
    for context in CONTEXTS:
        assert not short.covers(context) or any(box.covers(context) for box in boxes)


@settings(max_examples=examples(50))
@given(worlds())
def test_it_is_kept_as_json_and_read_again(facts: Facts) -> None:
    left = allowances.of_facts(facts, AT)
    assert Allowance.from_json(left.as_json()) == left


def test_nothing_of_anybody_is_everything() -> None:
    assert Allowance().boxes == ALL
    assert allowances.intersect(ALL, NONE) == NONE
    assert allowances.meet(EVERYTHING, EVERYTHING) == EVERYTHING


@pytest.mark.django_db
def test_the_narrowest_holder_is_named_with_how_many_recordings(rosa: User) -> None:
    wide, narrow = make_party(rosa, "Wide"), make_party(rosa, "Narrow")
    recordings = [make_recording(rosa, wide), make_recording(rosa, narrow),
                  make_recording(rosa, narrow)]  # fmt: skip
    allow(rosa, wide, Use.EVAL, purposes=["research", "commercial"])
    allow(rosa, narrow, Use.EVAL, territories=["FR"])
    ids = [recording.pk for recording in recordings]
    left = allowances.allowance_of(ids, Use.EVAL, datetime.now(UTC))
    assert [sorted(box.territories) for box in left.boxes] == [["FR"]]
    assert {part.party for part in left.parts[:2]} == {narrow.pk}
    assert left.parts[0].number == 2
    nobody = allowances.allowance_of(ids, Use.DISTRIBUTE, datetime.now(UTC))
    assert nobody.boxes == NONE
    assert nobody.parts[0].code == "no_grant"


@pytest.mark.django_db
def test_a_withdrawal_and_an_opt_out_narrow_it_at_once(rosa: User) -> None:
    party = make_party(rosa)
    one, other = make_recording(rosa, party), make_recording(rosa, party)
    grants = allow(rosa, party, Use.EVAL)
    here = Context(Purpose.RESEARCH, "world", "backline")

    def covers(*ids: int) -> bool:
        left = allowances.allowance_of(ids, Use.EVAL, datetime.now(UTC))
        assert left.covers(here) == consent.evaluate(ids, Use.EVAL, here).allowed
        return left.covers(here)

    assert covers(one.pk, other.pk)
    lifecycle.opt_out(one, Use.EVAL, party, rosa, "Not this one")
    assert not covers(one.pk, other.pk)
    assert covers(other.pk)
    lifecycle.withdraw(grants[0], rosa, "No more")
    assert not covers(other.pk)
    assert not covers(10**9)


@pytest.mark.django_db
def test_where_the_first_few_leave_nothing_the_others_are_not_asked(
    rosa: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    party = make_party(rosa)
    ids = [make_recording(rosa, party).pk for _ in range(3)]
    allow(rosa, party, Use.EVAL)
    monkeypatch.setattr(allowances, "FIRST_BATCH", 1)
    assert allowances.allowance_of(ids, Use.DISTRIBUTE, datetime.now(UTC)).parts[0].number == 1
    assert allowances.allowance_of(ids, Use.EVAL, datetime.now(UTC)).parts[0].number == 3
