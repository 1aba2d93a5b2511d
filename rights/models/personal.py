"""Which credits make somebody be asked for a use of a person: the one table of it."""

from collections.abc import Mapping
from types import MappingProxyType

from django.db.models import Q

from rights.models.vocabulary import RoleCode, Use

ARTISTS = frozenset({RoleCode.MAIN_ARTIST, RoleCode.FEATURED_ARTIST})
# Who is named, or played in the manner of, is who stands on the cover. A voice is everybody's who
# sings or speaks: the artists, the vocalists, and performers of whom nobody says what they play.
ASKED: Mapping[Use, frozenset[RoleCode]] = MappingProxyType({
    Use.VOICE: ARTISTS | {RoleCode.VOCALIST},
    Use.LIKENESS_NAME: ARTISTS,
    Use.STYLE_NAMED: ARTISTS,
})  # fmt: skip
PERSONA_USES = frozenset(ASKED)
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
    asks_voice = use not in ASKED or use == Use.VOICE
    roles = Q(role__in=sorted(ASKED[Use.VOICE] if asks_voice else ASKED[Use(use)]))
    return roles | _sings() if asks_voice else roles


def _sings() -> Q:
    """A credit that names a voice, or a performer of whom nobody says what they play."""
    found = Q(role__in=sorted(PERFORMERS), instrument="", user_defined="")
    for column in ("instrument", "user_defined", "display_text"):
        for word in SINGING:
            found |= Q(**{f"{column}__icontains": word})
        for word in SINGING_ALONE:
            found |= Q(**{f"{column}__iexact": word})
    return found


def asked_for_any() -> Q:
    """Of rows of Credit: whose party is asked for some use of a person."""
    # The uses that ask fewer roles ask none that the voice does not.
    return asked_for(Use.VOICE)
