"""Random histories of rights against a naive telling of the same (history/naive.py).

Each step is one verb of the product, and one line of a log. After each step, everything that is
asked of the product is asked of the log too: who may do what, now and as it was known then; what
descends from what was withdrawn; what was decided. `MACHINE=500` tries 500 histories, each twice
as long, and makes one that fails as short as it can.
"""

import os
import random

import pytest
from django.db import connection
from django.utils import timezone
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import (
    invariant,
    run_state_machine_as_test,
)

from audio_samples.models import Sample
from experiments.clearance import permission
from experiments.models import Checkpoint, Dataset, Run
from portal import audit
from rights.consent import consent, decisions
from rights.models import (
    CaseItem,
    Decision,
    Grant,
    Hold,
    SplitSheet,
    Use,
)
from rights.withdrawal import cases
from tests.examples import THOROUGH
from tests.rights.history.ending import Ending
from tests.rights.history.naive import Scope
from tests.rights.history.world import (
    ENDS_TODAY,
    LASTING,
    SCOPES,
    USES,
    context_of,
    scope_words,
)

LONG = int(os.environ.get("MACHINE", "300" if THOROUGH else "0"))
PROFILE = settings(
    max_examples=LONG or (4 if connection.vendor == "postgresql" else 8),
    stateful_step_count=80 if LONG else 40,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    # A history is made shorter only where there is time for it.
    phases=list(Phase) if LONG else (Phase.reuse, Phase.generate),
    print_blob=True,
)


class Rights(Ending):
    """The histories, and what always holds."""

    def first_music(self, agent: bool, lasting: bool) -> None:
        """Two songs, permissions, and a clip that came out of them: few would come that far. With
        an agent, who signs for one of the compositions, or with permissions that run out."""
        self.new_recording(owner=0, works=1, file=True)
        self.new_recording(owner=1, works=2, file=True)
        self.allow(owner=0, use=0, recording=0, terms=LASTING if lasting else ENDS_TODAY)
        if agent:
            self.mandate(
                holder=1, agent=3, rights=["composition"], places=["world"], days=2, approved=True
            )
            self.permit_one(self.parties[1].pk, "master", Use.TRAIN_GENERATIVE, None)
            self.permit_one(self.parties[3].pk, "composition", Use.TRAIN_GENERATIVE, None)
        else:
            # Work by work: the end of one is a loss though the others stand.
            self.permit_for(self.recordings[1], Use.TRAIN_GENERATIVE)
        # Clips are played to listeners under a permission of its own.
        for recording in self.recordings:
            self.permit_for(recording, Use.EVAL)
        self.use_it(project=0, use=0)

    @invariant()
    def it_all_holds(self) -> None:
        if not self.dirty:
            return
        self.nothing_is_allowed_without_cover()
        self.the_past_is_what_it_was()
        self.what_rested_on_it_is_on_hold()
        self.no_descendant_is_left_out_of_a_case()
        self.ended_grants_stay_ended()
        self.confirmed_splits_are_whole()
        self.one_decision_replays()
        self.dirty = False

    def nothing_is_allowed_without_cover(self) -> None:
        """And nothing denied that is covered: the product answers as the log does."""
        self.checked += 1
        scope = SCOPES[self.checked % len(SCOPES)]
        for use in USES:
            asked = Scope(use, *scope_words(scope))
            verdict = consent.evaluate(self.recordings, use, context_of(asked))
            for pk, line in verdict.items():
                told = self.log.allows(pk, asked, timezone.now())
                assert line.allowed == told, (pk, asked, line.reasons)
                assert line.allowed != bool(line.reasons)
        self.moments.append(timezone.now())

    def the_past_is_what_it_was(self) -> None:
        """As it was known then; and of then, as it is known now."""
        # The same for the same history, and like chance all the same.
        chance = random.Random(len(self.log.lines) * 1_000 + self.checked)
        then, later = chance.choice(self.moments), chance.choice(self.moments)
        if self.pauses and chance.random() < 0.5:
            then = chance.choice(self.pauses)
        asked = Scope(chance.choice(USES[:2]), *scope_words(chance.choice(SCOPES[:2])))
        at, known = chance.choice(
            [(then, then), (min(then, later), max(then, later)), (then, None)]
        )
        verdict = consent.evaluate(self.recordings, Use(asked.use), context_of(asked), at, known)
        for pk, line in verdict.items():
            told = self.log.allows(pk, asked, at, known or timezone.now())
            assert line.allowed == told, (pk, asked, at, known, line.reasons)

    def what_rested_on_it_is_on_hold(self) -> None:
        line, now = self.line, timezone.now()
        line.follow(self.log, now)
        for dataset, recording, use in line.silent:
            known = permission.holds_on(Dataset.objects.get(pk=dataset), use)
            assert recording in {hold.recording_id for hold in known}, (dataset, recording, use)
        # Silence for a moment while it is worked out is right; silence for ever is not.
        for dataset, use in line.blameless(self.log, now):
            assert not permission.holds_on(Dataset.objects.get(pk=dataset), use), (dataset, use)
        assert not Hold.objects.filter(case=None).exists()
        tainted = line.tainted()
        heard = set(Sample.objects.audible().values_list("pk", flat=True))
        assert not heard & line.made_by("sample", tainted)
        usable = set(Checkpoint.objects.usable().values_list("pk", flat=True))
        assert not usable & line.made_by("checkpoint", tainted)
        going = set(Run.objects.filter(state__in=Run.OPEN_STATES).values_list("pk", flat=True))
        assert going & tainted <= {run.pk for run, _ in permission.runs_on_hold()}

    def no_descendant_is_left_out_of_a_case(self) -> None:
        if not (wanted := self.line.descendants()):
            return
        # One look has its time; on a slow machine it takes several.
        while cases.refresh_cases():
            pass
        listed = set(CaseItem.objects.values_list("kind", "key"))
        assert wanted <= listed, wanted - listed

    def ended_grants_stay_ended(self) -> None:
        now = timezone.now()
        for grant in Grant.objects.filter(pk__in=[one.pk for one in self.grants]):
            state = self.log.state(grant.pk, now)
            assert (grant.ended_at is not None) == (state == "ended")
            assert state in {"ended", grant.status}

    def confirmed_splits_are_whole(self) -> None:
        for sheet in SplitSheet.objects.filter(status=SplitSheet.Status.CONFIRMED):
            rows = list(sheet.lines.all())
            assert sum(row.ppm for row in rows) == 1_000_000
            assert all(row.confirmed_at and not row.disputed_at for row in rows)

    def one_decision_replays(self) -> None:
        decision = Decision.objects.order_by("pk")[self.checked % 5 :].first()
        if decision:
            assert decisions.replay(decision).same

    def last_look(self) -> None:
        """With what the calendar does to everything that ends today, which few histories reach."""
        if self.clock.free:
            self.clock.pass_days(1)
            self.say("days", days=1)
            self.a_round()
            self.it_all_holds()
        self.every_decision_replays()
        assert list(audit.broken_lines()) == []

    def every_decision_replays(self) -> None:
        for decision in Decision.objects.all():
            assert decisions.replay(decision).same


@pytest.mark.slow
@pytest.mark.django_db
def test_every_history_is_judged_as_the_naive_one_judges_it() -> None:
    # Short histories reach nothing.
    run_state_machine_as_test(Rights, settings=PROFILE, _min_steps=PROFILE.stateful_step_count // 2)
