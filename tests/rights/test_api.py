"""The room over HTTP: paged, and only what the caller may see."""

import pytest
from django.test import Client

from portal.models import User
from rights.consent import consent
from rights.models import Purpose, Use
from tests.catalogue import make_allowed

pytestmark = pytest.mark.django_db

HERE = consent.Context(purpose=Purpose.RESEARCH, territory="world", model_family="backline")


def test_recordings_are_paged_and_searched(client: Client, rosa: User, ada: User) -> None:
    songs = make_allowed(rosa, count=3)
    client.force_login(ada)
    page = client.get("/api/v1/rights/recordings", {"limit": 2}).json()
    assert (page["count"], len(page["items"])) == (3, 2)
    found = client.get("/api/v1/rights/recordings", {"q": songs[1].isrc}).json()
    assert [item["id"] for item in found["items"]] == [songs[1].pk]


def test_why_and_decisions_answer_readers_alone(
    client: Client, rosa: User, ada: User, lou: User
) -> None:
    (song,) = make_allowed(rosa, count=1)
    decision = consent.check([song], Use.VOICE, HERE, by=rosa)
    client.force_login(ada)
    why = f"/api/v1/rights/recordings/{song.pk}/why"
    assert client.get(why, {"use": "eval"}).json()["allowed"] is True
    assert client.get(why, {"use": "voice"}).json()["reasons"][0]["code"] == "no_grant"
    assert client.get(why, {"use": "x"}).status_code == 422
    lines = client.get(f"/api/v1/rights/decisions/{decision.pk}/lines").json()["items"]
    assert [line["recording_id"] for line in lines] == [song.pk]
    client.force_login(lou)
    for address in (why + "?use=eval", "/api/v1/rights/decisions"):
        assert client.get(address).status_code == 404
    assert client.get("/api/v1/rights/recordings").json()["items"] == []
