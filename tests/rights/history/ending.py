"""Steps against what is in use: by chance alone a history would seldom hit it."""

from typing import Any

from django.utils import timezone
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from rights.models import Recording, Work
from tests.rights.history.music import ROLES
from tests.rights.history.naive import Happened, Scope
from tests.rights.history.using import Using
from tests.rights.history.world import few, scope_words


class Ending(Using):
    """Each takes something that a dataset rests on, and whom it rests on."""

    def in_use(self) -> list[tuple[int, int, str]]:
        return [key for key in self.line.fates if key not in self.line.silent]

    def ground(self, which: int, word: int) -> tuple[Recording, Scope, tuple[int, str, int]] | None:
        """A recording of a dataset, what it is used for, and one of the words that it needs."""
        dataset, recording, use = self.pick(self.in_use(), which)
        asked = Scope(use, *scope_words(self.line.datasets[dataset][0]))
        words = sorted(self.log.needed(recording, use, timezone.now()) or ())
        if not words:
            return None
        music = next(one for one in self.recordings if one.pk == recording)
        return music, asked, self.pick(words, word)

    def covering(self, found: tuple[Recording, Scope, tuple[int, str, int]]) -> list[Happened]:
        music, asked, word = found
        now = timezone.now()
        return [
            grant
            for grant in self.log.until(now, "drafted")
            if self.log.covers(grant, word, music.pk, asked, at=now, known=now)
        ]

    @precondition(lambda self: self.in_use())
    @rule(which=few, word=few, how=st.sampled_from(["withdraw", "suspend", "change", "pause"]))
    def end_what_covers(self, which: int, word: int, how: str) -> None:
        found = self.ground(which, word)
        for grant in self.covering(found) if found else []:
            place = self.place_of(self.grants, grant.who["grant"])
            if how == "withdraw":
                self.withdraw(place)
            elif how == "change":
                # To certain versions, countries or days; and at once.
                self.change(place, terms=3 + word)
                self.activate(which=0, self_approved=False, newest=True)
            else:
                self.suspend(place)
                if how == "pause":
                    self.it_all_holds()
                    self.resume(place)

    @precondition(lambda self: self.in_use())
    @rule(which=few, word=few)
    def end_one_of_its_works(self, which: int, word: int) -> None:
        """What was given for one composition ends; the others in the recording stay."""
        found = self.ground(which, word)
        if found is None:
            return
        music, asked, _ = found
        words = sorted(self.log.needed(music.pk, asked.use, timezone.now()) or ())
        of_works = [one for one in words if one[1] == "composition"]
        if of_works:
            for grant in self.covering((music, asked, self.pick(of_works, word))):
                self.withdraw(self.place_of(self.grants, grant.who["grant"]))

    @precondition(lambda self: self.in_use())
    @rule(which=few, word=few)
    def end_what_an_agent_may(self, which: int, word: int) -> None:
        if found := self.ground(which, word):
            for mandate in list(self.log.until(timezone.now(), "mandate", holder=found[2][0])):
                self.revoke(self.place_of(self.mandates, mandate.who["mandate"]))

    @precondition(lambda self: self.in_use())
    @rule(which=few, word=few, how=st.sampled_from(["dispute", "propose"]), agreed=st.booleans())
    def shake_a_split(self, which: int, word: int, how: str, agreed: bool) -> None:
        found = self.ground(which, word)
        if found is None or found[2][1] == "persona":
            return
        music, _, (holder, right, work) = found
        subject: Recording | Work = (
            music if right == "master" else next(one for one in self.works if one.pk == work)
        )
        party = next(one for one in self.parties if one.pk == holder)
        if how == "dispute":
            self._answer(subject, party, yes=False)
            if agreed:
                self.it_all_holds()
                self._answer(subject, party, yes=True)
        else:
            self._propose(subject, {party: 1_000_000})

    @precondition(lambda self: self.in_use())
    @rule(which=few, word=few, also=st.booleans())
    def say_no_to_one(self, which: int, word: int, also: bool) -> None:
        """The holder opts the recording out, and may then allow the whole catalogue anew."""
        if found := self.ground(which, word):
            music, asked, (party, right, _) = found
            self._opt_out(music, asked.use, next(one for one in self.parties if one.pk == party))
            if also:
                self.permit_one(party, right, asked.use, None)

    @precondition(lambda self: self.in_use())
    @rule(which=few, who=few, work=st.booleans())
    def find_more_in_it(self, which: int, who: int, work: bool) -> None:
        """A work, or a main artist, that nobody had named."""
        found = self.ground(which, 0)
        if found is None:
            return
        place = self.recordings.index(found[0])
        if work:
            self.find_a_work(place, work=0, new=True)
        else:
            self.credit_an_artist(place, who, role=self.pick(ROLES, which))

    @precondition(lambda self: self.in_use())
    @rule(which=few, other=few, kind=st.sampled_from(["contains", "derived", "same_sound"]))
    def find_where_it_comes_from(self, which: int, other: int, kind: str) -> None:
        if found := self.ground(which, 0):
            self.say_where_it_comes_from(self.recordings.index(found[0]), other, kind)

    def place_of(self, rows: list[Any], number: int) -> int:
        """Where a grant or mandate of this number stands."""
        return next(place for place, row in enumerate(rows) if row.pk == number)

    def it_all_holds(self) -> None:
        """Asked between two verbs of one step as well."""
        raise NotImplementedError
