"""What holders tell machines: noted as it was read (reservations.py), and written.

Noted on the recording or the party. It may deny, and it never permits: a denial ends what it
contradicts, an `allowed` is only shown. What a recording denies stands against every grant but one
that its holder gives later for that very recording, as a holder's own no does (opt_outs.py).
Written: an assertion or a rule that follows from our grants; a grant to the lab is no word to
others, so nothing ever says `allowed`.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from django.db import transaction
from django.db.models import Q

from portal import audit
from portal.confirmation import Act
from portal.database import commit_order
from portal.models import User
from rights import territories
from rights.consent import consent
from rights.errors import Refused
from rights.grants import lifecycle
from rights.models import Grant, Mandate, Party, Purpose, Recording, Signal, Use
from rights.tdm.reservations import EVERY_USE, KEYS, LABEL, Reservation
from rights.withdrawal import holds

# --- Noting ---------------------------------------------------------------------------------


@transaction.atomic
def record_signals(
    *, by: User, subject: Recording | Party, said: Iterable[Reservation], source: str
) -> list[Signal]:
    """Note what was read, and end what it contradicts; returns the signals that are new.

    The same word of the same source is noted once. What a recording denies stands against grants
    from now on, and those that cover it now end for it; a party's grants of those uses are
    suspended, and what it grants later is its newer word.
    """
    source = source.strip()[:300]
    if not source:
        raise Refused("source", "Say where it was read.", field="source")
    at = commit_order.moment()
    made = []
    for reservation in said:
        last = subject.signals.filter(key=reservation.key, source=source).first()
        if last and (last.value, last.info) == (reservation.value, reservation.info):
            continue
        # Before the row is there: a recording that is denied has nothing to lose any more.
        ended = _heed(subject, reservation, by=by, source=source)
        signal = Signal.objects.create(
            recording=subject if isinstance(subject, Recording) else None,
            party=subject if isinstance(subject, Party) else None,
            scheme=reservation.scheme,
            key=reservation.key,
            value=reservation.value,
            denies=bool(reservation.denied),
            denied=[use.value for use in reservation.denied],
            info=reservation.info,
            source=source,
            made_by=by,
            seen_at=at,
        )
        made.append(signal)
        audit.record(
            by=by,
            verb="signal.noted",
            subject=subject,
            signal=signal.pk,
            scheme=reservation.scheme,
            key=reservation.key,
            value=reservation.value,
            denied=signal.denied,
            grants=ended,
            private={"source": source, "info": reservation.info},
        )
    return made


def noting(
    *, by: User, subject: Recording | Party, said: list[Reservation], source: str
) -> Act[None, tuple[Recording | Party, list[Signal]]]:
    """`note` as an act whose page shows first what it ends (portal/confirmation.py)."""
    return Act(
        by=by,
        name=f"signal.note:{subject._meta.model_name}:{subject.pk}",
        look=lambda: None,
        facts=lambda seen: seen,
        verb=lambda: (subject, record_signals(by=by, subject=subject, said=said, source=source)),
    )


def _heed(subject: Recording | Party, said: Reservation, *, by: User, source: str) -> list[int]:
    """End or suspend what the word contradicts; returns the grants."""
    reason = f"{said.key} says {said.value} at {source}."[:300]
    if isinstance(subject, Party):
        grants = Grant.objects.filter(
            grantor=subject, use__in=said.denied, status=Grant.Status.ACTIVE
        )
        return [lifecycle.suspend(grant, by, reason).pk for grant in grants.order_by("pk")]
    ended: list[int] = []
    for use in said.denied:
        for party in _speaking_for(subject, use):
            ended += [grant.pk for grant in lifecycle.covering(subject, use, party)]
            lifecycle.opt_out(subject, use, party, by, reason)
    return sorted(ended)


def _speaking_for(recording: Recording, use: Use) -> list[Party]:
    """The parties whose open grants speak for this recording: holders, artists, their agents."""
    holders = holds.holders(recording)
    agents = Mandate.objects.filter(holder__in=holders).values("agent")
    near = Party.objects.filter(Q(pk__in=holders) | Q(pk__in=agents))
    return [party for party in near.order_by("pk") if lifecycle.covering(recording, use, party)]


DECLARED = "ddex.ContainsAI"


def declare(*, by: User, recording: Recording, told: str, source: str) -> list[Signal]:
    """Note that a message declares a part of it to be a machine's: every use is denied, until each
    holder permits it for this very recording."""
    said = Reservation(Signal.Scheme.MADE_BY, DECLARED, "partly", told, EVERY_USE)
    return record_signals(by=by, subject=recording, said=[said], source=source)


def is_declared(recording: int, told: str) -> bool:
    """Whether the same is noted of it already, from whatever message."""
    return Signal.objects.filter(recording=recording, key=DECLARED, info=told).exists()


def in_words(subject: Recording | Party, made: Sequence[Signal]) -> tuple[bool, str]:
    """Whether anything is denied, and which uses of what, in a sentence or two."""
    if not made:
        return False, f"Nothing new: all of it was noted of “{subject}” before, from this source."
    denied = [use for use in Use if any(use.value in signal.denied for signal in made)]
    keys = ", ".join(f"{signal.key}: {signal.value}" for signal in made)
    if not denied:
        return False, (
            f"Noted of “{subject}”: {keys}. None of it says no, so nothing has changed. No signal "
            "permits anything."
        )
    uses = "; ".join(str(use.label) for use in denied)
    if isinstance(subject, Recording):
        then = (
            f"It denies these uses of “{subject}”: {uses}. They have ended, whoever permitted "
            "them; only a later permission of each holder's own for this very recording permits "
            "them again."
        )
        return True, f"Noted: {keys}. {then}"
    rests = Grant.objects.filter(
        grantor=subject, use__in=[use.value for use in denied], status=Grant.Status.SUSPENDED
    ).count()
    then = f"{rests} of its permissions for them rest{'s' if rests == 1 else ''} until resumed."
    if not rests:
        then = "It had none of them in force, so nothing rests; an offer of theirs is to be asked."
    return True, f"Noted: {keys}. It denies these uses of what is {subject}'s: {uses}. {then}"


# --- Writing --------------------------------------------------------------------------------


def assertion(recording: Recording) -> dict[str, Any]:
    """The recording's `cawg.training-mining` assertion as our grants stand, for anybody to read.

    `notAllowed`; where the lab has a grant for each use that the key stands for, `constrained`
    with a sentence. Never `allowed`: others have to ask.
    """
    asked = consent.Context(Purpose.RESEARCH, territories.WORLD, "")
    granted = {use: consent.evaluate([recording], use, asked)[recording.pk].allowed for use in Use}
    return {
        "label": LABEL,
        "data": {
            "entries": {
                key: {
                    "use": "constrained",
                    "constraint_info": "By agreement with one lab only; others have to ask.",
                }
                if all(granted[use] for use in uses)
                else {"use": "notAllowed"}
                for key, uses in sorted(KEYS.items())
            }
        },
    }


def site_rules() -> list[dict[str, Any]]:
    """The tdmrep.json of our own pages: all of it is reserved."""
    return [{"location": "/*", "tdm-reservation": 1}]
