"""Download samples as signed files, and check where an uploaded file comes from."""

from collections.abc import Generator
from dataclasses import dataclass
from typing import IO
from uuid import UUID

from django import forms
from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from audio_samples import analysis, rightsholder_samples
from audio_samples.audibility import silences
from audio_samples.credentials import chain, checking, files, issuing
from audio_samples.models import Credential, Sample
from audio_samples.views.samples import answer_gone, visible_sample
from experiments.publishing import public_words, withdrawals
from portal.http.serving import disposition, ending, stream_response
from portal.models import Role, User
from portal.views import signed_in
from rights.access import open_to
from rights.forms.base import VerbForm
from rights.rightsholder import overview
from rights.rightsholder.registries import PublicSource

# Not for people who only listen: a file must not reveal the answers of a blind test.
askers = open_to(Role.RESEARCHER, Role.RIGHTS_ADMIN, Role.RIGHTSHOLDER, Role.OPERATOR)
CHUNK = 65_536
C2PA = "application/c2pa"


class CheckForm(VerbForm):
    file = forms.FileField(
        label="Audio file",
        allow_empty_file=True,
        help_text="WAV, FLAC, MP3 or Ogg, ten minutes at most. It is looked at and not kept.",
    )

    def clean_file(self) -> object:
        file = self.cleaned_data["file"]
        if file.size > analysis.MAX_BYTES:
            raise forms.ValidationError(
                f"The file is larger than {analysis.MAX_BYTES // 1_000_000} MB."
            )
        return file


@require_POST
def download(request: HttpRequest, pk: int) -> HttpResponseBase:
    """Send the sample as a signed file. A POST, as it records who took it."""
    sample = visible_sample(request, pk)
    if reason := silences.reason_withheld(sample):
        return answer_gone(reason)
    try:
        signed_file = issuing.download(sample, by=signed_in(request))
    except issuing.Withheld:
        return answer_gone(silences.reason_withheld(visible_sample(request, pk)))
    except (chain.NoChain, files.Unsigned) as error:
        messages.error(request, f"It was not downloaded: {error} An operator can mend that.")
        return redirect(sample)
    except FileNotFoundError:
        messages.error(request, "It was not downloaded: the file is missing from storage.")
        return redirect(sample)
    name = f"{sample.run.project.slug}-{sample.run.number}-{sample.name}-{sample.step}"
    name = f"{name}.{ending(signed_file.media_type)}"
    response = stream_response(request, _pieces(signed_file.file), signed_file.media_type, name)
    response.headers["Content-Length"] = str(signed_file.size)
    return response


def _pieces(file: IO[bytes]) -> Generator[bytes, None, None]:
    with file:
        while piece := file.read(CHUNK):
            yield piece


@dataclass(frozen=True)
class Origin:
    """Where a file comes from, as far as this person may know."""

    credential: Credential
    source: PublicSource
    # Why nobody may hear it any more; empty while it may be heard.
    silence: str
    page: str
    # Some of the artists, as on public pages.
    names: list[str]
    # Whether the person is in its project, and may know who took it.
    team: bool

    @property
    def outdated(self) -> bool:
        """Whether the ledger has grown since the statement in the file was made."""
        return self.credential.statement_id != self.credential.sample.credit_id


@require_http_methods(["GET", "HEAD", "POST"])
@askers
def check(request: HttpRequest) -> HttpResponse:
    """Check whether a file was made here, and whose music is behind it."""
    form = CheckForm(request.POST or None, request.FILES or None)
    context: dict[str, object] = {"form": form, "tab": "check"}
    if request.method == "POST" and form.is_valid():
        try:
            with form.refusals():
                finding = checking.check(form.cleaned_data["file"])
                user = signed_in(request)
                origins = [_origin(credential, user) for credential in finding.credentials]
                context |= {"finding": finding, "origins": origins}
        except chain.NoChain as error:
            form.add_error(None, f"{error} An operator can mend that.")
    return render(request, "audio_samples/check.html", context, status=422 if form.errors else 200)


@require_safe
@askers
def credential(request: HttpRequest, number: UUID) -> HttpResponse:
    """Show what one file's credential says, and its status now. The number is in that file only."""
    row = get_object_or_404(_rows(), pk=number)
    return render(
        request,
        "audio_samples/credential.html",
        {"origin": _origin(row, signed_in(request)), "tab": "check"},
    )


@require_safe
def credential_file(request: HttpRequest, number: UUID) -> HttpResponse:
    """Send the manifest as in the file, for whoever wants to put it beside the audio again."""
    visible = Sample.objects.visible_to(signed_in(request))
    row = get_object_or_404(Credential.objects.filter(sample__in=visible), pk=number)
    response = HttpResponse(bytes(row.manifest), content_type=C2PA)
    response.headers["Content-Disposition"] = disposition(f"{number}.c2pa", attachment=True)
    response.headers["Cache-Control"] = "private, no-store"
    return response


def _rows() -> QuerySet[Credential]:
    return Credential.objects.select_related("sample__run__project", "statement", "by")


def _origin(row: Credential, user: User) -> Origin:
    rows = Sample.objects.filter(pk=row.sample_id)
    sample = rows.with_holds().get()
    team = rows.visible_to(user).exists()
    page = ""
    if team:
        page = sample.get_absolute_url()
    elif rightsholder_samples.samples_of(overview.parties_of(user)).filter(pk=sample.pk).exists():
        page = rightsholder_samples.page_url(sample)
    return Origin(
        credential=row,
        source=public_words.public_sources([row.sample.run])[row.sample.run_id],
        silence=silences.reason_for_rightsholders(sample),
        page=page,
        names=row.statement.public_names(withdrawals.parties_who_left(sample.run))
        if row.statement
        else [],
        team=team,
    )
