"""What this room tells the rooms below, which may not import it: each module registers itself."""

from audio_samples import descendants, gdpr_export, journal_replay, run_outputs
from audio_samples.credentials import file_provenance

__all__ = ["descendants", "file_provenance", "gdpr_export", "journal_replay", "run_outputs"]
