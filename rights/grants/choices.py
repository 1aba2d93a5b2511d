"""Queries for the pages: what is allowed per use, who chose what, what a dispute blocks."""

from collections.abc import Iterable
from dataclasses import dataclass

from django.db import models
from django.db.models import Q

from backline.uses import use_named
from portal.inputs.text import matching, matching_code
from portal.models import Role, User
from rights import territories
from rights.consent import consent
from rights.grants import lifecycle
from rights.models import (
    Decision,
    Grant,
    Mandate,
    Party,
    Purpose,
    Recording,
    RecordingQuerySet,
    SplitSheet,
    Use,
    Work,
)
from rights.models.parties import SEES_ALL
from rights.withdrawal import holds

# The scope of tables where nobody chose one: the narrowest that the lab works in.
USUAL = consent.Context(
    purpose=Purpose.RESEARCH, territory=territories.WORLD, model_family="backline"
)


@dataclass(frozen=True)
class UseLine:
    """One row of a recording's table of uses; see `per_use` for `chosen`."""

    use: Use
    line: consent.RecordingAnswer
    chosen: bool = False


def open_sheets_of(party: Party) -> models.QuerySet[SplitSheet]:
    return SplitSheet.objects.current().filter(lines__party=party)


def current_split(path: str) -> "models.Prefetch[str, models.QuerySet[SplitSheet], str]":
    """Prefetch the one open sheet, as a list in `.current_splits`."""
    sheets = SplitSheet.objects.current()
    return models.Prefetch(path, sheets.prefetch_related("lines__party"), to_attr="current_splits")


def search(recordings: RecordingQuerySet, query: str) -> RecordingQuerySet:
    """Filter by title, credited name, work or genre, and by ISRC or ISWC."""
    if not query:
        return recordings
    names = ("title", "credits__party__name", "credits__party__credited_as", "works__title")
    condition = matching(query, *names, "tags__genre") | matching_code(query, "isrc", "works__iswc")
    return recordings.filter(condition).distinct()


def training_answers(recordings: list[Recording]) -> dict[int, consent.RecordingAnswer]:
    """Return recording id to the answer for generative training in the usual scope."""
    return consent.evaluate(recordings, Use.TRAIN_GENERATIVE, USUAL)


def per_use(recording: Recording, parties: list[Party] | None = None) -> list[UseLine]:
    """Return every use with its answer; `chosen` where one of the parties has a grant in force."""
    chosen = set()
    for party in parties or []:
        for grant in open_grants(party, recording):
            if grant.status == Grant.Status.ACTIVE:
                chosen.add(grant.use)
    verdicts = consent.evaluate_uses([recording], Use, USUAL)
    return [
        UseLine(use=use, line=verdict[recording.pk], chosen=use in chosen)
        for use, verdict in verdicts.items()
    ]


def grants_touching(recording: Recording, user: User) -> list[Grant]:
    """Return the grants of its holders and artists that could cover the recording, if visible."""
    rows = Grant.objects.visible_to(user).filter(grantor__in=holds.holders(recording))
    works = recording.works.all()
    rows = rows.filter(
        Q(recording=recording) | Q(work__in=works) | Q(recording=None, work=None)
    ).select_related("grantor", "agreement", "recording", "work")
    return list(rows)


def may_choose_for(user: User, recording: Recording, *, sees_all: bool) -> models.QuerySet[Party]:
    """Return the holders for whom this user chooses: all for rights admins, else their own."""
    holders = holds.holders(recording)
    return holders if sees_all else holders.filter(people=user)


def open_grants(party: Party, recording: Recording) -> list[Grant]:
    """Return the open grants that cover the party's share in the recording, its own and those of
    its agents, over all uses."""
    agents = Mandate.objects.standing().filter(holder=party)
    uses = Grant.objects.filter(
        Q(grantor=party) | Q(grantor__in=agents.values("agent")), status__in=Grant.OPEN_STATUSES
    )
    return [
        grant
        for use in sorted(set(uses.values_list("use", flat=True)))
        for grant in lifecycle.covering(recording, use, party)
    ]


def rights_admins() -> list[User]:
    """Return the rights admins. SQLite cannot search a JSON list of roles; the people are few."""
    people = User.objects.filter(is_active=True).order_by("pk")
    return [person for person in people if person.has_role(Role.RIGHTS_ADMIN)]


def approvers(grants: Iterable[Grant]) -> dict[int, list[User]]:
    """Return, by grant, who may put it in force: rights admins and its grantor's people, but not
    the one who drafted it."""
    admins = rights_admins()
    grants = list(grants)
    people_by_party: dict[int, list[User]] = {}
    for party in Party.objects.filter(pk__in={grant.grantor_id for grant in grants}):
        people_by_party[party.pk] = list(party.people.filter(is_active=True))
    by_grant = {}
    for grant in grants:
        own_people = people_by_party.get(grant.grantor_id, [])
        if grant.drafted_by_id in {person.pk for person in own_people}:
            # The party's own offer: the lab answers it.
            own_people = []
        people = {person.pk: person for person in (*admins, *own_people)}
        by_grant[grant.pk] = [person for pk, person in people.items() if pk != grant.drafted_by_id]
    return by_grant


@dataclass(frozen=True)
class Blocked:
    """What a split that is not settled blocks: the uses that somebody on it has granted."""

    uses: list[str]
    recordings: list[Recording]
    count: int


def blocked_by(sheet: SplitSheet) -> Blocked:
    granted = Grant.objects.filter(
        status=Grant.Status.ACTIVE,
        right_type=sheet.right_type,
        grantor__in=sheet.lines.values("party"),
    ).values_list("use", flat=True)
    if sheet.work_id:
        recordings = Recording.objects.filter(works=sheet.work_id)
    else:
        recordings = Recording.objects.filter(splits=sheet)
    uses = set(granted)
    labels = [use.label for use in Use if use in uses]
    return Blocked(labels, list(recordings[:10]), recordings.count())


def visible_splits(user: User, subject: Recording | Work) -> dict[str, object]:
    """Return the sheets for a page; a rightsholder sees older ones, and answers, of their own."""
    own = set(user.parties.values_list("pk", flat=True))
    reads_all = bool(SEES_ALL & set(user.roles))
    rows = subject.splits.order_by("-version").prefetch_related(
        "lines__party", "lines__answers__made_by"
    )
    sheets = [
        sheet
        for sheet in rows
        if reads_all
        or sheet.status != SplitSheet.Status.SUPERSEDED
        or own & {line.party_id for line in sheet.lines.all()}
    ]
    disputed = [sheet for sheet in sheets if sheet.status == SplitSheet.Status.DISPUTED]
    return {
        "sheets": sheets,
        "blocked": blocked_by(disputed[0]) if disputed else None,
        "sees_answers": reads_all,
        "own_parties": own,
    }


def search_decisions(
    use: str = "", answer: str = "", recording: str = ""
) -> models.QuerySet[Decision]:
    """Return stored decisions, newest first; `answer` is allowed or denied, `recording` an id."""
    rows = Decision.objects.order_by("-pk")
    if use_named(use):
        rows = rows.filter(use=use)
    if answer in {"allowed", "denied"}:
        rows = rows.filter(allowed=answer == "allowed")
    if recording.isdecimal() and len(recording) < 16:
        rows = rows.filter(lines__recording=int(recording))
    return rows
