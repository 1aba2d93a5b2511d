"""Whose credits make somebody be asked for a use of a person (`asks` in backline/uses.py)."""

from django.db.models import Q

from backline.uses import VOCALIST, Use, use_named
from rights.models.vocabulary import RoleCode

PERSONA_USES = frozenset(use for use in Use if use.facts.asks)
ASKED = frozenset(role for use in PERSONA_USES for role in use.facts.asks)
PERFORMERS = frozenset({RoleCode.SOLOIST, RoleCode.ASSOCIATED_PERFORMER})
# A voice among the instruments of any role, or in the name of a role that the list does not have:
# a part of the words, or all of them (a tenor sings, a tenor saxophone does not).
SINGING = (
    "vocal", "voice", "vox", "singer", "singing", "sung", "choir", "rapper", "rapping", "narrat",
    "speak", "speech", "spoken", "recit", "beatbox", "soprano", "contralto", "countertenor",
    "yodel", "chant", "gesang", "stimme", "sprech", "voix", "cantante", "emcee",
)  # fmt: skip
SINGING_ALONE = (
    "rap", "mc", "tenor", "alto", "baritone", "mezzo", "ad-libs", "adlibs", "ad libs", "chorus",
    "actor", "voz", "voce", "host", "sprache",
)  # fmt: skip


def asked_for(use: str) -> Q:
    """Of rows of Credit: whose party is asked for this use of a person. A grant of somebody's
    person for another use permits nothing by itself; it is about all in which the person is."""
    known = use_named(use)
    return _credited((known and known.facts.asks) or ASKED)


def asked_for_any() -> Q:
    """Of rows of Credit: whose party is asked for some use of a person."""
    return _credited(ASKED)


def _credited(roles: frozenset[str]) -> Q:
    named = Q(role__in=sorted(roles))
    return named | _sings() if VOCALIST in roles else named


def _sings() -> Q:
    """A credit that names a voice, or a performer of whom nobody says what they play."""
    found = Q(role__in=sorted(PERFORMERS), instrument="", user_defined="")
    for column in ("instrument", "user_defined", "display_text"):
        for word in SINGING:
            found |= Q(**{f"{column}__icontains": word})
        for word in SINGING_ALONE:
            found |= Q(**{f"{column}__iexact": word})
    return found
