"""Whose music it is, who holds which part of it, and what they allow. See docs/architecture.md."""

from rights.models.agreements import Agreement, Grant, GrantSuspension, OptOut
from rights.models.append_only import Immutable
from rights.models.cases import CaseItem, CaseStep, CaseTask, WithdrawalCase
from rights.models.evidence import Decision, DecisionLine, Hold, UsageEvent
from rights.models.file_batches import BatchFile, FileBatch
from rights.models.imports import ImportedKey, ImportJob, ImportProblem, NewParty
from rights.models.parties import (
    GroupMember,
    KindChange,
    Mandate,
    Party,
    PartyIdentifier,
    Scheme,
)
from rights.models.relations import RecordingRelation
from rights.models.repertoire import (
    Credit,
    Preview,
    Recording,
    RecordingQuerySet,
    RecordingWork,
    Release,
    ReleaseTrack,
    Stem,
    Work,
)
from rights.models.signals import Signal
from rights.models.sounds import Landmark, SoundPrint, SoundQuestion
from rights.models.splits import SplitAnswer, SplitLine, SplitSheet
from rights.models.vocabulary import (
    PPM,
    Channel,
    Purpose,
    RightType,
    RoleCode,
    Use,
    WithdrawalPolicy,
)

__all__ = [
    "PPM", "Agreement", "BatchFile", "CaseItem", "CaseStep", "CaseTask", "Channel", "Credit",
    "Decision", "DecisionLine", "FileBatch", "Grant", "GrantSuspension", "GroupMember", "Hold",
    "Immutable", "ImportJob", "ImportProblem", "ImportedKey", "KindChange", "Landmark",
    "Mandate", "NewParty", "OptOut", "Party", "PartyIdentifier", "Preview", "Purpose", "Recording",
    "RecordingQuerySet", "RecordingRelation", "RecordingWork", "Release", "ReleaseTrack",
    "RightType", "RoleCode", "Scheme", "Signal", "SoundPrint", "SoundQuestion", "SplitAnswer",
    "SplitLine", "SplitSheet", "Stem", "UsageEvent", "Use", "WithdrawalCase",
    "WithdrawalPolicy", "Work",
]  # fmt: skip
