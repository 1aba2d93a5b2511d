"""How a party is credited in public: by name, in other words, or only counted.

The choice is made by the party, or by a rights admin to whom it was reported. Public pages read it
on each request, so it takes effect at once.
"""

from django.db import transaction

from portal import audit
from portal.inputs.text import clean_line, unreadable
from portal.models import Role, User
from rights.errors import Refused
from rights.models import Party

LONGEST = 200


@transaction.atomic
def choose(
    *,
    by: User,
    party: Party,
    credit: str,
    wording: str = "",
    titles: bool = False,
    after: bool = False,
) -> Party:
    """Set the choice. `titles` lets titles be listed, `after` keeps the credit on a model that
    stays after a withdrawal. Raises Refused for somebody who does not speak for the party, and for
    wording that cannot be shown."""
    if not may_choose(by, party):
        raise Refused("not_yours", f"You do not speak for {party}.")
    if credit not in Party.PublicCredit.values:
        raise Refused("credit", "Choose one of the three.", field="credit")
    wording = clean_line(wording)
    if credit == Party.PublicCredit.WORDING and not wording:
        raise Refused("required", "Write the words to be shown.", field="wording")
    if len(wording) > LONGEST:
        raise Refused("too_long", f"Use {LONGEST} characters at most.", field="wording")
    if sentence := unreadable(wording):
        raise Refused("wording", sentence, field="wording")
    party.public_credit, party.public_wording = credit, wording
    named = credit != Party.PublicCredit.UNNAMED
    party.public_titles, party.public_after = titles and named, after and named
    party.save(update_fields=["public_credit", "public_wording", "public_titles", "public_after"])
    audit.record(
        by=by,
        verb="party.public_credit",
        subject=party,
        credit=credit,
        titles=party.public_titles,
        after=party.public_after,
        private={"wording": wording},
    )
    return party


def may_choose(user: User, party: Party) -> bool:
    return user.has_role(Role.RIGHTS_ADMIN) or party.people.filter(pk=user.pk).exists()
