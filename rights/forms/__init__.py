"""Forms of the rights pages. The rules are in the verbs; refusals are shown beside fields."""

from rights.forms.agreements import AgreementForm, ChangeForm, GrantForm
from rights.forms.base import ReasonForm, VerbForm
from rights.forms.decisions import OptOutForm, WhyForm
from rights.forms.parties import DetailsForm, IdentifierForm, MandateForm, MemberForm, PartyForm
from rights.forms.repertoire import (
    AttachForm,
    CreditForm,
    FileForm,
    RelationForm,
    ReleaseForm,
    SoundAnswerForm,
    SplitForm,
    StemForm,
    UploadForm,
    WorkForm,
)

__all__ = [
    "AgreementForm", "AttachForm", "ChangeForm", "CreditForm", "DetailsForm", "FileForm",
    "GrantForm", "IdentifierForm", "MandateForm", "MemberForm", "OptOutForm", "PartyForm",
    "ReasonForm", "RelationForm", "ReleaseForm", "SoundAnswerForm", "SplitForm", "StemForm",
    "UploadForm", "VerbForm", "WhyForm", "WorkForm",
]  # fmt: skip
