"""What a rightsholder takes away names no project and no run of the lab's."""

import json

import pytest
from django.test import Client
from django.urls import reverse

from experiments.models import Project
from portal.models import User
from tests.audio_samples.cast import make_run
from tests.catalogue import make_allowed

pytestmark = pytest.mark.django_db


def test_everything_of_an_artist_names_no_project(
    client: Client, ada: User, rosa: User, noor: User, project: Project
) -> None:
    recordings = make_allowed(rosa, 1)
    party = recordings[0].credits.first().party  # type: ignore[union-attr]
    party.people.add(noor)
    run = make_run(ada, project, recordings)
    client.force_login(noor)
    response = client.get(reverse("rights:mine_everything"))
    text = b"".join(response.streaming_content).decode()  # type: ignore[attr-defined]
    decisions = json.loads(text)["decisions"]
    assert {line["recording"] for line in decisions} == {recordings[0].pk}
    assert {"purpose", "territory"} <= set(decisions[0]["context"])
    for secret in (project.slug, project.name, run.name):
        assert secret not in text
