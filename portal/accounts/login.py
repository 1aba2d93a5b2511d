"""allauth's forms with our limits on tries, and what happens after a complete log-in."""

import logging
from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.forms import (
    ChangePasswordForm,
    LoginForm,
    ReauthenticateForm,
    ResetPasswordForm,
)
from allauth.core import context
from allauth.mfa.base import forms as second_factor
from allauth.mfa.stages import AuthenticateStage
from allauth.mfa.utils import is_mfa_enabled
from django import forms
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse

from portal.accounts import devices, throttle
from portal.inputs.forms import Bounded
from portal.models import User

log = logging.getLogger(__name__)

# As long as the longest e-mail address.
LONGEST_LOGIN = 254
OTHER_WAYS = (
    " Sooner: on a device on which you have logged in before, from another network, or with the "
    "code of your second factor, below."
)


class Accounts(DefaultAccountAdapter):  # type: ignore[misc]
    """allauth's adapter with the rules of this lab."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:  # noqa: ARG002
        """Accounts are made by an operator or by single sign-on; nobody signs up from outside."""
        return False

    def get_login_stages(self) -> list[str]:
        default = f"{AuthenticateStage.__module__}.{AuthenticateStage.__qualname__}"
        own = f"{SecondFactor.__module__}.{SecondFactor.__qualname__}"
        return [own if stage == default else stage for stage in super().get_login_stages()]

    def post_login(self, request: HttpRequest, user: User, **how: Any) -> HttpResponse:
        response: HttpResponse = super().post_login(request, user, **how)
        devices.remember(request, response, user)
        return response


class SecondFactor(AuthenticateStage):  # type: ignore[misc]
    """The second factor, which is not asked for again if it came with the password."""

    def handle(self) -> tuple[HttpResponse | None, bool]:
        if self.login.user and second_factor_user_id(self.request) == self.login.user.pk:
            return None, True
        answer: tuple[HttpResponse | None, bool] = super().handle()
        return answer


def second_factor_user_id(request: HttpRequest) -> int | None:
    return getattr(request, "second_factor_of", None)


class LogIn(Bounded, LoginForm):  # type: ignore[misc]
    """Name or e-mail, password; and the second factor's code after too many wrong tries."""

    code = forms.CharField(
        label="Code of your second factor",
        required=False,
        max_length=32,
        widget=forms.TextInput(attrs={"autocomplete": "one-time-code"}),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field: Any = self.fields["login"]
        field.max_length = LONGEST_LOGIN
        self.fields["login"].widget.attrs["maxlength"] = LONGEST_LOGIN
        # Whether the page asks for the code.
        self.waits = False

    def clean(self) -> dict[str, Any] | None:
        if self.errors:
            return None
        login = self.cleaned_data["login"]
        if len(login) > LONGEST_LOGIN:
            raise ValidationError("A user name or e-mail address is shorter than that.")
        try:
            attempt = throttle.log_in(self.request, login)
        except throttle.Wait as wait:
            self.waits = True
            log.warning("Too many wrong log-ins from %s.", throttle.address(self.request))
            if not self._has_second_factor(login):
                raise ValidationError(f"{wait}{OTHER_WAYS}", code="wait") from wait
            attempt = throttle.Try([])
        data: dict[str, Any] | None = super().clean()
        attempt.forgive()
        return data

    def _has_second_factor(self, login: str) -> bool:
        """Return whether the form has a valid code of the account; it does not log in by itself."""
        if not (code := self.cleaned_data.get("code")):
            return False
        for user in throttle.accounts(login):
            if is_mfa_enabled(user):
                form = FactorFirst({"code": code}, user=user)  # type: ignore[call-arg]
                if form.is_valid():
                    form.save()
                    self.request.second_factor_of = user.pk
                    return True
        return False


class _CountedCode:
    """Each code counts as wrong until it proves right."""

    user: User
    first = False

    def clean_code(self) -> str:
        try:
            attempt = throttle.code(context.request, self.user, first=self.first)
        except throttle.Wait as wait:
            raise ValidationError(str(wait), code="wait") from wait
        code: str = super().clean_code()  # type: ignore[misc]
        attempt.forgive()
        return code


class SecondFactorForm(Bounded, _CountedCode, second_factor.AuthenticateForm):  # type: ignore[misc]
    pass


class FactorFirst(SecondFactorForm):
    first = True


class SecondFactorAgainForm(
    Bounded,
    _CountedCode,
    second_factor.ReauthenticateForm,  # type: ignore[misc]
):
    pass


def _counted(user: User) -> throttle.Try:
    try:
        return throttle.log_in(context.request, user.get_username())
    except throttle.Wait as wait:
        raise ValidationError(str(wait), code="wait") from wait


class PasswordAgain(Bounded, ReauthenticateForm):  # type: ignore[misc]
    def clean_password(self) -> str:
        attempt = _counted(self.user)
        password: str = super().clean_password()
        attempt.forgive()
        return password


class NewPassword(Bounded, ChangePasswordForm):  # type: ignore[misc]
    def clean_oldpassword(self) -> str:
        attempt = _counted(self.user)
        password: str = super().clean_oldpassword()
        attempt.forgive()
        return password


class ForgottenPassword(Bounded, ResetPasswordForm):  # type: ignore[misc]
    def clean_email(self) -> str:
        try:
            throttle.mail(context.request, self.cleaned_data["email"])
        except throttle.Wait as wait:
            raise ValidationError(str(wait), code="wait") from wait
        email: str = super().clean_email()
        return email
