"""What belongs to a rightsholder: their repertoire, who else is on their split sheets, and what
they may know about everybody else.

Everything that a rightsholder is shown goes through here: it starts from their parties, and looks
at no other role that the same person may have.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from django.db import models
from django.db.models import Q
from django.utils import timezone

from portal.models import User
from rights.consent import consent, persons
from rights.models import (
    Credit,
    Mandate,
    Party,
    Recording,
    RecordingQuerySet,
    RecordingWork,
    SplitLine,
)

OTHER = "Another holder"


def parties_of(user: User) -> list[Party]:
    return list(user.parties.order_by("name"))


def repertoire(parties: Iterable[Party] | Iterable[int]) -> RecordingQuerySet:
    """Return the recordings in which these parties have a share today, or are credited as a person,
    as a group or as a member of one."""
    ids = [party if isinstance(party, int) else party.pk for party in parties]
    lines = SplitLine.objects.filter(party__in=ids, sheet__superseded_at=None)
    works = RecordingWork.objects.filter(
        work__in=lines.exclude(sheet__work=None).values("sheet__work")
    )
    masters = lines.exclude(sheet__recording=None)
    credited = Credit.objects.filter(persons.asked_for_any(), party__in=ids)
    own_credits = persons.credits_of(ids)
    # Not joins with `distinct`: a holder may have ten thousand recordings.
    return Recording.objects.filter(
        Q(pk__in=masters.values("sheet__recording"))
        | Q(pk__in=works.values("recording"))
        | Q(pk__in=credited.exclude(recording=None).values("recording"))
        | Q(pk__in=own_credits.values("recording"))
    )


def signed_for_by(parties: Iterable[Party]) -> list[Party]:
    """Return the holders for whom one of the parties signs today, by mandate."""
    rows = Mandate.objects.in_force(timezone.now().date()).filter(
        agent__in=[party.pk for party in parties]
    )
    return list(Party.objects.filter(pk__in=rows.values("holder")).order_by("name"))


def lines_of(parties: Iterable[Party]) -> models.QuerySet[SplitLine]:
    """Return the parties' shares on sheets that are in force or wait to be."""
    return SplitLine.objects.filter(
        party__in=[party.pk for party in parties], sheet__superseded_at=None
    ).select_related("party", "sheet__recording", "sheet__work")


def known_parties(parties: Iterable[Party], recording: Recording) -> dict[int, str]:
    """Return party id to name of everybody on a sheet of this recording with one of the parties:
    themselves, and those whom they know from the sheet."""
    ids = [party.pk for party in parties]
    own = SplitLine.objects.filter(party__in=ids, sheet__superseded_at=None)
    own = own.filter(Q(sheet__recording=recording) | Q(sheet__work__recordings=recording))
    return dict(
        Party.objects.filter(Q(split_lines__sheet__in=own.values("sheet")) | Q(pk__in=ids))
        .distinct()
        .values_list("pk", "name")
    )


@dataclass(frozen=True)
class VisibleReason:
    """One reason against a use, as this person may read it; `mine` where they can change it."""

    sentence: str
    mine: bool


def visible_reasons(
    reasons: Iterable[consent.Reason], own: Collection[int], known: Collection[int]
) -> list[VisibleReason]:
    """Return the reasons without the names of parties that the person does not know."""
    visible: dict[VisibleReason, None] = {}
    for reason in reasons:
        party = reason["party_id"]
        if party is None or party in known:
            visible[VisibleReason(reason["sentence"], party in own)] = None
        else:
            visible[
                VisibleReason(
                    f"{OTHER} of {right_in_words(reason['right'])} has not allowed it.", False
                )
            ] = None
    return list(visible)


def answer_shown_to(
    line: consent.RecordingAnswer, user: User, recording: Recording
) -> consent.RecordingAnswer:
    """Return an answer as a rightsholder may read it: it names only those others whom they know
    from a sheet, and only grants of their own."""
    parties = parties_of(user)
    known = known_parties(parties, recording)
    reasons = []
    for reason in line.reasons:
        shown = reason.copy()
        if shown["party_id"] is not None and shown["party_id"] not in known:
            right = right_in_words(shown["right"])
            shown |= {"party": "", "party_id": None, "grant_id": None, "work_id": None}
            shown["through_id"] = None
            shown["sentence"] = f"{OTHER} of {right} has not allowed it."
        elif shown["party_id"] not in {party.pk for party in parties}:
            shown["grant_id"] = None
        if shown not in reasons:
            reasons.append(shown)
    own = [pk for party in parties for pk in party.grants.values_list("pk", flat=True)]
    return consent.RecordingAnswer(
        allowed=line.allowed,
        reasons=reasons,
        grant_ids=[pk for pk in line.grant_ids if pk in set(own)],
    )


def right_in_words(right: str) -> str:
    return {"master": "the master", "composition": "the composition"}.get(
        right, "the artist's rights"
    )


def shares(parties: Iterable[Party], recordings: Iterable[int]) -> dict[int, dict[str, int]]:
    """Return recording id to the parties' parts per million, by right. For several works the share
    is the mean, as each counts alike."""
    ids = set(recordings)
    own = [party.pk for party in parties]
    by_recording: dict[int, dict[str, int]] = defaultdict(dict)
    lines = SplitLine.objects.filter(party__in=own, sheet__superseded_at=None)
    masters = lines.filter(sheet__recording__in=ids).values_list("sheet__recording")
    for pk, ppm in masters.annotate(models.Sum("ppm")).order_by():
        by_recording[pk]["master"] = ppm
    works = dict(
        lines.exclude(sheet__work=None)
        .values_list("sheet__work")
        .annotate(models.Sum("ppm"))
        .order_by()
    )
    work_shares: dict[int, list[int]] = defaultdict(list)
    links = RecordingWork.objects.filter(recording__in=ids)
    for pk, work in links.values_list("recording", "work"):
        work_shares[pk].append(works.get(work, 0))
    for pk, ppms in work_shares.items():
        if any(ppms):
            by_recording[pk]["composition"] = round(sum(ppms) / len(ppms))
    return by_recording
