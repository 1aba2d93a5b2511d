"""The artist's own pages, under /rights/mine/."""

from django.urls import path

from rights.views import mine, mine_files, mine_papers, mine_uses

urlpatterns = [
    path("", mine.repertoire, name="mine"),
    path("summary/", mine.fragment, name="mine_fragment"),
    path("<int:pk>/", mine.recording, name="mine_recording"),
    path("<int:pk>/<str:use>/on/", mine.on, name="mine_on"),
    path("<int:pk>/<str:use>/off/", mine.off, name="mine_off"),
    path("uses/", mine_uses.uses, name="mine_uses"),
    path("uses/<int:pk>/<str:use>/on/", mine_uses.use_on, name="mine_use_on"),
    path("uses/<int:pk>/<str:use>/off/", mine_uses.use_off, name="mine_use_off"),
    path("papers/", mine_papers.papers, name="mine_papers"),
    path("grants/<int:pk>/", mine_papers.grant, name="mine_grant"),
    path("grants/<int:pk>/approve/", mine_papers.approve, name="mine_grant_approve"),
    path("grants/<int:pk>/decline/", mine_papers.decline, name="mine_grant_decline"),
    path("grants/<int:pk>/withdraw/", mine_papers.withdraw, name="mine_grant_withdraw"),
    path("statements/", mine_files.files, name="mine_files"),
    path("statements/<int:pk>/", mine_files.statement, name="mine_statement"),
    path("statements/<int:pk>.csv", mine_files.statement_csv, name="mine_statement_csv"),
    path("statements/<int:pk>.json", mine_files.statement_json, name="mine_statement_json"),
    path("everything.json", mine_files.everything, name="mine_everything"),
]
