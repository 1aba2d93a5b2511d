"""Hooks for the apps below, which may not import this one: each module registers itself."""

from audio_samples import (
    descendants,
    discussion,
    gdpr_export,
    journal_replay,
    report_blocks,
    run_fields,
    run_media,
    run_outputs,
)
from audio_samples.credentials import file_provenance

__all__ = [
    "descendants",
    "discussion",
    "file_provenance",
    "gdpr_export",
    "journal_replay",
    "report_blocks",
    "run_fields",
    "run_media",
    "run_outputs",
]
