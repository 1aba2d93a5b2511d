"""The uses of a recording: the one table.

The portal, the recipes and the compute side derive every list of uses from it. To add a use, add a
row; docs/consent.md explains what its columns decide. Sources: CAWG training and data mining 1.1
(the keys of refusals), DDEX AVS 9 (the roles of credits).
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Self

# A name or style is that of the artists on the cover. A voice is that of everybody who sings or
# speaks.
VOCALIST = "Vocalist"
ARTISTS = frozenset({"MainArtist", "FeaturedArtist"})
VOICES = ARTISTS | {VOCALIST}

# The keys of CAWG's assertion. Uses that they do not distinguish have keys of our own.
MINING = "cawg.data_mining"
INFERENCE = "cawg.ai_inference"
TRAINING = "cawg.ai_training"
GENERATIVE_TRAINING = "cawg.ai_generative_training"
CAWG_KEYS = (MINING, INFERENCE, TRAINING, GENERATIVE_TRAINING)
OWN_KEYS = "backline."


@dataclass(frozen=True, kw_only=True)
class UseFacts:
    """What follows from a use.

    - `meaning`: what it permits, in a sentence for a musician.
    - `outcome`: what a run with it makes, as those read it whose music it uses; they do not learn
      what the lab calls it.
    - `signals`: the keys by which a file refuses it; without any, a key of our own.
    - `asks`: the roles of credits whose person must agree, the main artist's among them; empty
      if it is not a use of a person.
    - `makes_model`: what a run with this use saves is a model that other runs may start from, with
      the uses `starts`, or with any if that is empty. Other runs save their state only to resume
      after an interruption: a permission to play the music is not one to train on it.
    - `is_reference`: the recording is played to a model as an example; nothing is learned.
    - `follows_model`: it is done with a model, so all whose music the model learned are asked.
    """

    meaning: str
    outcome: str = ""
    signals: tuple[str, ...] = ()
    asks: frozenset[str] = frozenset()
    makes_model: bool = False
    starts: frozenset[str] = frozenset()
    is_reference: bool = False
    follows_model: bool = False


class Use(StrEnum):
    """What may be done with a recording; each use is a permission of its own."""

    label: str
    facts: UseFacts

    # The rows below give all three; `Use(name)` finds the row of that name.
    def __new__(cls, name: str, label: str = "", facts: UseFacts = UseFacts(meaning="")) -> Self:
        use = str.__new__(cls, name)
        use._value_ = name
        use.label = label
        use.facts = facts
        return use

    EVAL = (
        "eval",
        "Evaluation and listening tests",
        UseFacts(
            meaning=(
                "The lab may measure it and play it to listeners, to judge how good its models "
                "are; no model learns from it."
            ),
            outcome="An evaluation of models",
            signals=(INFERENCE,),
            follows_model=True,
        ),
    )
    TRAIN_ANALYSIS = (
        "train.analysis",
        "Training of classifiers and embeddings",
        UseFacts(
            meaning=(
                "Models that recognise things in music (genre, tempo, instruments) may learn from "
                "it; they make no music."
            ),
            outcome="A model that recognises things in music",
            signals=(MINING, TRAINING),
            makes_model=True,
            # Permission to train classifiers is not permission to train generators.
            starts=frozenset({"train.analysis", "eval"}),
        ),
    )
    TRAIN_GENERATIVE = (
        "train.generative",
        "Training of generative models",
        UseFacts(
            meaning=(
                "Models that make new music may learn from it, together with many other recordings."
            ),
            outcome="A music generation model",
            signals=(MINING, GENERATIVE_TRAINING),
            makes_model=True,
        ),
    )
    FINETUNE = (
        "finetune",
        "Fine-tuning on a named artist or catalogue",
        UseFacts(
            meaning="A model may be tuned to your catalogue alone, so that it sounds close to you.",
            outcome="A music generation model tuned to a catalogue",
            # The keys of CAWG refuse it together with other training; its own key refuses it alone.
            signals=(MINING, GENERATIVE_TRAINING, "backline.finetune"),
            makes_model=True,
            follows_model=True,
        ),
    )
    CONDITION = (
        "condition",
        "Reference audio at generation",
        UseFacts(
            meaning=(
                "Somebody may play it to a model as an example, and have new music made after it."
            ),
            outcome="Music made after reference recordings",
            signals=(INFERENCE,),
            is_reference=True,
            follows_model=True,
        ),
    )
    STEMS = (
        "stems",
        "Separation and reuse of stems",
        UseFacts(
            meaning=(
                "It may be taken apart into voice, drums and so on, and the parts used again."
            ),
            outcome="A separation into stems",
        ),
    )
    DERIVE_REMIX = (
        "derive.remix",
        "Remixes",
        UseFacts(meaning="A model may make remixes of this very recording.", outcome="Remixes"),
    )
    DERIVE_COVER = (
        "derive.cover",
        "Covers",
        UseFacts(
            meaning="A model may make new versions of the song, played or sung by others.",
            outcome="Covers",
        ),
    )
    VOICE = (
        "voice",
        "Voice models",
        UseFacts(
            meaning="A model may learn to sing or speak with the artist's voice.",
            outcome="A voice model",
            asks=VOICES,
            makes_model=True,
            starts=frozenset({"voice", "eval"}),
            follows_model=True,
        ),
    )
    LIKENESS_NAME = (
        "likeness.name",
        "Use of the artist's name",
        UseFacts(
            meaning="The artist's name may be shown with a model or with what it makes.",
            outcome="A use of artists' names",
            asks=ARTISTS,
            follows_model=True,
        ),
    )
    STYLE_NAMED = (
        "style.named",
        "Named style",
        UseFacts(
            meaning=(
                "People may ask a model for music “in the style of” the artist, by name, and get "
                "it."
            ),
            outcome="Music in named styles",
            asks=ARTISTS,
            follows_model=True,
        ),
    )
    DISTRIBUTE = (
        "distribute",
        "Distribution of outputs",
        UseFacts(
            meaning=(
                "Music that was made with it may leave the lab: in an app, a file, or a film."
            ),
            outcome="A distribution of outputs",
            follows_model=True,
        ),
    )


def use_named(text: str) -> Use | None:
    """Return the use of this name; None for any other text."""
    try:
        return Use(text)
    except ValueError:
        return None


def labels() -> dict[str, Any]:
    """Return label by name, for menus; typed as JSON schemas require."""
    return {use.value: use.label for use in Use}


def by_key() -> dict[str, tuple[Use, ...]]:
    """Return the uses that each key refuses: CAWG's keys first, then our own."""
    own = {key: None for use in Use for key in _keys_of(use) if key not in CAWG_KEYS}
    return {key: tuple(use for use in Use if key in _keys_of(use)) for key in (*CAWG_KEYS, *own)}


def _keys_of(use: Use) -> tuple[str, ...]:
    return use.facts.signals or (f"{OWN_KEYS}{use.value}",)
