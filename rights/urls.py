from django.urls import include, path

from rights.models import Agreement, Grant, Mandate, Recording, Work
from rights.views.catalogue import originals, relations, releases, repertoire
from rights.views.grants import agreements, decisions, grants, opt_outs, overview
from rights.views.parties import mandates, parties, public_credit, splits
from rights.views.rightsholder.own import lab_page
from rights.views.withdrawal import withdraw_party

app_name = "rights"
urlpatterns = [
    path("", overview.home, name="home"),
    path("waiting/", overview.home_fragment, name="home_fragment"),
    path("parties/", parties.parties, name="parties"),
    path("parties/new/", parties.party_new, name="party_new"),
    path("parties/<int:pk>/", parties.party, name="party"),
    path("parties/<int:pk>/change/", parties.party_amend, name="party_amend"),
    path("parties/<int:pk>/numbers/", parties.party_identify, name="party_identify"),
    path(
        "parties/<int:pk>/numbers/<int:number>/remove/",
        parties.party_unidentify,
        name="party_unidentify",
    ),
    path("parties/<int:pk>/members/", parties.party_member, name="party_member"),
    path(
        "parties/<int:pk>/members/complete/",
        parties.party_members_complete,
        name="party_members_complete",
    ),
    path("find/<str:kind>/", parties.find, name="find"),
    path("works/", repertoire.works, name="works"),
    path("works/new/", repertoire.work_new, name="work_new"),
    path(
        "works/<int:pk>/",
        lab_page(repertoire.work, "rights:mine", Work, keep_pk=False),
        name="work",
    ),
    path("works/<int:pk>/credit/", repertoire.work_credit, name="work_credit"),
    path("works/<int:pk>/split/", splits.work_split, name="work_split"),
    path("recordings/", repertoire.recordings, name="recordings"),
    path("recordings/upload/", repertoire.upload, name="upload"),
    path(
        "recordings/<int:pk>/",
        lab_page(repertoire.recording, "rights:mine_recording", Recording),
        name="recording",
    ),
    path("recordings/<int:pk>/audio/", originals.recording_audio, name="recording_audio"),
    path("recordings/<int:pk>/file/", repertoire.recording_file, name="recording_file"),
    path("recordings/<int:pk>/stems/", repertoire.recording_stem, name="recording_stem"),
    path("recordings/<int:pk>/stems/<int:number>/", originals.stem_audio, name="stem_audio"),
    path("recordings/<int:pk>/credit/", repertoire.recording_credit, name="recording_credit"),
    path("recordings/<int:pk>/work/", repertoire.recording_work, name="recording_work"),
    path("recordings/<int:pk>/split/", splits.recording_split, name="recording_split"),
    path(
        "recordings/<int:pk>/opt-out/",
        lab_page(opt_outs.opt_out, "rights:mine_recording", Recording),
        name="opt_out",
    ),
    path(
        "recordings/<int:pk>/opt-out/look/",
        lab_page(opt_outs.opt_out_preview, "rights:mine_recording", Recording),
        name="opt_out_look",
    ),
    path(
        "recordings/<int:pk>/why/",
        lab_page(decisions.why, "rights:mine_recording", Recording),
        name="why",
    ),
    path("recordings/<int:pk>/relations/", relations.recording_relation, name="recording_relation"),
    path("relations/<int:pk>/confirm/", relations.relation_confirm, name="relation_confirm"),
    path("relations/<int:pk>/end/", relations.relation_end, name="relation_end"),
    path("sounds/", relations.sound_questions_listed, name="sound_questions"),
    path("sounds/<int:pk>/", relations.sound_question, name="sound_question"),
    path("releases/", releases.releases, name="releases"),
    path("releases/new/", releases.release_new, name="release_new"),
    path("releases/<int:pk>/", releases.release, name="release"),
    path("decisions/", decisions.decisions, name="decisions"),
    path("decisions/<int:pk>/", decisions.decision, name="decision"),
    path("decisions/<int:pk>/replay/", decisions.decision_replay, name="decision_replay"),
    path("splits/<int:pk>/<int:party_pk>/confirm/", splits.split_confirm, name="split_confirm"),
    path("splits/<int:pk>/<int:party_pk>/dispute/", splits.split_dispute, name="split_dispute"),
    path(
        "agreements/", lab_page(agreements.agreements, "rights:mine_agreements"), name="agreements"
    ),
    path("agreements/new/", agreements.agreement_new, name="agreement_new"),
    path(
        "agreements/<int:pk>/",
        lab_page(agreements.agreement, "rights:mine_agreements", Agreement, keep_pk=False),
        name="agreement",
    ),
    path("agreements/<int:pk>/document/", agreements.agreement_document, name="agreement_document"),
    path("grants/", lab_page(grants.grants, "rights:mine_agreements"), name="grants"),
    path("grants/new/", grants.grant_new, name="grant_new"),
    path("grants/waiting/", lab_page(grants.waiting, "rights:mine_agreements"), name="waiting"),
    path(
        "grants/approve/",
        lab_page(grants.grants_approve, "rights:mine_agreements"),
        name="grants_approve",
    ),
    path("grants/<int:pk>/", lab_page(grants.grant, "rights:mine_grant", Grant), name="grant"),
    path("grants/<int:pk>/activate/", grants.grant_activate, name="grant_activate"),
    path(
        "grants/<int:pk>/decline/",
        lab_page(grants.grant_decline, "rights:mine_grant_decline", Grant),
        name="grant_decline",
    ),
    path("grants/<int:pk>/suspend/", grants.grant_suspend, name="grant_suspend"),
    path("grants/<int:pk>/resume/", grants.grant_resume, name="grant_resume"),
    path("grants/<int:pk>/change/", grants.grant_change, name="grant_change"),
    path("grants/<int:pk>/change/look/", grants.grant_change_preview, name="grant_change_look"),
    path(
        "grants/<int:pk>/withdraw/",
        lab_page(grants.grant_withdraw, "rights:mine_grant_withdraw", Grant),
        name="grant_withdraw",
    ),
    path("mandates/", lab_page(mandates.mandates, "rights:mine_agreements"), name="mandates"),
    path("mandates/new/", mandates.mandate_new, name="mandate_new"),
    path(
        "mandates/<int:pk>/",
        lab_page(mandates.mandate, "rights:mine_agreements", Mandate, keep_pk=False),
        name="mandate",
    ),
    path("mandates/<int:pk>/approve/", mandates.mandate_approve, name="mandate_approve"),
    path("mandates/<int:pk>/revoke/", mandates.mandate_revoke, name="mandate_revoke"),
    path("files/", include("rights.views.catalogue.file_batch_urls")),
    path("cases/", include("rights.views.withdrawal.urls")),
    path("", include("rights.views.exchange.urls")),
    path("parties/<int:pk>/leave/", withdraw_party.party_withdraw, name="party_leave"),
    path("grants/<int:pk>/gain/", withdraw_party.grant_gain, name="grant_gain"),
    path("mine/wording/", public_credit.own_credits, name="mine_wording"),
    path("parties/<int:pk>/wording/", public_credit.party_wording, name="party_wording"),
    path("mine/", include("rights.views.rightsholder.urls")),
]
