"""Steps with the papers: mandates, agreements, and grants from the draft to the end."""

from datetime import timedelta
from typing import Any

from django.utils import timezone
from hypothesis import strategies as st
from hypothesis.stateful import (
    precondition,
    rule,
)

from rights.grants import agreements, lifecycle
from rights.models import (
    Grant,
    Party,
    Recording,
    RightType,
    Use,
    WithdrawalPolicy,
)
from rights.parties import parties
from tests.rights.history.music import Music
from tests.rights.history.world import (
    TERMS,
    USES,
    few,
)


class Papers(Music):
    @rule(
        holder=few,
        agent=few,
        rights=st.sampled_from([["master", "composition"], ["master"], ["composition"]]),
        places=st.sampled_from([["world"], ["SE"]]),
        days=st.sampled_from([None, None, 0, 2]),
        approved=st.booleans(),
    )
    def mandate(
        self,
        *,
        holder: int,
        agent: int,
        rights: list[str],
        places: list[str],
        days: int | None,
        approved: bool,
    ) -> None:
        one, other = self.pick(self.parties, holder), self.pick(self.parties, agent)
        today = timezone.now().date()
        ends = None if days is None else today + timedelta(days=days)
        made = self.attempt(
            one != other,
            lambda: parties.enter_mandate(
                by=self.rosa, holder=one, agent=other, right_types=rights, places=places,
                ends_on=ends,
            ),
        )  # fmt: skip
        if made is None:
            return
        self.mandates.append(made)
        self.say(
            "mandate", mandate=made.pk, holder=one.pk, agent=other.pk, rights=rights,
            territories=places, starts=today, ends=ends,
        )  # fmt: skip
        if approved:
            self.approve(which=len(self.mandates) - 1, self_approved=False)

    @precondition(lambda self: self.mandates)
    @rule(which=few, self_approved=st.booleans())
    def approve(self, which: int, self_approved: bool) -> None:
        row = self.pick(self.mandates, which)
        now = timezone.now()
        settled = any(self.log.until(now, "mandate approved", "mandate revoked", mandate=row.pk))
        by = self.rosa if self_approved else self.ivo
        possible = not settled and not self_approved
        self.attempt(possible, lambda: parties.approve_mandate(row, by))
        if possible:
            self.say("mandate approved", mandate=row.pk)

    @precondition(lambda self: self.mandates)
    @rule(which=few)
    def revoke(self, which: int) -> None:
        row = self.pick(self.mandates, which)
        over = any(self.log.until(timezone.now(), "mandate revoked", mandate=row.pk))
        self.attempt(not over, lambda: parties.end_mandate(row, self.rosa, "Over."))
        if not over:
            self.say("mandate revoked", mandate=row.pk)

    @rule(who=few, policy=st.sampled_from(list(WithdrawalPolicy)))
    def sign(self, who: int, policy: WithdrawalPolicy) -> None:
        self.agreements.append(
            agreements.sign(
                by=self.rosa,
                counterparty=self.pick(self.parties, who),
                title="Another paper",
                signed_on=timezone.now().date(),
                withdrawal_policy=policy,
            )
        )

    @rule(paper=few, right=st.sampled_from(list(RightType)), use=few, about=few, terms=few)
    def draft(self, paper: int, right: RightType, use: int, about: int, terms: int) -> None:
        agreement = self.pick(self.agreements, paper)
        subject: dict[str, Any] = {}
        if about % 3 == 1:
            subject = {"recording": self.pick(self.recordings, about // 3)}
        elif about % 3 == 2 and right == RightType.COMPOSITION:
            subject = {"work": self.pick(self.works, about // 3)}
        made = agreements.draft_grant(
            by=self.rosa,
            agreement=agreement,
            right_type=right,
            use=self.pick(USES, use),
            **subject,
            **self._scope(self.pick(USES, use), terms),
        )
        self._drafted(made)

    def _scope(self, use: str, terms: int) -> dict[str, Any]:
        scope = dict(TERMS[terms % len(TERMS)])
        later = scope.pop("starts_in", None)
        if later is not None:
            scope["starts_on"] = timezone.now().date() + timedelta(days=later)
        days = scope.pop("days", None)
        if days is not None:
            scope["ends_on"] = timezone.now().date() + timedelta(days=days - 1)
        if use == Use.DISTRIBUTE:
            scope.setdefault("channels", ["walled"])
        else:
            scope.pop("channels", None)
        return scope

    def _drafted(self, made: Grant) -> None:
        self.grants.append(made)
        self.say(
            "drafted", grant=made.pk, grantor=made.grantor_id, right=made.right_type, use=made.use,
            recording=made.recording_id, work=made.work_id, purposes=made.purposes,
            territories=made.territories, family=made.model_family, first=made.first_version,
            last=made.last_version, products=made.products, channels=made.channels,
            condition=made.condition, starts=made.starts_on, ends=made.ends_on,
            policy=made.withdrawal_policy, replaces=made.replaces_id,
        )  # fmt: skip

    @rule(owner=few, use=few, recording=few, terms=few)
    def allow(self, owner: int, use: int, recording: int, terms: int) -> None:
        """All rights at once, in force: without this, few histories would allow anything."""
        papers = [a for a in self.agreements if a.counterparty == self.pick(self.parties, owner)]
        about = self.pick(self.recordings, recording // 2) if recording % 2 else None
        named = self.pick(USES, use)
        for right in RightType:
            made = agreements.draft_grant(
                by=self.rosa, agreement=papers[-1], right_type=right, use=named, recording=about,
                **self._scope(named, terms),
            )  # fmt: skip
            self._drafted(made)
            lifecycle.activate(made, self.ivo)
            self.say("activated", grant=made.pk)

    @rule(which=few, terms=few)
    def change(self, which: int, terms: int) -> None:
        grant = self.fresh(self.pick(self.grants, which))
        now = timezone.now()
        waiting = [
            one
            for one in self.log.until(now, "drafted", replaces=grant.pk)
            if self.log.end_of(one.who["grant"], now) is None
        ]
        scope = self._scope(grant.use, terms)
        over = scope.get("ends_on", grant.ends_on)
        possible = (
            self.state(grant) != "ended" and not waiting and (over is None or over >= now.date())
        )
        versions = (scope.get("first_version", grant.first_version) or 0,
                    scope.get("last_version", grant.last_version) or 9)  # fmt: skip
        made = self.attempt(
            possible and versions[0] <= versions[1],
            lambda: agreements.change(grant, by=self.rosa, **scope),
        )
        if made:
            self._drafted(made)

    @rule(which=few, self_approved=st.booleans(), newest=st.booleans())
    def activate(self, which: int, self_approved: bool, newest: bool) -> None:
        grant = self.fresh(self.grants[-1] if newest else self.pick(self.grants, which))
        today = timezone.now().date()
        possible = (
            self.state(grant) == "offered"
            and not self_approved
            and (grant.ends_on is None or grant.ends_on >= today)
        )
        by = self.rosa if self_approved else self.ivo
        self.attempt(possible, lambda: lifecycle.activate(grant, by))
        if not possible:
            return
        self.say("activated", grant=grant.pk)
        self._begun(grant.pk)

    def _begun(self, grant: int) -> bool:
        """The older version ends on the day that the newer one begins."""
        now = timezone.now()
        terms = next(self.log.until(now, "drafted", grant=grant)).who
        old = terms["replaces"]
        if old is None or terms["starts"] > now.date() or self.log.state(old, now) == "ended":
            return False
        self._ended(old)
        return True

    def _ended(self, grant: int) -> None:
        self.say("ended", grant=grant)

    @rule(which=few)
    def suspend(self, which: int) -> None:
        grant = self.fresh(self.pick(self.grants, which))
        possible = self.state(grant) == "active"
        self.attempt(possible, lambda: lifecycle.suspend(grant, self.rosa, "A question."))
        if possible:
            self.say("suspended", grant=grant.pk)
            self.pauses.append(timezone.now())

    @rule(which=few)
    def resume(self, which: int) -> None:
        paused = [grant for grant in self.grants if self.state(grant) == "suspended"]
        grant = self.fresh(self.pick(paused or self.grants, which))
        possible = self.state(grant) == "suspended"
        self.attempt(possible, lambda: lifecycle.resume(grant, self.rosa))
        if possible:
            self.say("resumed", grant=grant.pk)

    @rule(which=few)
    def withdraw(self, which: int) -> None:
        grant = self.fresh(self.pick(self.grants, which))
        possible = self.state(grant) != "ended"
        self.attempt(possible, lambda: lifecycle.withdraw(grant, self.rosa, "No more."))
        if possible:
            if self.state(grant) != "offered":
                # The round that would have written it down comes with the word.
                self._begun(grant.pk)
            self._ended(grant.pk)
            now = timezone.now()
            for later in list(self.log.until(now, "drafted", replaces=grant.pk)):
                state = self.log.state(later.who["grant"], now)
                coming = state != "ended" and later.who["starts"] > now.date()
                if state == "offered" or coming:
                    self._ended(later.who["grant"])

    @rule(which=few)
    def decline(self, which: int) -> None:
        grant = self.fresh(self.pick(self.grants, which))
        possible = self.state(grant) == "offered"
        self.attempt(possible, lambda: lifecycle.decline(grant, self.rosa, "No, thanks."))
        if possible:
            self._ended(grant.pk)

    @rule(which=few, use=few, who=few)
    def opt_out(self, which: int, use: int, who: int) -> None:
        self._opt_out(
            self.pick(self.recordings, which), self.pick(USES, use), self.pick(self.parties, who)
        )

    def _opt_out(self, recording: Recording, named: str, party: Party) -> None:
        now = timezone.now()
        spoken = [
            one
            for one in self.log.until(now, "drafted", use=named)
            if self.log.affected(one, party.pk, recording.pk, now)
        ]
        possible = bool(spoken) or self.log.may_say_no(party.pk, recording.pk, named, now)
        self.attempt(
            possible,
            lambda: lifecycle.opt_out(recording, named, party, self.rosa, "Not this one."),
        )
        if not possible:
            return
        self.say("opted out", recording=recording.pk, use=named, party=party.pk)
        for one in spoken:
            if one.who["recording"] == recording.pk and one.who["grantor"] == party.pk:
                self._ended(one.who["grant"])
