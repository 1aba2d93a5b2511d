"""Django's admin, for operators to look up rows and create accounts. It is not the interface."""

from typing import Any, cast

from django import forms
from django.apps import apps
from django.contrib import admin
from django.contrib.admin.views.main import ERROR_FLAG
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.forms import UserChangeForm
from django.contrib.auth.views import redirect_to_login
from django.contrib.contenttypes.views import shortcut
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import DataError, models, transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import path, reverse

from backline import bounds
from portal import audit
from portal.inputs import parameters
from portal.models import ApiToken, AuditEvent, Role, User


def is_operator(request: HttpRequest) -> bool:
    user = request.user
    return isinstance(user, User) and user.is_active and user.has_role(Role.OPERATOR)


def redirect_to_object(request: HttpRequest, content_type_id: str, object_id: str) -> HttpResponse:
    """Redirect to a row's page with Django's own view; an invalid key gets a 404."""
    try:
        return shortcut(request, content_type_id, object_id)
    except ValidationError:
        raise Http404 from None


class OperatorSite(admin.AdminSite):
    """Django's admin behind our own role: `is_staff` gives no access here."""

    site_header = site_title = "Backline records"
    index_title = "Look things up; change them on the portal's own pages"

    def has_permission(self, request: HttpRequest) -> bool:
        return is_operator(request)

    def get_urls(self) -> list[Any]:
        view_on_site = path(
            "r/<path:content_type_id>/<path:object_id>/",
            self.admin_view(redirect_to_object),
            name="view_on_site",
        )
        return [view_on_site, *super().get_urls()]

    def login(
        self,
        request: HttpRequest,
        extra_context: dict[str, Any] | None = None,  # noqa: ARG002 - Django's signature
    ) -> HttpResponse:
        """Redirect to the portal's one log-in, with its second factor; refuse other roles."""
        if request.user.is_authenticated:
            raise PermissionDenied("Records are open to operators.")
        return redirect_to_login(
            parameters.read_parameters(request).text("next", reverse("admin:index"), longest=2_000)
        )


class RowsByKey(admin.ModelAdmin):  # type: ignore[type-arg]
    """Answers any row key in a URL: with the row, or with the message that there is none."""

    def get_object(self, request: HttpRequest, object_id: str, from_field: Any = None) -> Any:
        # A URL may spell a NUL as _00, and no row's key contains one.
        if bounds.UNREADABLE.search(object_id):
            return None
        try:
            # An empty `?_to_field=` counts as absent; Django would look for a column with no name.
            return super().get_object(request, object_id, from_field or None)
        except OverflowError:
            # Django checks the size of a number, except in a key that is a foreign key.
            return None

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        try:
            return super().changelist_view(request, extra_context)
        except (OverflowError, DataError):
            # A number that no column can hold. Django catches it, but not for a foreign key; as
            # after every other wrong filter, the list then shows all rows.
            return redirect(f"{request.path}?{ERROR_FLAG}=1")


class ReadOnlyAdmin(RowsByKey):
    """Read-only rows: the portal's own actions change them, and leave an audit line."""

    list_per_page = 50
    show_full_result_count = False

    def has_module_permission(self, request: HttpRequest) -> bool:
        return is_operator(request)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002
        return is_operator(request)

    def has_add_permission(self, request: HttpRequest) -> bool:  # noqa: ARG002
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002
        return False


class PersonForm(UserChangeForm):  # type: ignore[type-arg]
    """Shows roles as checkboxes; the row stores their codes."""

    roles = forms.MultipleChoiceField(
        choices=Role.choices, required=False, widget=forms.CheckboxSelectMultiple
    )


class PersonAdmin(RowsByKey, UserAdmin):  # type: ignore[type-arg]
    """Accounts are created and given their roles here; nobody signs up from outside."""

    form = PersonForm
    list_display = ["username", "display_name", "email", "roles", "is_active", "last_login"]
    list_filter = ["is_active"]
    filter_horizontal = ()
    fieldsets = (
        (None, {"fields": ("username", "password")}),
        ("Person", {"fields": ("first_name", "last_name", "email")}),
        ("Access", {"fields": ("is_active", "roles")}),
    )
    add_fieldsets = ((None, {"fields": ("username", "usable_password", "password1", "password2")}),)

    def has_module_permission(self, request: HttpRequest) -> bool:
        return is_operator(request)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002
        return is_operator(request)

    has_add_permission = has_change_permission = has_view_permission

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002
        # The audit chain still names the person for what they did; deactivate them instead.
        return False

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        with transaction.atomic():
            super().save_model(request, obj, form, change)
            audit.record(
                by=cast("User", request.user),
                verb="person.changed" if change else "person.added",
                subject=obj,
                fields=form.changed_data,
                roles=obj.roles,
            )


class AuditAdmin(ReadOnlyAdmin):
    list_display = ["seq", "at", "actor_label", "verb", "subject_type", "subject_id"]
    list_filter = ["verb"]
    search_fields = ["subject_id", "actor_label"]
    # Includes the names and texts of which the hash covers only a digest.
    readonly_fields = ["details"]


class TokenAdmin(ReadOnlyAdmin):
    list_display = ["prefix", "user", "label", "scope", "created_at", "last_used_at", "revoked_at"]
    search_fields = ["label", "user__username"]
    # A digest is of no use to a person and no business of an operator.
    exclude = ["digest"]


class BinaryFreeAdmin(ReadOnlyAdmin):
    """Read-only rows without their binary fields and long JSON fields."""

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:  # noqa: ARG002
        hidden = (models.BinaryField, models.JSONField)
        return [
            field.name
            for field in self.model._meta.fields
            if not isinstance(field, hidden) or field.name in {"config", "body", "reasons"}
        ]


site = OperatorSite(name="admin")
site.register(User, PersonAdmin)
site.register(AuditEvent, AuditAdmin)
site.register(ApiToken, TokenAdmin)

# The models of our own apps, from the installed ones: the portal imports none of them.
OWN_APPS = {"portal", "rights", "experiments", "audio_samples", "listening"}
for model in apps.get_models():
    if model._meta.app_label in OWN_APPS and not site.is_registered(model):
        site.register(model, BinaryFreeAdmin)
