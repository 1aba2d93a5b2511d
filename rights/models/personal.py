"""Which credits mean that somebody is asked for a use of a person (`asks` in backline/uses.py)."""

from typing import Any

from django.db.models import CharField, Lookup, Q
from django.db.models.sql.compiler import SQLCompiler

from backline.uses import VOCALIST, Use, use_named
from rights.models.vocabulary import RoleCode

PERSONA_USES = frozenset(use for use in Use if use.facts.asks)
ASKED = frozenset(role for use in PERSONA_USES for role in use.facts.asks)
PERFORMERS = frozenset({RoleCode.SOLOIST, RoleCode.ASSOCIATED_PERFORMER})
# Words for a voice in an instrument, a user-defined role or a credit's wording: SINGING as part of
# the text, SINGING_ALONE as all of it (a tenor sings, a tenor saxophone does not).
SINGING = (
    "vocal", "voice", "vox", "singer", "singing", "sung", "choir", "rapper", "rapping", "narrat",
    "speak", "speech", "spoken", "recit", "beatbox", "soprano", "contralto", "countertenor",
    "yodel", "chant", "gesang", "stimme", "sprech", "voix", "cantante", "emcee",
)  # fmt: skip
SINGING_ALONE = (
    "rap", "mc", "tenor", "alto", "baritone", "mezzo", "ad-libs", "adlibs", "ad libs", "chorus",
    "actor", "voz", "voce", "host", "sprache",
)  # fmt: skip


@CharField.register_lookup
class NamesAVoice(Lookup):
    """`column__names_a_voice=True`: the text has a word of SINGING in it, in any case, or is one of
    SINGING_ALONE. One condition for Django, which takes longer to put a hundred together than a
    database to answer them."""

    lookup_name = "names_a_voice"

    def as_sql(self, compiler: SQLCompiler, connection: Any) -> tuple[str, tuple[str | int, ...]]:
        column, column_params = self.process_lhs(compiler, connection)
        conditions: list[str] = []
        params: list[Any] = []
        parts = [f"%{word}%" for word in SINGING]
        for kind, words in (("icontains", parts), ("iexact", SINGING_ALONE)):
            condition = f"{connection.ops.lookup_cast(kind) % column} {connection.operators[kind]}"
            for word in words:
                conditions.append(condition)
                params += [*column_params, word]
        return f"({' OR '.join(conditions)})", tuple(params)


def asked_for(use: str) -> Q:
    """Return the filter for credits whose party is asked for this use of a person. A person's grant
    for any other use permits nothing by itself; it is about all that the person is in."""
    known = use_named(use)
    return _credited((known and known.facts.asks) or ASKED)


def asked_for_any() -> Q:
    """Return the filter for credits whose party is asked for some use of a person."""
    return _credited(ASKED)


def _credited(roles: frozenset[str]) -> Q:
    named = Q(role__in=sorted(roles))
    return named | _sings() if VOCALIST in roles else named


def _sings() -> Q:
    """Return the filter for credits of a voice, or of a performer without an instrument."""
    condition = Q(role__in=sorted(PERFORMERS), instrument="", user_defined="")
    for column in ("instrument", "user_defined", "display_text"):
        condition |= Q(**{f"{column}__names_a_voice": True})
    return condition
