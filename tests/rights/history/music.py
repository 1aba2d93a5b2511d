"""Steps with the music: recordings, works, artists, and who holds which share."""

import io
from typing import Any

from django.utils import timezone
from hypothesis import strategies as st
from hypothesis.stateful import (
    precondition,
    rule,
)

from rights.catalogue import catalogue, derivations
from rights.models import (
    Party,
    Recording,
    RoleCode,
    Work,
)
from rights.parties import members, splits
from tests.rights.history.world import (
    SHARES,
    History,
    few,
)

# Who is asked for a voice alone among them, by a role of the list and by one that it does not have.
ROLES = ("MainArtist", "MainArtist", "FeaturedArtist", "Vocalist", "Background vocals", "Mixer")


class Music(History):
    @precondition(lambda self: len(self.recordings) < 5)
    @rule(owner=few, works=st.integers(1, 3), file=st.booleans())
    def new_recording(self, owner: int, works: int, file: bool) -> None:
        party, name = self.parties[owner % 3], f"Song {next(self.names)}"
        made = [self._new_work(f"{name}, part {n}") for n in range(works)]
        if file:
            recording = catalogue.add_recording(
                by=self.rosa, file=self._file(), filename="a.flac", title=name, works=made
            )
            self.say("file", recording=recording.pk)
        else:
            recording = catalogue.announce_recording(by=self.rosa, title=name, works=made)
        for work in made:
            self.say("work", recording=recording.pk, work=work.pk)
        self.recordings.append(recording)
        self.subjects.append(("master", recording))
        self._credit(recording, party)
        for subject in (recording, *made):
            self._propose(subject, {party: 1_000_000})
            self._answer(subject, party, yes=True)

    def _file(self) -> Any:
        return io.BytesIO(next(self.files))

    def _new_work(self, title: str) -> Work:
        work = catalogue.add_work(by=self.rosa, title=title)
        self.works.append(work)
        self.subjects.append(("composition", work))
        return work

    @rule(which=few)
    def attach_audio(self, which: int) -> None:
        recording = self.pick(self.recordings, which)
        silent = not self.log.has_file(recording.pk, timezone.now())
        done = self.attempt(
            silent,
            lambda: catalogue.attach_audio(
                by=self.rosa, recording=recording, file=self._file(), filename="b.flac"
            ),
        )
        if done:
            self.say("file", recording=recording.pk)

    @rule(which=few, work=few, new=st.booleans())
    def find_a_work(self, which: int, work: int, new: bool) -> None:
        recording = self.pick(self.recordings, which)
        found = self._new_work(f"Found {next(self.names)}") if new else self.pick(self.works, work)
        known = found.pk in self.log.works(recording.pk, timezone.now())
        self.attempt(
            not known,
            lambda: catalogue.attach_work(by=self.rosa, recording=recording, work=found),
        )
        if not known:
            self.say("work", recording=recording.pk, work=found.pk)

    @rule(which=few, who=few, role=st.sampled_from(ROLES))
    def credit_an_artist(self, which: int, who: int, role: str) -> None:
        recording = self.pick(self.recordings, which)
        party = self.pick([*self.parties, self.group], who)
        if party.pk in self.log.credited(recording.pk, timezone.now(), role):
            return
        self._credit(recording, party, role)

    def _credit(self, recording: Recording, party: Party, role: str = "MainArtist") -> None:
        listed = role in RoleCode.values
        catalogue.add_credit(
            by=self.rosa,
            subject=recording,
            party=party,
            role=role if listed else "UserDefined",
            user_defined="" if listed else role,
        )
        self.say("artist", recording=recording.pk, party=party.pk, role=role)

    @rule(which=few, other=few, kind=st.sampled_from(["contains", "derived", "same_sound"]))
    def say_where_it_comes_from(self, which: int, other: int, kind: str) -> None:
        recording, source = self.pick(self.recordings, which), self.pick(self.recordings, other)
        now, known = timezone.now(), False
        for said in self.log.until(now, "related", kind=kind):
            pair = said.who["recording"], said.who["source"]
            both = (recording.pk, source.pk), (source.pk, recording.pk)
            over = any(self.log.until(now, "unrelated", relation=said.who["relation"]))
            known |= not over and pair in (both if kind == "same_sound" else both[:1])
        made = self.attempt(
            recording != source and not known,
            lambda: derivations.add_relation(
                by=self.rosa, recording=recording, source=source, kind=kind
            ),
        )
        if made:
            self.relations[made.pk] = made
            self.say(
                "related", relation=made.pk, recording=recording.pk, source=source.pk, kind=kind
            )

    @precondition(lambda self: self.relations)
    @rule(which=few, own=st.booleans())
    def take_back_where_it_comes_from(self, which: int, own: bool) -> None:
        number = self.pick(sorted(self.relations), which)
        over = any(self.log.until(timezone.now(), "unrelated", relation=number))
        done = self.attempt(
            not over and not own,
            lambda: derivations.end_relation(
                by=self.rosa if own else self.ivo, relation=self.relations[number], reason="A slip."
            ),
        )
        if done:
            self.say("unrelated", relation=number)

    @rule(who=few)
    def find_a_member(self, who: int) -> None:
        party, now = self.pick(self.parties, who), timezone.now()
        known = any(self.log.until(now, "member", group=self.group.pk, party=party.pk))
        self.attempt(not known, lambda: members.add(by=self.rosa, group=self.group, member=party))
        if not known:
            self.say("member", group=self.group.pk, party=party.pk)

    @rule()
    def name_all_members(self) -> None:
        now, group = timezone.now(), self.group.pk
        said = any(self.log.until(now, "members complete", group=group))
        possible = not said and any(self.log.until(now, "member", group=group))
        self.attempt(possible, lambda: members.declare_complete(by=self.rosa, group=self.group))
        if possible:
            self.say("members complete", group=group)

    @rule(which=few, first=few, shares=st.sampled_from(SHARES), agreed=st.booleans())
    def propose(self, which: int, first: int, shares: tuple[int, ...], agreed: bool) -> None:
        _, subject = self.pick(self.subjects, which)
        lines = {self.pick(self.parties, first + n): ppm for n, ppm in enumerate(shares)}
        self._propose(subject, lines)
        if agreed:
            for party in lines:
                self._answer(subject, party, yes=True)

    def _propose(self, subject: Recording | Work, lines: dict[Party, int]) -> None:
        sheet = splits.propose(by=self.rosa, subject=subject, lines=lines)
        key = self._key(subject)
        self.sheets[sheet.pk] = sheet
        shares = {party.pk: ppm for party, ppm in lines.items()}
        self.say("split", subject=key, sheet=sheet.pk, shares=shares)

    def _key(self, subject: Recording | Work) -> tuple[str, int]:
        return ("master" if isinstance(subject, Recording) else "composition", subject.pk)

    @rule(which=few, who=few, yes=st.booleans(), old=st.booleans())
    def answer(self, which: int, who: int, yes: bool, old: bool) -> None:
        _, subject = self.pick(self.subjects, which)
        self._answer(subject, self.pick(self.parties, who), yes=yes, old=old)

    def _answer(
        self, subject: Recording | Work, party: Party, *, yes: bool, old: bool = False
    ) -> None:
        now = timezone.now()
        sheets = list(self.log.until(now, "split", subject=self._key(subject)))
        if not sheets:
            return
        told = sheets[0] if old else sheets[-1]
        sheet = self.sheets[told.who["sheet"]]
        possible = told is sheets[-1] and party.pk in told.who["shares"]
        if yes:
            self.attempt(possible, lambda: splits.confirm(sheet=sheet, party=party, by=self.rosa))
        else:
            self.attempt(
                possible,
                lambda: splits.dispute(sheet=sheet, party=party, by=self.rosa, reason="Wrong."),
            )
        if possible:
            self.say("answer", sheet=sheet.pk, party=party.pk, yes=yes)
