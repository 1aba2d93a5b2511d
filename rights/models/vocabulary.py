"""The vocabulary of this app: rights, uses (their table: backline/uses.py), purposes, roles."""

from django.db import models

from backline.uses import Use, labels

__all__ = [
    "PPM", "Channel", "Purpose", "RightType", "RoleCode", "Use", "WithdrawalPolicy", "use_choices",
]  # fmt: skip

# Shares are whole parts per million; a right's shares sum to this.
PPM = 1_000_000


class RightType(models.TextChoices):
    COMPOSITION = "composition", "Composition"
    MASTER = "master", "Master"
    PERSONA = "persona", "Name, image and likeness"


def use_choices() -> list[tuple[str, str]]:
    """Return the uses for columns and menus. Columns name this function, so that a new use needs no
    migration."""
    return list(labels().items())


class Purpose(models.TextChoices):
    RESEARCH = "research", "Research"
    INTERNAL = "internal", "Internal products"
    COMMERCIAL = "commercial", "Commercial products"


class Channel(models.TextChoices):
    """Where outputs may go, for the use `distribute`."""

    WALLED = "walled", "Inside the lab's own product"
    EXPORT = "export", "Files that leave the product"
    SYNC = "sync", "Synchronisation with pictures"


class WithdrawalPolicy(models.TextChoices):
    """What the end of a permission does to what was made under it; fixed when it is signed."""

    RECALL = "recall", "Stop, recall samples, retrain without it or retire"
    RETRAIN = "retrain", "Stop, retrain without it or retire; released samples stay"
    NEXT_VERSION = "next_version", "The model version that learned from it stays; the next does not"


class RoleCode(models.TextChoices):
    """DDEX AVS codes of contributors and display artists (a subset of AVS version 9,
    where Producer is StudioProducer)."""

    MAIN_ARTIST = "MainArtist", "Main artist"
    FEATURED_ARTIST = "FeaturedArtist", "Featured artist"
    COMPOSER = "Composer", "Composer"
    LYRICIST = "Lyricist", "Lyricist"
    COMPOSER_LYRICIST = "ComposerLyricist", "Composer and lyricist"
    ARRANGER = "Arranger", "Arranger"
    ADAPTER = "Adapter", "Adapter"
    TRANSLATOR = "Translator", "Translator"
    MUSIC_PUBLISHER = "MusicPublisher", "Music publisher"
    PRODUCER = "Producer", "Producer"
    MIXER = "Mixer", "Mixer"
    MASTERING_ENGINEER = "MasteringEngineer", "Mastering engineer"
    RECORDING_ENGINEER = "RecordingEngineer", "Recording engineer"
    PROGRAMMER = "Programmer", "Programmer"
    REMIXER = "Remixer", "Remixer"
    CONDUCTOR = "Conductor", "Conductor"
    SOLOIST = "Soloist", "Soloist"
    VOCALIST = "Vocalist", "Vocalist"
    STUDIO_MUSICIAN = "StudioMusician", "Studio musician"
    ASSOCIATED_PERFORMER = "AssociatedPerformer", "Associated performer"
    USER_DEFINED = "UserDefined", "Another role"
