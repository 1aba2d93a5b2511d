"""The first person of a portal without a demo world."""

import io

import pytest
from django.contrib.contenttypes.models import ContentType
from django.core.management import CommandError, call_command
from django.test import Client

from portal.models import AuditEvent, Role, User


def test_the_first_operator_logs_in_with_the_printed_password(db: None, client: Client) -> None:
    told = io.StringIO()
    call_command("operator", "vera", stdout=told)
    password = told.getvalue().split()[-1]
    assert User.objects.get().roles == [Role.OPERATOR.value]
    answer = client.post("/account/login/", {"login": "vera", "password": password})
    assert answer.status_code == 302
    assert client.get("/operator/").status_code == 200
    line = AuditEvent.objects.get()
    assert (line.verb, line.actor_label) == ("person.added", "system")


def test_a_name_that_is_taken_is_refused(db: None, ada: User) -> None:
    with pytest.raises(CommandError, match="already"):
        call_command("operator", "Ada")


@pytest.mark.parametrize("key", ["_00", str(2**63), str(-(2**63) - 1), "9" * 5_000, "a_00b"])
def test_a_key_that_no_row_has_is_not_there(client: Client, olga: User, key: str) -> None:
    client.force_login(olga)
    for model in ("auditprivate", "auditevent", "blob", "user", "logroot"):
        answer = client.get(f"/operator/portal/{model}/{key}/change/", follow=True)
        assert answer.status_code in {200, 404}, model


def test_a_key_of_another_kind_leads_to_no_page(client: Client, olga: User) -> None:
    client.force_login(olga)
    kind = ContentType.objects.get(app_label="experiments", model="run")
    assert client.get(f"/operator/r/{kind.pk}/no-uuid/").status_code == 404


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("number", [str(2**63), str(-(2**63) - 1), "9" * 400])
def test_a_filter_by_a_number_that_no_column_holds_is_a_wrong_filter(
    client: Client, olga: User, number: str
) -> None:
    client.force_login(olga)
    for model in ("auditprivate", "auditevent", "logroot", "user"):
        for lookup in ("pk__gt", "pk__lt", "pk", "pk__in"):
            answer = client.get(f"/operator/portal/{model}/?{lookup}={number}", follow=True)
            assert answer.status_code == 200, (model, lookup)


@pytest.mark.parametrize(("column", "status"), [("", 200), ("id", 200), ("nothing", 400)])
def test_the_column_by_which_a_row_is_asked_for_may_be_left_empty(
    client: Client, olga: User, column: str, status: int
) -> None:
    client.force_login(olga)
    answer = client.get(f"/operator/portal/user/{olga.pk}/change/?_to_field={column}")
    assert answer.status_code == status
