"""Steps with what is made: days, rounds of the reconciler, datasets, runs, clips, tests, cases."""

import hashlib
import io

from django.db import transaction
from django.utils import timezone
from hypothesis import strategies as st
from hypothesis.stateful import (
    precondition,
    rule,
)

from audio_samples import samples
from audio_samples.models import Sample
from backline import wire
from experiments.clearance import permission
from experiments.models import Checkpoint, Dataset, Run
from experiments.runs import checkpoints, datasets, runs
from listening import trials
from rights.consent import consent
from rights.errors import Refused
from rights.grants import agreements, lifecycle
from rights.models import (
    Recording,
    Use,
    WithdrawalCase,
    Work,
)
from rights.withdrawal import cases
from tests.rights.history.naive import Fate, Scope
from tests.rights.history.papers import Papers
from tests.rights.history.world import (
    SCOPES,
    USES,
    context_of,
    few,
    scope_words,
)
from tests.tones import tone


class Using(Papers):
    # --- The clock ----------------------------------------------------------------------------

    @precondition(lambda self: self.clock.free)
    @rule(days=st.integers(1, 3), looks=st.booleans())
    def days_pass(self, days: int, looks: bool) -> None:
        """And the reconciler looks, or has not looked yet."""
        self.clock.pass_days(days)
        self.say("days", days=days)
        if looks:
            self.a_round()

    @rule()
    def a_round(self) -> None:
        """What the reconciler does with rights every few seconds."""
        now = timezone.now()
        today = now.date()
        begun = [
            one.who["grant"]
            for one in self.log.until(now, "drafted")
            if one.who["replaces"] is not None
            and one.who["starts"] <= today
            and self.log.state(one.who["grant"], now) in ("active", "suspended")
            and self.log.state(one.who["replaces"], now) != "ended"
        ]
        replaced = {next(self.log.until(now, "drafted", grant=pk)).who["replaces"] for pk in begun}
        grants = [
            one.who["grant"]
            for one in self.log.until(now, "drafted")
            if one.who["ends"] is not None
            and one.who["ends"] < today
            and one.who["grant"] not in replaced
            and self.log.state(one.who["grant"], now) in ("active", "suspended")
        ]
        mandates = [
            one.who["mandate"]
            for one in self.log.until(now, "mandate")
            if one.who["ends"] is not None
            and one.who["ends"] < today
            and not any(self.log.until(now, "mandate revoked", mandate=one.who["mandate"]))
        ]
        assert lifecycle.expire_due() == len(begun) + len(grants) + len(mandates)
        for pk in begun:
            assert self._begun(pk)
        for pk in grants:
            self._ended(pk)
        for pk in mandates:
            self.say("mandate revoked", mandate=pk)
        permission.mark_affected_datasets()
        for run, hold in permission.runs_on_hold():
            runs.withhold(run, str(permission.refusal_of(hold)))
        cases.refresh_cases()
        self.dirty = True

    # --- What is done with the music ----------------------------------------------------------

    @rule(project=st.integers(0, 1), use=few)
    def freeze(self, project: int, use: int) -> None:
        where, scope = self.projects[project]
        named = self.pick(USES[:2], use)
        asked = Scope(named, *scope_words(scope))
        allowed = {
            recording.pk
            for recording in self.recordings
            if self.log.allows(recording.pk, asked, timezone.now())
        }
        try:
            made = datasets.freeze(
                by=self.ada, project=where, name="machine", recordings=self.recordings, use=named
            )
        except datasets.EmptyDataset:
            assert not allowed
            return
        included = set(made.items.filter(included=True).values_list("recording", flat=True))
        assert included == allowed
        self.line.datasets[made.pk] = (asked, included)
        # Steps pick from these by place: a set's order changes with the numbers of its rows.
        for pk in sorted(included):
            self.line.fates[made.pk, pk, named] = Fate(pk, asked, made.frozen_at)
        self.say("frozen", dataset=made.pk)

    @rule(project=st.integers(0, 1), use=few, which=few)
    def use_again(self, project: int, use: int, which: int) -> None:
        """All that was lost is put right for one recording, and it is used anew."""
        recording = self.pick(self.recordings, which)
        subjects = [recording, *(work for work in self.works if self._heard_in(work, recording))]
        for subject in subjects:
            sheets = list(self.log.until(timezone.now(), "split", subject=self._key(subject)))
            named = sheets[-1].who["shares"] if sheets else {self.parties[0].pk: 1_000_000}
            holders = [party for party in self.parties if party.pk in named]
            if not sheets:
                self._propose(subject, {holders[0]: 1_000_000})
            for party in holders:
                self._answer(subject, party, yes=True)
        self.permit_for(recording, self.pick(USES[:2], use))
        self.use_it(project, use)

    def _heard_in(self, work: Work, recording: Recording) -> bool:
        return work.pk in self.log.works(recording.pk, timezone.now())

    @rule(project=st.integers(0, 1), use=few)
    def use_it(self, project: int, use: int) -> None:
        """From the music to a clip, in one go."""
        before = len(self.line.datasets)
        self.freeze(project, use)
        if len(self.line.datasets) == before:
            return
        self.submit(which=-1, use=use, weights=0, begin=False)
        for _ in range(2):
            self.go_on(which=-1, ends=False)
        self.deliver_a_clip(which=-1)
        self.deliver_weights(which=-1)

    @rule(which=few, use=few)
    def permit(self, which: int, use: int) -> None:
        """Every word that a recording needs for a use."""
        self.permit_for(self.pick(self.recordings, which), self.pick((*USES, Use.EVAL), use))

    def permit_for(self, recording: Recording, named: str) -> None:
        words = self.log.needed(recording.pk, named, timezone.now()) or ()
        for party, right, work in sorted(words):
            # Work by work, so that one permission of a recording ends and the others stay.
            about = next((one for one in self.works if one.pk == work), None)
            self.permit_one(party, right, named, recording, about)

    def permit_one(
        self,
        party: int,
        right: str,
        named: str,
        recording: Recording | None,
        work: Work | None = None,
    ) -> None:
        papers = [paper for paper in self.agreements if paper.counterparty_id == party]
        subject = {"work": work} if work else {"recording": recording}
        made = agreements.draft_grant(
            by=self.rosa, agreement=papers[-1], right_type=right, use=named, **subject,
            **self._scope(named, 0),
        )  # fmt: skip
        self._drafted(made)
        lifecycle.activate(made, self.ivo)
        self.say("activated", grant=made.pk)

    @precondition(lambda self: self.line.datasets)
    @rule(which=few, use=few, weights=few, begin=st.booleans())
    def submit(self, which: int, use: int, weights: int, begin: bool) -> None:
        dataset = Dataset.objects.get(pk=self.pick(sorted(self.line.datasets), which))
        scope, included = self.line.datasets[dataset.pk]
        # Mostly what it was frozen for; some programs do something else with it.
        named = scope.use if use < 9 else self.pick(USES[:2], use)
        asked = Scope(named, *scope_words(scope))
        made_before = [pk for kind, pk in self.line.made if kind == "checkpoint"]
        start = None
        if begin and made_before:
            start = Checkpoint.objects.get(pk=self.pick(sorted(made_before), weights))
        now = timezone.now()
        allowed = all(self.log.allows(pk, asked, now) for pk in included)
        self.line.follow(self.log, now)
        tainted = start is not None and start.run_id in self.line.tainted()
        try:
            run = runs.submit(
                by=self.ada, project=dataset.project, recipe="program", dataset=dataset,
                config={"command": "python train.py", "use": named}, start_from=start,
            )  # fmt: skip
        except permission.NotAllowed:
            assert not allowed or permission.holds_on(dataset, named)
            return
        except runs.recipes.ConfigInvalid:
            # What was retired is never used again, whoever allows it.
            assert start is not None or dataset.status == Dataset.Status.RETIRED
            return
        assert allowed
        assert not tainted
        self.line.runs[run.pk] = (dataset.pk, named, start.run_id if start else None)
        for pk in sorted(included):
            # Another use than the dataset's own counts from here on.
            fate = Fate(pk, asked, run.queued_at)
            self.line.fates.setdefault((dataset.pk, pk, named), fate)
        self.say("submitted", run=str(run.pk))

    @precondition(lambda self: any(kind == "checkpoint" for kind, _ in self.line.made))
    @rule(which=few)
    def begin_with_weights(self, which: int) -> None:
        """A run without music of its own, that has learned what another one had."""
        known = sorted(pk for kind, pk in self.line.made if kind == "checkpoint")
        start = Checkpoint.objects.get(pk=self.pick(known, which))
        origin = start.run
        self.line.follow(self.log, timezone.now())
        tainted = origin.pk in self.line.tainted()
        try:
            run = runs.submit(
                by=self.ada, project=origin.project, recipe="program", start_from=start,
                config={"command": "python generate.py", "use": origin.use},
            )  # fmt: skip
        except (permission.NotAllowed, permission.NotUsable, runs.recipes.ConfigInvalid):
            return
        assert not tainted
        self.line.runs[run.pk] = (None, run.use, origin.pk)
        self.say("submitted", run=str(run.pk))
        self.deliver_a_clip(which=-1)

    @precondition(lambda self: self.line.runs)
    @rule(which=few, ends=st.booleans())
    def go_on(self, which: int, ends: bool) -> None:
        """A run's next station: claimed (after one more question), started, finished."""
        run = Run.objects.get(pk=self.pick(list(self.line.runs), which))
        attempt = run.attempts.last()
        if run.state == Run.State.QUEUED:
            self._claim(run)
        elif attempt and run.state == Run.State.STARTING:
            runs.mark_started(attempt)
        elif attempt and ends and run.state in (Run.State.RUNNING, Run.State.STOPPING):
            runs.finish(attempt)

    def _claim(self, run: Run) -> None:
        dataset, use, origin = self.line.runs[run.pk]
        now = timezone.now()
        scope, included = self.line.datasets[dataset] if dataset else (SCOPES[0], set())
        asked = Scope(use, *scope_words(scope))
        allowed = all(self.log.allows(pk, asked, now) for pk in included)
        try:
            permission.check_start(run)
        except (permission.NotAllowed, permission.NotUsable):
            return
        self.line.follow(self.log, now)
        assert allowed
        assert origin not in self.line.tainted()
        runs.claim(run)

    @precondition(lambda self: self.line.runs)
    @rule(which=few)
    def deliver_a_clip(self, which: int) -> None:
        """Also long after: a program delivers what it still had."""
        run = Run.objects.get(pk=self.pick(list(self.line.runs), which))
        made = samples.receive(
            run=run, name=f"clip {next(self.names)}", file=tone(seconds=0.5, rate=8_000, channels=1)
        )
        self.line.made["sample", made.pk] = run.pk
        self.dirty = True

    @precondition(lambda self: self.line.runs)
    @rule(which=few)
    def deliver_weights(self, which: int) -> None:
        run = Run.objects.get(pk=self.pick(list(self.line.runs), which))
        step = next(self.names)
        data = f"weights {step}".encode()
        said = wire.CheckpointMeta(step=step, sha256=hashlib.sha256(data).hexdigest(), meta={})
        made, _ = checkpoints.receive(run=run, file=io.BytesIO(data), meta=said)
        self.line.made["checkpoint", made.pk] = run.pk
        self.dirty = True

    @precondition(lambda self: any(kind == "sample" for kind, _ in self.line.made))
    @rule(project=st.integers(0, 1))
    def open_a_test(self, project: int) -> None:
        where, _ = self.projects[project]
        clips = list(Sample.objects.audible().filter(run__project=where)[:3])
        if not clips:
            return
        try:
            made = trials.open_test(
                by=self.ada, project=where, title="Which?", question="Which?", samples=clips
            )
        except trials.BadTest:
            # Not everybody behind them allows evaluation here.
            return
        self.line.tests[made.pk] = {clip.pk for clip in clips}
        self.line.follow(self.log, timezone.now())
        tainted = self.line.made_by("sample", self.line.tainted())
        assert not self.line.tests[made.pk] & tainted

    @rule(which=few, scope=st.sampled_from(SCOPES), use=few)
    def decide(self, which: int, scope: Scope, use: int) -> None:
        """A decision that is kept, for any scope."""
        asked = Scope(self.pick(USES, use), *scope_words(scope))
        rows = self.recordings[: 1 + which]
        decision = consent.check(rows, Use(asked.use), context_of(asked), by=self.rosa)
        for line in decision.lines.all():
            assert line.allowed == self.log.allows(line.recording_id, asked, decision.as_of)

    # --- The cases ----------------------------------------------------------------------------

    @rule(which=few, kind=st.sampled_from(["dataset", "checkpoint", "sample", "test"]))
    def remedy(self, which: int, kind: str) -> None:
        going = list(WithdrawalCase.objects.going_on().order_by("pk"))
        if going:
            try:
                with transaction.atomic():
                    cases.remedy(self.pick(going, which), kind, self.rosa, "Done.")
            except Refused:
                return
            self.dirty = True

    @rule(which=few, remedied=st.booleans())
    def close(self, which: int, remedied: bool) -> None:
        going = list(WithdrawalCase.objects.going_on().order_by("pk"))
        if not going:
            return
        case = self.pick(going, which)
        if remedied:
            self.a_round()
            for kind in ("dataset", "checkpoint", "sample", "test"):
                self.remedy(which, kind)
        try:
            with transaction.atomic():
                cases.close(case, self.ivo, "All is done.")
        except Refused:
            return
        assert not case.items.exclude(outcome__in=cases.SETTLED_OUTCOMES).exists()
        self.dirty = True
