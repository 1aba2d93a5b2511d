"""The reasons for a refusal: each code once, with every sentence that is written of it.

The evaluator and the allowances give codes and details; the sentences are made here, in today's
names. Codes are stored in decisions and are never renamed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from types import MappingProxyType
from typing import NamedTuple, TypedDict

from rights.models import RightType, Use


class Wording(NamedTuple):
    """How one code is written.

    `exact` is the sentence for one recording at one moment. `general` is that for a model or a set
    of recordings, of which one is an example and no day is known; empty where `exact` serves.
    `brief` stands in a list of counts. All but the brief ones are format strings: `{holder}` is the
    party with its share, `{party}` its name alone, `{right}` what it holds ("the master “Roads”"),
    `{title}` the recording's, `{use}` the use; the others are details of the code.
    """

    exact: str
    general: str = ""
    brief: str = "another permission has a narrower scope"


WORDINGS: Mapping[str, Wording] = {
    "no_audio": Wording(
        "“{title}” has no file yet.",
        general="“{title}” has no file any more.",
        brief="no file yet",
    ),
    "no_work": Wording(
        "“{title}” names no work, so nobody can allow its composition.",
        brief="no work is named",
    ),
    "no_artist": Wording(
        "“{title}” credits no main artist, so nobody can allow {use}.",
        brief="no main artist is credited",
    ),
    "members_unknown": Wording(
        "{party} is no person, and nobody has said who all its members are, so nobody can allow "
        "{use} of “{title}”.",
        brief="nobody has said who a group's members are",
    ),
    "sound_question": Wording(
        "A question about the sound of “{title}” is open: a rights admin has to say what it is to "
        "the recording that it sounds like.",
        brief="a question about its sound is open",
    ),
    "no_split": Wording(
        "Nobody has stated who holds {right}: it has no split sheet.",
        brief="no split",
    ),
    "split_disputed": Wording(
        "{party} disputes the split of {right}.",
        brief="the split is in dispute",
    ),
    "split_unconfirmed": Wording(
        "{party} has not confirmed the split of {right}.",
        brief="the split is not confirmed",
    ),
    "split_incomplete": Wording(
        "The split of {right} does not make 100 %.",
        brief="the split does not make 100 %",
    ),
    "unknown": Wording(
        "The catalogue did not have it then.",
        general="A recording behind it is not in the catalogue any more.",
        brief="not in the catalogue",
    ),
    "no_grant": Wording(
        "{holder} has not allowed {use}.",
        brief="another permission is missing",
    ),
    "grant_not_active": Wording(
        "{holder} was asked for {use} and the grant is not in force.",
        brief="another permission is not in force yet",
    ),
    "grant_withdrawn": Wording(
        "{holder} withdrew the permission for {use} on {day}.",
        general="{holder} withdrew the permission for {use}.",
        brief="another permission was withdrawn",
    ),
    "grant_expired": Wording(
        "{holder} allowed {use} only until {day}.",
        general="{holder} allowed {use} only for a time that has passed.",
        brief="another permission has expired",
    ),
    "grant_replaced": Wording(
        "{holder} allows {use} by other terms since {day}.",
        general="{holder} allows {use} by newer terms.",
        brief="another permission has a newer version",
    ),
    "grant_suspended": Wording(
        "{holder} suspended the permission for {use} on {day}.",
        general="{holder} suspended the permission for {use}.",
        brief="another permission is suspended",
    ),
    "grant_not_started": Wording(
        "{holder} allows {use} only from {day}.",
        general="{holder} allows {use} only from a later day.",
        brief="another permission has not started yet",
    ),
    "opted_out": Wording(
        "{holder} opted this recording out of {use} on {day}.",
        general="{holder} opted it out of {use}.",
        brief="opted out",
    ),
    "signal": Wording(
        "{holder} has not allowed {use} for this very recording since {day}, when it said no.",
        general="{holder} has not allowed {use} for it since it was read to say no.",
        brief="the file or the site says no",
    ),
    "purpose": Wording("{holder} has not allowed {use} for {purpose}."),
    "territory": Wording("{holder} has not allowed {use} in {place}."),
    "model_family": Wording(
        "{holder} has allowed {use} for another model family than “{family}”."
    ),
    "model_version": Wording(
        "{holder} has not allowed {use} for version {version} of “{family}”."
    ),
    "product": Wording("{holder} has allowed {use} for certain products only, {product}."),
    "channel": Wording("{holder} has not allowed {use} on this channel."),
    "condition": Wording(
        "{holder} allows {use} only under a condition that nobody has settled.",
        brief="a condition is not settled",
    ),
}  # fmt: skip

# What a code needs beside names: a day, a place, a family. Strings, ready for a sentence.
Details = Mapping[str, str]
NO_DETAILS: Details = MappingProxyType({})


class Missing(NamedTuple):
    """One thing that a use of a recording lacks: a code with what it is about, by number.

    `grant` is the one that came nearest to covering, `ppm` the party's share, `through` the source
    recording that lacks it, where the recording asked about is derived from that.
    """

    code: str
    right: RightType
    party: int | None = None
    work: int | None = None
    grant: int | None = None
    ppm: int | None = None
    through: int | None = None
    details: Details = NO_DETAILS


class Reason(TypedDict):
    """A refusal as decisions store it. Codes and numbers are the decision; the sentence gives it in
    the names of the day it was made."""

    code: str
    sentence: str
    party: str
    right: str
    party_id: int | None
    work_id: int | None
    grant_id: int | None
    # The source recording that the right is in, where the recording is derived from one.
    through_id: int | None


@dataclass
class Names:
    """Titles and names by number, filled in before sentences are written."""

    parties: dict[int, str] = field(default_factory=dict)
    works: dict[int, str] = field(default_factory=dict)
    recordings: dict[int, str] = field(default_factory=dict)


# --- For one recording -----------------------------------------------------------------------


def reasons_for(missing: Sequence[Missing], title: str, use: Use, names: Names) -> list[Reason]:
    """Return what the recording called `title` lacks, as decisions store it and pages show it."""
    return [
        Reason(
            code=lack.code,
            sentence=_sentence(lack, title, use, names),
            party=names.parties.get(lack.party or 0, ""),
            right=lack.right.value,
            party_id=lack.party,
            work_id=lack.work,
            grant_id=lack.grant,
            through_id=lack.through,
        )
        for lack in missing
    ]


def unknown() -> Reason:
    """Return the reason for a recording that the catalogue did not have at the moment asked."""
    return reasons_for([Missing("unknown", RightType.MASTER)], "", Use.TRAIN_GENERATIVE, Names())[0]


def _sentence(missing: Missing, title: str, use: Use, names: Names) -> str:
    source = title if missing.through is None else names.recordings[missing.through]
    right = right_in_words(missing.right, source, names.works.get(missing.work or 0, ""))
    party = names.parties.get(missing.party or 0, "Somebody")
    share = f"{missing.ppm / 10_000:g} % of " if missing.ppm is not None else ""
    sentence = WORDINGS[missing.code].exact.format(
        holder=f"{party} ({share}{right})", party=party, right=right, title=source,
        use=in_words(use), **missing.details,
    )  # fmt: skip
    if missing.through is None:
        return sentence
    return f"{sentence} “{title}” comes from “{source}”."


# --- For a model or a set --------------------------------------------------------------------


def general_sentence(code: str, **names: str) -> str:
    """Return the sentence for a model or a set of recordings; `names` as in Wording."""
    wording = WORDINGS[code]
    return (wording.general or wording.exact).format(**names)


def brief(code: str) -> str:
    return WORDINGS[code].brief


# --- Parts of sentences ----------------------------------------------------------------------


def right_in_words(right: str, title: str, work: str) -> str:
    """Return "the master “Roads”", "the composition “Roads”", "whose person is in “Roads”"."""
    if right == RightType.COMPOSITION:
        return f"the composition “{work}”"
    return f"the master “{title}”" if right == RightType.MASTER else f"whose person is in “{title}”"


def product_in_words(product: str) -> str:
    """Return the detail of the code `product`."""
    return f"not for the product “{product}”" if product else "and none is named"


@cache
def in_words(use: str) -> str:
    """Return the use as it stands inside a sentence."""
    label = str(Use(use).label)
    return label[0].lower() + label[1:]
