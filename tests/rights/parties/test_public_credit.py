"""How a party is spoken of in public: its own choice, or a rights admin's who was told of it."""

import pytest
from django.test import Client

from portal import audit
from portal.models import User
from rights.errors import Refused
from rights.models import Party
from rights.parties import public_credit
from tests.catalogue import make_party


@pytest.fixture
def party(rosa: User, noor: User) -> Party:
    return make_party(rosa, "Noor Haddad", credited_as="noor", people=[noor])


def test_a_party_is_named_as_it_is_credited_until_it_chooses(party: Party) -> None:
    assert party.public_name == "noor"
    assert not party.public_titles
    assert not party.public_after


def test_the_party_chooses_its_words_on_its_own_page(
    client: Client, noor: User, party: Party
) -> None:
    client.force_login(noor)
    assert client.get("/rights/mine/wording/").url == f"/rights/parties/{party.pk}/wording/"  # type: ignore[attr-defined]
    sent = {"credit": "wording", "wording": " a singer from Leeds ", "titles": "on"}
    answer = client.post(f"/rights/parties/{party.pk}/wording/", sent, follow=True)
    assert b"a singer from Leeds" in answer.content
    party.refresh_from_db()
    assert (party.public_name, party.public_titles) == ("a singer from Leeds", True)
    line = audit.history(party).first()
    assert line is not None
    assert line.verb == "party.public_credit"
    assert "Leeds" not in str(line.body)


def test_who_is_not_named_has_no_titles_listed_either(rosa: User, party: Party) -> None:
    public_credit.choose(by=rosa, party=party, credit="unnamed", titles=True, after=True)
    assert (party.public_name, party.public_titles, party.public_after) == ("", False, False)


@pytest.mark.parametrize("words", ["", "\u202e\u200b", "a\x93b", "x" * 201])
def test_words_that_cannot_be_shown_are_refused_beside_their_field(
    client: Client, noor: User, party: Party, words: str
) -> None:
    client.force_login(noor)
    sent = {"credit": "wording", "wording": words, "after": "on"}
    answer = client.post(f"/rights/parties/{party.pk}/wording/", sent)
    assert answer.status_code == 422
    assert b"errorlist" in answer.content
    party.refresh_from_db()
    assert party.public_credit == Party.PublicCredit.NAME


def test_words_are_shown_in_one_line_that_nothing_turns_round(rosa: User, party: Party) -> None:
    public_credit.choose(
        by=rosa, party=party, credit="wording", wording="two\nlines, turned \u202eround"
    )
    assert party.public_name == "two lines, turned round"
    # A joiner is part of the spelling.
    public_credit.choose(by=rosa, party=party, credit="wording", wording="\u0645\u06cc\u200c\u062e")
    assert party.public_name == "\u0645\u06cc\u200c\u062e"


def test_nobody_chooses_for_another(
    client: Client, ada: User, rosa: User, noor: User, party: Party
) -> None:
    other = make_party(rosa, "Somebody else")
    for user in (ada, noor):
        client.force_login(user)
        assert client.get(f"/rights/parties/{other.pk}/wording/").status_code == 404
    with pytest.raises(Refused, match="speak for"):
        public_credit.choose(by=noor, party=other, credit="unnamed")


def test_a_rights_admin_enters_what_a_party_has_told(
    client: Client, rosa: User, party: Party
) -> None:
    client.force_login(rosa)
    client.post(f"/rights/parties/{party.pk}/wording/", {"credit": "unnamed"})
    party.refresh_from_db()
    assert party.public_name == ""
