"""Decisions, usage, and the holds where a permission ended."""

from django.db import models
from django.utils import timezone

from portal.models import User
from rights.models.agreements import Grant
from rights.models.append_only import AppendOnly, AppendOnlyQuerySet
from rights.models.parties import Party
from rights.models.repertoire import Recording
from rights.models.vocabulary import use_choices


class Decision(AppendOnly):
    """A stored answer of consent.check: for one set of recordings, one use and one moment."""

    use = models.CharField(max_length=30, choices=use_choices)
    context = models.JSONField()
    # The moment that was asked about, and the one up to which facts count: see consent.replay.
    as_of = models.DateTimeField()
    known_at = models.DateTimeField(default=timezone.now)
    allowed = models.BooleanField()
    policy_version = models.CharField(max_length=20)
    input_digest = models.CharField(max_length=64)
    output_digest = models.CharField(max_length=64, default="")
    made_by = models.ForeignKey(User, models.PROTECT, null=True, blank=True, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)

    objects = AppendOnlyQuerySet.as_manager()


class DecisionLine(AppendOnly):
    """One recording's part of a decision. `reasons` are as consent.Reason."""

    # Written with its decision or not at all, a hundred thousand at once: a freeze need not wait
    # until the database has checked each row, and the unique constraint is the index.
    decision = models.ForeignKey(
        Decision, models.CASCADE, related_name="lines", db_constraint=False, db_index=False
    )
    recording = models.ForeignKey(Recording, models.PROTECT, related_name="+")
    allowed = models.BooleanField()
    reasons = models.JSONField(default=list)
    grants = models.JSONField(default=list)

    objects = AppendOnlyQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["decision", "recording"], name="one_line_per_recording")
        ]


class UsageEvent(AppendOnly):
    """The ledger: how much of a recording was used, by what. Append-only."""

    recording = models.ForeignKey(Recording, models.PROTECT, related_name="usage")
    use = models.CharField(max_length=30, choices=use_choices)
    # `run:<id>`; the ledger is a layer below runs, so it names them instead of pointing to them.
    source = models.CharField(max_length=80)
    # Cumulative position in the source (training step), so that a repeated report counts once.
    step = models.BigIntegerField()
    examples = models.BigIntegerField(
        help_text="Training crops or conditioned samples since the last event."
    )
    seconds = models.FloatField(help_text="Seconds of audio in them.")
    at = models.DateTimeField(default=timezone.now)

    objects = AppendOnlyQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["recording", "source", "step"], name="usage_counted_once"
            )
        ]
        indexes = [models.Index(fields=["source", "step", "id"], name="usage_by_source_step")]


class Hold(models.Model):
    """The mark that a permission ended: for this recording and this use, from this moment.

    Written in the transaction that ends the permission (withdrawal, expiry, dispute). The apps
    above look here: whatever was frozen, trained or made before `at` with the recording for
    that use is stopped or withheld. A new agreement permits new use and lifts no hold. A hold that
    was placed while it was in question whose permission is needed is lifted when that is settled
    and every permission is in force and was when the hold was placed (cases.settled).
    """

    recording = models.ForeignKey(Recording, models.PROTECT, related_name="holds")
    use = models.CharField(max_length=30, choices=use_choices)
    party = models.ForeignKey(Party, models.PROTECT, related_name="+")
    grant = models.ForeignKey(Grant, models.PROTECT, null=True, blank=True, related_name="holds")
    case = models.ForeignKey(
        "rights.WithdrawalCase", models.PROTECT, null=True, blank=True, related_name="holds"
    )
    reason = models.CharField(max_length=300)
    at = models.DateTimeField(default=timezone.now)
    lifted_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = [models.Index(fields=["recording", "use", "at"], name="hold_by_recording")]
