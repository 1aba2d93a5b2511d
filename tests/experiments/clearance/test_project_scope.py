"""For which model version and product a project asks consent: owners set it, runs ask in it."""

import pytest
from django.test import Client
from django.urls import reverse

from experiments.clearance import permission
from experiments.models import Membership, Project
from portal import audit
from portal.models import User

pytestmark = pytest.mark.django_db


@pytest.fixture
def address(project: Project) -> str:
    return reverse("experiments:project_scope", args=[project.slug])


def test_an_owner_sets_the_version_and_the_product(
    client: Client, ada: User, project: Project, address: str
) -> None:
    client.force_login(ada)
    client.post(address, {"model_version": "3", "product": " Tape "})
    project.refresh_from_db()
    asked = permission.context_of(project)
    assert (asked.model_version, asked.product) == (3, "Tape")
    line = audit.history(project)[0]
    assert line.verb == "project.scope"
    assert line.body["now"] == {"model_version": 3, "product": "Tape"}
    for name in ("runs", "project_settings"):
        page = client.get(reverse(f"experiments:{name}", args=[project.slug])).content.decode()
        assert "version 3, product “Tape”" in page
    # The same once more is no change.
    client.post(address, {"model_version": "3", "product": "Tape"})
    assert audit.history(project).filter(verb="project.scope").count() == 1


@pytest.mark.parametrize(
    ("field", "value"),
    [("model_version", "0"), ("model_version", "10001"), ("model_version", ""),
     ("product", "x" * 101)],
)  # fmt: skip
def test_out_of_bounds_is_said_beside_the_field(
    client: Client, *, ada: User, project: Project, address: str, field: str, value: str
) -> None:
    client.force_login(ada)
    response = client.post(address, {"model_version": "2", "product": "Kept"} | {field: value})
    assert response.status_code == 422
    assert response.context["scope_form"].errors[field]
    assert (value or "Kept") in response.content.decode()
    project.refresh_from_db()
    assert (project.model_version, project.product) == (1, "")


def test_members_look_and_others_see_nothing(
    client: Client, ben: User, olga: User, project: Project, address: str
) -> None:
    client.force_login(ben)
    assert client.post(address, {"model_version": "2"}).status_code == 404
    Membership.objects.create(project=project, user=ben, level=Membership.Level.MEMBER)
    shown = client.get(reverse("experiments:project_settings", args=[project.slug]))
    assert "An owner of the project sets" in shown.content.decode()
    refused = client.post(address, {"model_version": "2"})
    assert refused.status_code == 403
    assert "Only an owner" in refused.content.decode()
    client.force_login(olga)
    assert client.post(address, {"model_version": "2"}).status_code == 403
