"""EMAIL_URL: where mail goes, and that no password goes where others can read it."""

import pytest
from django.core.exceptions import ImproperlyConfigured

from portal.settings import mail_server


@pytest.mark.parametrize(
    ("url", "server"),
    [
        ("", ("localhost", 25, "", "", False, False)),
        ("smtp://mail.example", ("mail.example", 25, "", "", False, False)),
        ("smtp://me:p%40ss@mail.example:587", ("mail.example", 587, "me", "p@ss", False, True)),
        ("smtps://me:secret@mail.example", ("mail.example", 465, "me", "secret", True, False)),
    ],
)
def test_an_address_of_a_mail_server(url: str, server: tuple[object, ...]) -> None:
    assert mail_server(url) == server


@pytest.mark.parametrize(
    "url", ["mail.example", "http://mail.example", "smtp://", "smtp://me:secret@mail.example:port"]
)
def test_nonsense_stops_the_start_without_showing_the_password(url: str) -> None:
    with pytest.raises(ImproperlyConfigured, match="EMAIL_URL") as refusal:
        mail_server(url)
    assert "secret" not in str(refusal.value)
