"""Machine-readable signals of holders: noted as they were read (reservations.py), and written.

A signal is noted on the recording or the party. It may deny, and it never permits: a denial ends
what it contradicts, an `allowed` is only shown. A recording's denial stands against every grant but
one that its holder gives later for that very recording, as a holder's opt-out does (opt_outs.py).
We write an assertion or a rule that follows from our grants; a grant to the lab is no permission
for others, so nothing ever says `allowed`.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from django.db import transaction
from django.db.models import Q

from portal import audit
from portal.confirmation import Act
from portal.database import commit_order
from portal.inputs.text import clean_line
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
    *, by: User, subject: Recording | Party, reservations: Iterable[Reservation], source: str
) -> list[Signal]:
    """Note what was read, and end what it contradicts; return the signals that are new.

    The same statement of the same source is noted once. A recording's denial stands against grants
    from now on, and those that cover it now end for it; a party's grants of those uses are
    suspended, and what it grants later is its newer choice.
    """
    source = clean_line(source)[:300]
    if not source:
        raise Refused("source", "Say where it was read.", field="source")
    at = commit_order.moment()
    new_signals = []
    for reservation in reservations:
        latest = subject.signals.filter(key=reservation.key, source=source).first()
        if latest and (latest.value, latest.info) == (reservation.value, reservation.info):
            continue
        # Before the row exists: a recording that is denied has no permission left to lose.
        ended = _end_contradicted(subject, reservation, by=by, source=source)
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
        new_signals.append(signal)
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
    return new_signals


def signal_act(
    *, by: User, subject: Recording | Party, reservations: list[Reservation], source: str
) -> Act[None, tuple[Recording | Party, list[Signal]]]:
    """`record_signals` as an act whose page first shows what it ends (portal/confirmation.py)."""
    return Act(
        by=by,
        name=f"signal.note:{subject._meta.model_name}:{subject.pk}",
        look=lambda: None,
        facts=lambda state: state,
        verb=lambda: (
            subject,
            record_signals(by=by, subject=subject, reservations=reservations, source=source),
        ),
    )


def _end_contradicted(
    subject: Recording | Party, reservation: Reservation, *, by: User, source: str
) -> list[int]:
    """End or suspend the grants that the reservation contradicts; return their numbers."""
    reason = f"{reservation.key} says {reservation.value} at {source}."[:300]
    if isinstance(subject, Party):
        grants = Grant.objects.filter(
            grantor=subject, use__in=reservation.denied, status=Grant.Status.ACTIVE
        )
        return [lifecycle.suspend(grant, by, reason).pk for grant in grants.order_by("pk")]
    ended: list[int] = []
    for use in reservation.denied:
        for party in _parties_with_cover(subject, use):
            ended += [grant.pk for grant in lifecycle.covering(subject, use, party)]
            lifecycle.opt_out(subject, use, party, by, reason)
    return sorted(ended)


def _parties_with_cover(recording: Recording, use: Use) -> list[Party]:
    """Return the holders, artists and their agents whose open grants cover this recording."""
    holders = holds.holders(recording)
    agents = Mandate.objects.filter(holder__in=holders).values("agent")
    parties = Party.objects.filter(Q(pk__in=holders) | Q(pk__in=agents))
    return [party for party in parties.order_by("pk") if lifecycle.covering(recording, use, party)]


DECLARED = "ddex.ContainsAI"


def declare(*, by: User, recording: Recording, declaration: str, source: str) -> list[Signal]:
    """Note that a message declares a part of the recording machine-made: every use is denied, until
    each holder permits it for this very recording."""
    reservation = Reservation(Signal.Scheme.MADE_BY, DECLARED, "partly", declaration, EVERY_USE)
    return record_signals(by=by, subject=recording, reservations=[reservation], source=source)


def is_declared(recording: int, declaration: str) -> bool:
    """Return whether the same is noted on the recording already, from any message."""
    return Signal.objects.filter(recording=recording, key=DECLARED, info=declaration).exists()


def in_words(subject: Recording | Party, new_signals: Sequence[Signal]) -> tuple[bool, str]:
    """Return whether anything is denied, and a sentence or two on which uses of what."""
    if not new_signals:
        return False, f"Nothing new: all of it was noted of “{subject}” before, from this source."
    denied = [use for use in Use if any(use.value in signal.denied for signal in new_signals)]
    keys = ", ".join(f"{signal.key}: {signal.value}" for signal in new_signals)
    if not denied:
        return False, (
            f"Noted of “{subject}”: {keys}. None of it says no, so nothing has changed. No signal "
            "permits anything."
        )
    uses = "; ".join(str(use.label) for use in denied)
    if isinstance(subject, Recording):
        text = (
            f"It denies these uses of “{subject}”: {uses}. They have ended, whoever permitted "
            "them; only a later permission of each holder's own for this very recording permits "
            "them again."
        )
        return True, f"Noted: {keys}. {text}"
    count = Grant.objects.filter(
        grantor=subject, use__in=[use.value for use in denied], status=Grant.Status.SUSPENDED
    ).count()
    text = f"{count} of its permissions for them rest{'s' if count == 1 else ''} until resumed."
    if not count:
        text = "It had none of them in force, so nothing rests; an offer of theirs is to be asked."
    return True, f"Noted: {keys}. It denies these uses of what is {subject}'s: {uses}. {text}"


# --- Writing --------------------------------------------------------------------------------


def assertion(recording: Recording) -> dict[str, Any]:
    """Return the recording's `cawg.training-mining` assertion by our grants, for anybody to read.

    A key is `notAllowed`; where the lab has a grant for each use that the key stands for, it is
    `constrained` with a sentence. Never `allowed`: others have to ask.
    """
    context = consent.Context(Purpose.RESEARCH, territories.WORLD, "")
    granted = {
        use: verdict[recording.pk].allowed
        for use, verdict in consent.evaluate_uses([recording], Use, context).items()
    }
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
    """Return the tdmrep.json of our own pages, which reserves all of them."""
    return [{"location": "/*", "tdm-reservation": 1}]
