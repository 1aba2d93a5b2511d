"""How a party is credited in public: the rightsholder's choice, or a rights admin's for them."""

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_safe

from portal.models import Role
from portal.views import signed_in
from rights.access import is_admin, open_to
from rights.forms import VerbForm
from rights.models import Party
from rights.parties import public_credit


class PublicCreditForm(VerbForm):
    credit = forms.ChoiceField(
        label="On public pages of models",
        choices=Party.PublicCredit.choices,
        widget=forms.RadioSelect,
    )
    wording = forms.CharField(
        label="The words",
        max_length=public_credit.LONGEST,
        required=False,
        help_text="For “in other words”: shown exactly as you write them.",
    )
    titles = forms.BooleanField(
        label="Titles of the recordings may be listed",
        required=False,
        help_text="A title is listed only if all who are credited on it are named.",
    )
    after = forms.BooleanField(
        label="Still name after a withdrawal",
        required=False,
        help_text=(
            "Some agreements let a model stay that learned before the withdrawal. Without this, "
            "the name leaves its page with the permission."
        ),
    )


@require_safe
@open_to(Role.RIGHTSHOLDER)
def own_credits(request: HttpRequest) -> HttpResponse:
    """List the parties that the user speaks for, and how each appears in public."""
    parties = list(Party.objects.filter(people=signed_in(request)))
    if len(parties) == 1:
        return redirect("rights:party_wording", parties[0].pk)
    return render(request, "rights/wordings.html", {"parties": parties})


@require_http_methods(["GET", "HEAD", "POST"])
@open_to(Role.RIGHTSHOLDER, Role.RIGHTS_ADMIN)
def party_wording(request: HttpRequest, pk: int) -> HttpResponse:
    """Choose how a party appears on the public pages of models; it shows at once."""
    user, admin = signed_in(request), is_admin(request)
    rows = Party.objects.all() if admin else Party.objects.filter(people=user)
    party = get_object_or_404(rows, pk=pk)
    initial = {
        "credit": party.public_credit,
        "wording": party.public_wording,
        "titles": party.public_titles,
        "after": party.public_after,
    }
    form = PublicCreditForm(request.POST or None, initial=initial)
    if form.is_valid():
        with form.refusals():
            public_credit.choose(by=user, party=party, **form.cleaned_data)
            messages.success(request, "Saved. Public pages show it from now on.")
            return redirect("rights:party_wording", party.pk)
    context = {"party": party, "form": form, "is_admin": admin}
    return render(request, "rights/wording.html", context, status=422 if form.errors else 200)
