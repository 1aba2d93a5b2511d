"""The status of a holder's own choices, use by use, for a page of recordings at once.

Two questions: what these parties have chosen for each right they hold and, only where they allow
the use, what the answer is with all other holders. The number of queries grows with the uses that
are on, not with the recordings.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from django.db.models import Q
from django.utils import timezone

from rights import territories
from rights.consent import consent, opt_outs, persons
from rights.consent.persons import PERSONA_USES
from rights.models import (
    Grant,
    Mandate,
    OptOut,
    Party,
    Purpose,
    Recording,
    RecordingWork,
    RightType,
    Signal,
    SplitLine,
    Use,
)


class Choice(StrEnum):
    """What the parties themselves have chosen, the weakest first (`_LEAST`): the weakest of the
    rights that are needed decides."""

    OFF = "off"
    ASKED = "asked"
    OFFERED = "offered"
    PAUSED = "paused"
    ON = "on"


@dataclass(frozen=True)
class Need:
    """One right of a party in one recording, for which its permission is needed."""

    party: int
    right: RightType
    work: int | None = None
    # For the right of a person: the use that asks them.
    use: str | None = None


@dataclass(frozen=True)
class UseStatus:
    """The status of one use of one recording. `others` counts the other parties whose permission is
    missing; `open` says that a split, a work or the file is missing or not settled."""

    use: Use
    word: Choice
    part: bool = False
    others: int = 0
    open: bool = False
    reasons: tuple[consent.Reason, ...] = ()
    grants: tuple[Grant, ...] = ()

    @property
    def allowed(self) -> bool:
        return self.word == Choice.ON and not self.reasons

    @property
    def short(self) -> str:
        """The state in words, for a table."""
        if self.word == Choice.ON and not self.allowed:
            return "on from you, off for now"
        if self.part and self.word in (Choice.OFF, Choice.ASKED):
            return "on in part"
        return SHORT[self.word]

    @property
    def words(self) -> str:
        """The state as a sentence."""
        if self.word == Choice.ON and self.others:
            others_have = (
                "another holder has" if self.others == 1 else f"{self.others} other holders have"
            )
            return f"You allow it. It stays off because {others_have} not allowed it."
        if self.word == Choice.ON and self.open:
            return "You allow it. It stays off until the splits of the recording are settled."
        if self.word == Choice.ON and self.reasons:
            return "You allow it in a scope that is not open yet, so it is off for now."
        if self.part and self.word in (Choice.OFF, Choice.ASKED):
            return "Allowed for a part of the rights you hold, which is not enough: it is off."
        return WORDS[self.word]

    @property
    def mark(self) -> str:
        """The mark of the state, as components.css styles it."""
        if self.allowed:
            return "allowed"
        return {Choice.OFF: "closed", Choice.OFFERED: "offered"}.get(self.word, "warn")


SHORT = {
    Choice.OFF: "off",
    Choice.ASKED: "the lab asks you",
    Choice.OFFERED: "offered, waiting for the lab",
    Choice.PAUSED: "paused by the lab",
    Choice.ON: "on",
}
WORDS = {
    Choice.OFF: "Off: you have not allowed it, so nobody may.",
    Choice.ASKED: "Off. The lab asks you for it and waits for your answer.",
    Choice.OFFERED: "Off until the lab agrees: you have offered it.",
    Choice.PAUSED: "Off: your permission is paused.",
    Choice.ON: "On: everybody whose word it needs allows it.",
}
_LEAST = list(Choice)


def statuses_of(
    recordings: Iterable[Recording], parties: Collection[Party]
) -> dict[int, list[UseStatus]]:
    """Return recording id to a status for each use."""
    ids = [recording.pk for recording in recordings]
    needs = _needs(ids, [party.pk for party in parties])
    people = {party.pk: set(_people(party)) for party in parties}
    choices = _OwnGrants(ids, needs, people)
    own_answers = {(pk, use): choices.answer_on(pk, use, needs[pk]) for pk in ids for use in Use}
    full_answers = _full_answers(own_answers)
    own = set(people)
    return {
        pk: [_status(use, own_answers[pk, use], full_answers.get((pk, use)), own) for use in Use]
        for pk in ids
    }


def _people(party: Party) -> list[int]:
    return [person.pk for person in party.people.all()]


def _needs(ids: Sequence[int], parties: Sequence[int]) -> dict[int, list[Need]]:
    needs: dict[int, list[Need]] = {pk: [] for pk in ids}
    lines = SplitLine.objects.filter(party__in=parties, sheet__superseded_at=None)
    masters = lines.filter(sheet__recording__in=ids)
    for pk, party in masters.values_list("sheet__recording", "party"):
        needs[pk].append(Need(party, RightType.MASTER))
    works: dict[int, list[int]] = defaultdict(list)
    work_lines = lines.filter(sheet__work__recordings__in=ids).distinct()
    for work, party in work_lines.values_list("sheet__work", "party"):
        works[work].append(party)
    links = RecordingWork.objects.filter(recording__in=ids, work__in=works)
    for pk, work in links.values_list("recording", "work"):
        needs[pk] += [Need(party, RightType.COMPOSITION, work) for party in works[work]]
    own = set(parties)
    for use in sorted(PERSONA_USES):
        for pk, party in sorted(persons.asked_in(ids, use)):
            if party in own:
                needs[pk].append(Need(party, RightType.PERSONA, use=use))
    return needs


def signed_for(parties: Sequence[int]) -> dict[int, dict[int, list[str]]]:
    """Return for each party who signs for it today, and for which rights."""
    rows = Mandate.objects.in_force(timezone.now().date()).filter(holder__in=parties)
    agents: dict[int, dict[int, list[str]]] = defaultdict(dict)
    for row in rows:
        agents[row.holder_id].setdefault(row.agent_id, []).extend(row.right_types)
    return agents


class _OwnGrants:
    """The grants of the parties and of their agents, by grantor, right and use."""

    def __init__(
        self, ids: Sequence[int], needs: dict[int, list[Need]], people: dict[int, set[int]]
    ) -> None:
        self.people = people
        self.today = timezone.now().date()
        self.agents = signed_for(list(people))
        speakers = {*people, *(agent for agents in self.agents.values() for agent in agents)}
        works = {need.work for own_needs in needs.values() for need in own_needs if need.work}
        about = Q(recording__in=ids) | Q(work__in=works) | Q(recording=None, work=None)
        rows = Grant.objects.filter(
            about,
            grantor__in=speakers,
            status__in=(Grant.Status.ACTIVE, Grant.Status.OFFERED, Grant.Status.SUSPENDED),
        ).select_related("grantor", "recording", "work", "agreement")
        self.grants: dict[tuple[int, str, str], list[Grant]] = defaultdict(list)
        for grant in rows.order_by("pk"):
            self.grants[grant.grantor_id, grant.right_type, grant.use].append(grant)
        refusals = OptOut.objects.filter(recording__in=ids, party__in=speakers).order_by("at")
        self.opted_out = {
            (refusal.party_id, refusal.recording_id, refusal.use): refusal.at
            for refusal in refusals
        }
        # A denial that was read from the recording itself counts as everybody's opt-out.
        self.denied = {
            (signal.recording_id, use): signal.seen_at
            for signal in Signal.objects.filter(recording__in=ids, denies=True).order_by("seen_at")
            for use in signal.denied
        }

    def speaking(self, need: Need, use: Use, recording: int) -> list[Grant]:
        """Return the grants that cover this right in this recording, the strongest status first."""
        agents = self.agents.get(need.party, {})
        speakers = [need.party, *(pk for pk, rights in agents.items() if need.right in rights)]
        grants = [
            grant
            for speaker in speakers
            for grant in self.grants.get((speaker, need.right.value, use.value), ())
            if grant.recording_id in {None, recording}
            and (grant.work_id is None or grant.work_id == need.work)
            and not self.left_out(grant, recording, need.party)
            and (grant.ends_on is None or grant.ends_on >= self.today)
        ]
        return sorted(grants, key=lambda grant: -_LEAST.index(self.word(grant)))

    def left_out(self, grant: Grant, recording: int, holder: int) -> bool:
        """Return whether an opt-out of its grantor or the holder keeps the recording out of it."""

        def last_no(party: int) -> datetime | None:
            moments = (
                self.opted_out.get((party, recording, grant.use)),
                self.denied.get((recording, grant.use)),
            )
            return max((at for at in moments if at is not None), default=None)

        opted_out_at = opt_outs.against(
            last_no,
            holder=holder,
            grantor=grant.grantor_id,
            named=grant.recording_id == recording,
            # An offer counts from its draft on, as in opt_outs._taken_back.
            activated_at=grant.activated_at or grant.created_at,
        )
        return opted_out_at is not None

    def word(self, grant: Grant) -> Choice:
        if grant.status == Grant.Status.ACTIVE:
            return Choice.ON
        if grant.status == Grant.Status.SUSPENDED:
            return Choice.PAUSED
        own = self.people.get(grant.grantor_id)
        # An agent's offer waits for the lab as well: there is nothing to answer.
        by_lab = own is not None and grant.drafted_by_id not in own
        return Choice.ASKED if by_lab else Choice.OFFERED

    def answer_on(
        self, recording: int, use: Use, needs: Sequence[Need]
    ) -> tuple[list[Choice], list[Grant]]:
        words, grants = [], []
        for need in needs:
            if need.right == RightType.PERSONA and need.use != use:
                continue
            covering = self.speaking(need, use, recording)
            words.append(self.word(covering[0]) if covering else Choice.OFF)
            grants += [grant for grant in covering if grant not in grants]
        return words, grants


def context_of(grant: Grant) -> consent.Context:
    """Return the narrowest scope in which the grant permits anything; others are asked for it."""
    world = territories.WORLD in grant.territories or not grant.territories
    return consent.Context(
        purpose=Purpose(grant.purposes[0]) if grant.purposes else Purpose.RESEARCH,
        territory=territories.WORLD if world else grant.territories[0],
        model_family=grant.model_family or "backline",
        model_version=grant.first_version or grant.last_version or 1,
        product=grant.products[0] if grant.products else "",
        channel=grant.channels[0] if grant.channels else "",
    )


def _full_answers(
    own_answers: Mapping[tuple[int, Use], tuple[list[Choice], list[Grant]]],
) -> dict[tuple[int, Use], consent.RecordingAnswer]:
    """Return the full answer for every use that the parties allow, in the scope of their first
    grant in force."""
    recordings_by_scope: dict[tuple[Use, consent.Context], list[int]] = defaultdict(list)
    for (pk, use), (words, grants) in own_answers.items():
        if _weakest(words) == Choice.ON:
            active = [grant for grant in grants if grant.status == Grant.Status.ACTIVE]
            first = min(active, key=lambda grant: grant.pk)
            recordings_by_scope[use, context_of(first)].append(pk)
    answers = {}
    for (use, context), ids in recordings_by_scope.items():
        for pk, line in consent.evaluate(ids, use, context).items():
            answers[pk, use] = line
    return answers


def _weakest(words: Iterable[Choice]) -> Choice:
    return min(words, key=_LEAST.index, default=Choice.OFF)


def _status(
    use: Use,
    own_answer: tuple[list[Choice], list[Grant]],
    line: consent.RecordingAnswer | None,
    own: Collection[int],
) -> UseStatus:
    words, grants = own_answer
    word = _weakest(words)
    reasons = tuple(line.reasons) if line and word == Choice.ON else ()
    missing = {reason["party_id"] for reason in reasons if reason["party_id"] is not None}
    return UseStatus(
        use=use,
        word=word,
        part=word != Choice.ON and Choice.ON in words,
        others=len(missing.difference(own)),
        open=any(reason["code"].startswith(("split_", "no_")) for reason in reasons),
        reasons=reasons,
        grants=tuple(grants),
    )
