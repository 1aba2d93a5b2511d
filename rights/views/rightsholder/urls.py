"""The artist's own pages, under /rights/mine/."""

from django.urls import path

from rights.views.rightsholder import agreements, downloads, overview, uses

urlpatterns = [
    path("", overview.repertoire, name="mine"),
    path("summary/", overview.fragment, name="mine_fragment"),
    path("<int:pk>/", overview.recording, name="mine_recording"),
    path("<int:pk>/<str:use>/on/", overview.offer_use, name="mine_on"),
    path("<int:pk>/<str:use>/off/", overview.end_use, name="mine_off"),
    path("uses/", uses.uses, name="mine_uses"),
    path("uses/<int:pk>/<str:use>/on/", uses.use_on, name="mine_use_on"),
    path("uses/<int:pk>/<str:use>/off/", uses.use_off, name="mine_use_off"),
    path("papers/", agreements.agreements, name="mine_agreements"),
    path("grants/<int:pk>/", agreements.grant, name="mine_grant"),
    path("grants/<int:pk>/approve/", agreements.approve, name="mine_grant_approve"),
    path("grants/<int:pk>/decline/", agreements.decline, name="mine_grant_decline"),
    path("grants/<int:pk>/withdraw/", agreements.withdraw, name="mine_grant_withdraw"),
    path("statements/", downloads.files, name="mine_statements"),
    path("statements/<int:pk>/", downloads.statement, name="mine_statement"),
    path("statements/<int:pk>.csv", downloads.statement_csv, name="mine_statement_csv"),
    path("statements/<int:pk>.json", downloads.statement_json, name="mine_statement_json"),
    path("everything.json", downloads.everything, name="mine_everything"),
]
