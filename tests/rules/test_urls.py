"""Who may see what: every address of the site, as everybody, against one table; and that to look
at it writes nothing.

An address that is missing here fails: nobody adds a page without saying who may see it. Seen is
whatever is not 401, 403, 404, 405 or the way to the log-in; a refused form is seen.
"""

import re
from contextlib import nullcontext
from dataclasses import dataclass
from http.cookies import SimpleCookie
from typing import Any

import pytest
from django.apps import apps
from django.db import transaction
from django.http.response import HttpResponseBase
from django.test import Client

from tests.rules import reading
from tests.rules.everything import MUSIC, PAPER, WORK, World, make_world, routes

pytestmark = [pytest.mark.django_db, pytest.mark.slow]

# By letter; "member" is of the project whose things are looked at, "outsider" of another one.
ROLES = {
    "N": "nobody signed in", "L": "listener", "M": "member", "O": "outsider", "H": "holder",
    "S": "stranger", "A": "admin", "P": "operator",
}  # fmt: skip
NOBODY = ""
ADMIN = "A"
OFFICE = "AP"
HOLDER = "H"
HOLDERS = "HS"
TEAM = "MP"
READERS = "MOAP"
LOOKERS = "HSAP"
# Not who only listens: a file would tell the answers of a blind test.
ASKERS = "MOHSAP"
SIGNED_IN = "LMOHSAP"
EVERYBODY = "NLMOHSAP"

# Who sees it by GET, and who by POST with nothing in it.
TABLE = {
    "": (SIGNED_IN, NOBODY),
    ".well-known/tdmrep.json": (EVERYBODY, NOBODY),
    "api/": (NOBODY, NOBODY),
    "api/docs": (SIGNED_IN, SIGNED_IN),
    "api/openapi.json": (SIGNED_IN, SIGNED_IN),
    "api/v1/audit/<int:seq>/proof": (OFFICE, NOBODY),
    "api/v1/audit/growth": (SIGNED_IN, NOBODY),
    "api/v1/audit/keys": (SIGNED_IN, NOBODY),
    "api/v1/audit/roots": (SIGNED_IN, NOBODY),
    "api/v1/comments": (SIGNED_IN, SIGNED_IN),
    "api/v1/comments/<int:pk>/delete": (NOBODY, "M"),
    "api/v1/comments/<int:pk>/edit": (NOBODY, SIGNED_IN),
    "api/v1/projects": (SIGNED_IN, NOBODY),
    "api/v1/projects/<slug:slug>": (TEAM, NOBODY),
    "api/v1/projects/<slug:slug>/batches/<int:batch>/undo": (NOBODY, TEAM),
    "api/v1/projects/<slug:slug>/bulk/<slug:act>": (NOBODY, SIGNED_IN),
    "api/v1/projects/<slug:slug>/alerts": (TEAM, NOBODY),
    "api/v1/projects/<slug:slug>/reports": (TEAM, SIGNED_IN),
    "api/v1/projects/<slug:slug>/reports/<int:number>": (TEAM, NOBODY),
    "api/v1/rights/decisions": (READERS, NOBODY),
    "api/v1/rights/decisions/<pk>/lines": (READERS, NOBODY),
    "api/v1/rights/decisions/<pk>/replay": (NOBODY, READERS),
    "api/v1/rights/recordings": (SIGNED_IN, NOBODY),
    "api/v1/rights/recordings/<pk>/why": (SIGNED_IN, NOBODY),
    "api/v1/runs": (SIGNED_IN, SIGNED_IN),
    "api/v1/runs/<uuidstr:run_id>": (TEAM, NOBODY),
    "api/v1/runs/<uuidstr:run_id>/alerts": (NOBODY, SIGNED_IN),
    "api/v1/runs/<uuidstr:run_id>/arithmetic": (NOBODY, SIGNED_IN),
    "api/v1/runs/<uuidstr:run_id>/config": (NOBODY, SIGNED_IN),
    "api/v1/runs/<uuidstr:run_id>/environment": (NOBODY, SIGNED_IN),
    "api/v1/runs/<uuidstr:run_id>/audio/<int:recording_id>": (NOBODY, NOBODY),
    "api/v1/runs/<uuidstr:run_id>/batches": (NOBODY, SIGNED_IN),
    "api/v1/runs/<uuidstr:run_id>/checkpoints": (NOBODY, SIGNED_IN),
    "api/v1/runs/<uuidstr:run_id>/checkpoints/<int:step>": (TEAM, NOBODY),
    "api/v1/runs/<uuidstr:run_id>/edits": (TEAM, NOBODY),
    "api/v1/runs/<uuidstr:run_id>/edits/<int:version>/undo": (NOBODY, "M"),
    "api/v1/runs/<uuidstr:run_id>/words": (NOBODY, SIGNED_IN),
    "api/v1/runs/<uuidstr:run_id>/ending": (NOBODY, SIGNED_IN),
    "api/v1/runs/<uuidstr:run_id>/heartbeat": (NOBODY, SIGNED_IN),
    "api/v1/runs/<uuidstr:run_id>/logs": (NOBODY, SIGNED_IN),
    "api/v1/runs/<uuidstr:run_id>/media": (TEAM, SIGNED_IN),
    "api/v1/runs/<uuidstr:run_id>/media/<int:media_id>": (TEAM, NOBODY),
    "api/v1/runs/<uuidstr:run_id>/metrics": (TEAM, NOBODY),
    "api/v1/runs/<uuidstr:run_id>/samples": (NOBODY, SIGNED_IN),
    "api/v1/runs/<uuidstr:run_id>/spec": (TEAM, NOBODY),
    "api/v1/runs/<uuidstr:run_id>/start-from": (NOBODY, NOBODY),
    "api/v1/runs/<uuidstr:run_id>/undelivered": (NOBODY, SIGNED_IN),
    "api/v1/runs/<uuidstr:run_id>/usage": (NOBODY, SIGNED_IN),
    "api/v1/submissions": (NOBODY, SIGNED_IN),
    "discussion/<slug:kind>/<slug:key>/": (TEAM, NOBODY),
    "discussion/<slug:kind>/<slug:key>/mute/": (NOBODY, TEAM),
    "discussion/<slug:kind>/<slug:key>/people/": (TEAM, NOBODY),
    "discussion/<slug:kind>/<slug:key>/post/": (NOBODY, TEAM),
    "discussion/comments/<int:pk>/delete/": ("M", "M"),
    "discussion/comments/<int:pk>/edit/": ("M", "M"),
    "discussion/comments/<int:pk>/history/": (TEAM, NOBODY),
    "api/v1/sweeps": (SIGNED_IN, SIGNED_IN),
    "api/v1/sweeps/<int:sweep_id>": (TEAM, NOBODY),
    "api/v1/sweeps/<int:sweep_id>/pause": (NOBODY, TEAM),
    "api/v1/sweeps/<int:sweep_id>/resume": (NOBODY, TEAM),
    "api/v1/sweeps/<int:sweep_id>/stop": (NOBODY, TEAM),
    "health": ("P", NOBODY),
    "healthz": (EVERYBODY, NOBODY),
    "inbox/": (SIGNED_IN, NOBODY),
    "inbox/<int:pk>/read/": (NOBODY, "M"),
    "inbox/<int:pk>/unread/": (NOBODY, "M"),
    "inbox/away/": (SIGNED_IN, NOBODY),
    "inbox/away/<slug:slug>/seen/": (NOBODY, TEAM),
    "inbox/count/": (SIGNED_IN, NOBODY),
    "inbox/home/": (SIGNED_IN, NOBODY),
    "inbox/read/": (NOBODY, SIGNED_IN),
    "inbox/settings/": (SIGNED_IN, SIGNED_IN),
    "listen/": (SIGNED_IN, NOBODY),
    "listen/<int:pk>/": ("LMO", NOBODY),
    "listen/clips/<uuid:code>": ("LMO", NOBODY),
    "listen/clips/<uuid:code>/answer": (NOBODY, "LMO"),
    "listen/clips/<uuid:code>/heard": (NOBODY, "LMO"),
    "listen/of/<slug:slug>/": (TEAM, NOBODY),
    "listen/of/<slug:slug>/<int:pk>/": (TEAM, NOBODY),
    "listen/of/<slug:slug>/<int:pk>/close": (TEAM, TEAM),
    "listen/of/<slug:slug>/new": (TEAM, TEAM),
    "listen/waiting/": (SIGNED_IN, NOBODY),
    "models/": (EVERYBODY, NOBODY),
    "models/<slug:slug>/": (EVERYBODY, NOBODY),
    "models/<slug:slug>/clips/": (EVERYBODY, NOBODY),
    "models/<slug:slug>/clips/<uuid:number>/audio": (EVERYBODY, NOBODY),
    "models/<slug:slug>/training-content.json": (EVERYBODY, NOBODY),
    "models/<slug:slug>/training-content/": (EVERYBODY, NOBODY),
    "models/<slug:slug>/training-content/print/": (EVERYBODY, NOBODY),
    "markdown/preview": (NOBODY, SIGNED_IN),
    "profile": (SIGNED_IN, SIGNED_IN),
    "projects/": (SIGNED_IN, NOBODY),
    "projects/<slug:slug>/": (TEAM, NOBODY),
    "projects/<slug:slug>/alerts/": (TEAM, NOBODY),
    "projects/<slug:slug>/alerts/rules/<int:pk>/": (TEAM, TEAM),
    "projects/<slug:slug>/alerts/rules/<int:pk>/delete/": (TEAM, TEAM),
    "projects/<slug:slug>/alerts/rules/<int:pk>/switch/": (NOBODY, TEAM),
    "projects/<slug:slug>/alerts/rules/new/": (TEAM, TEAM),
    "projects/<slug:slug>/reports/": (TEAM, NOBODY),
    "projects/<slug:slug>/reports/deleted/": (TEAM, NOBODY),
    "projects/<slug:slug>/reports/new/": (TEAM, TEAM),
    "projects/<slug:slug>/reports/preview/": (NOBODY, TEAM),
    "projects/<slug:slug>/charts/": (TEAM, NOBODY),
    "projects/<slug:slug>/charts/<int:pk>/": (TEAM, NOBODY),
    "projects/<slug:slug>/charts/<int:pk>/delete/": (TEAM, TEAM),
    "projects/<slug:slug>/charts/bars/": (TEAM, NOBODY),
    "projects/<slug:slug>/charts/data/": (TEAM, NOBODY),
    "projects/<slug:slug>/charts/importance/": (TEAM, NOBODY),
    "projects/<slug:slug>/charts/keep/": (NOBODY, TEAM),
    "projects/<slug:slug>/charts/media/": (TEAM, NOBODY),
    "projects/<slug:slug>/charts/media/histograms/": (TEAM, NOBODY),
    "projects/<slug:slug>/charts/media/items/": (TEAM, NOBODY),
    "projects/<slug:slug>/charts/reset/": (NOBODY, TEAM),
    "projects/<slug:slug>/charts/save/": (NOBODY, TEAM),
    "projects/<slug:slug>/charts/values/": (TEAM, NOBODY),
    "projects/<slug:slug>/compare/": (TEAM, NOBODY),
    "projects/<slug:slug>/compare/curves/": (TEAM, NOBODY),
    "projects/<slug:slug>/datasets/": (TEAM, NOBODY),
    "projects/<slug:slug>/datasets/<int:pk>/": (TEAM, NOBODY),
    "projects/<slug:slug>/datasets/freeze/": (NOBODY, TEAM),
    "projects/<slug:slug>/datasets/new/": (TEAM, NOBODY),
    "projects/<slug:slug>/models/": (TEAM, NOBODY),
    "projects/<slug:slug>/models/<int:pk>/": (TEAM, NOBODY),
    "projects/<slug:slug>/models/<int:pk>/texts/": (TEAM, TEAM),
    "projects/<slug:slug>/models/new/": (TEAM, TEAM),
    "projects/<slug:slug>/runs.csv": (TEAM, NOBODY),
    "projects/<slug:slug>/runs/columns/": (TEAM, NOBODY),
    "projects/<slug:slug>/runs/groupings/": (TEAM, NOBODY),
    "projects/<slug:slug>/runs.parquet": (TEAM, NOBODY),
    "projects/<slug:slug>/views/<int:pk>/delete/": (NOBODY, TEAM),
    "projects/<slug:slug>/views/first/": (NOBODY, TEAM),
    "projects/<slug:slug>/views/save/": (NOBODY, TEAM),
    "projects/<slug:slug>/runs/<int:number>/": (TEAM, NOBODY),
    "projects/<slug:slug>/runs/<int:number>/attempts/": (TEAM, NOBODY),
    "projects/<slug:slug>/runs/<int:number>/charts/": (TEAM, NOBODY),
    "projects/<slug:slug>/runs/<int:number>/checkpoints/": (TEAM, NOBODY),
    "projects/<slug:slug>/runs/<int:number>/config/": (TEAM, NOBODY),
    "projects/<slug:slug>/runs/<int:number>/code/": (TEAM, NOBODY),
    "projects/<slug:slug>/runs/<int:number>/environment/": (TEAM, NOBODY),
    "projects/<slug:slug>/runs/<int:number>/fork/": (TEAM, NOBODY),
    "projects/<slug:slug>/runs/<int:number>/reproduce/": (TEAM, NOBODY),
    "projects/<slug:slug>/runs/<int:number>/reproduce/<str:name>": (TEAM, NOBODY),
    "projects/<slug:slug>/runs/<int:number>/data/": (TEAM, NOBODY),
    "projects/<slug:slug>/runs/<int:number>/media/": (TEAM, NOBODY),
    "projects/<slug:slug>/runs/<int:number>/media/<int:pk>": (TEAM, NOBODY),
    "projects/<slug:slug>/runs/<int:number>/log/lines/": (TEAM, NOBODY),
    "projects/<slug:slug>/runs/<int:number>/samples/": (TEAM, NOBODY),
    "projects/<slug:slug>/runs/<int:number>/system/": (TEAM, NOBODY),
    "projects/<slug:slug>/runs/<int:number>/cancel/": (NOBODY, TEAM),
    "projects/<slug:slug>/runs/<int:number>/curve/": (TEAM, NOBODY),
    "projects/<slug:slug>/runs/batches/<int:pk>/": (TEAM, NOBODY),
    "projects/<slug:slug>/runs/batches/<int:pk>/undo/": (NOBODY, TEAM),
    "projects/<slug:slug>/runs/bulk/<slug:act>/": (TEAM, TEAM),
    "projects/<slug:slug>/runs/deleted/": (TEAM, NOBODY),
    "projects/<slug:slug>/tags/": (TEAM, TEAM),
    "projects/<slug:slug>/runs/<int:number>/describe/": (TEAM, TEAM),
    "projects/<slug:slug>/runs/<int:number>/edits/": (TEAM, NOBODY),
    "projects/<slug:slug>/runs/<int:number>/edits/<int:version>/undo/": (NOBODY, TEAM),
    "projects/<slug:slug>/runs/<int:number>/tags/add/": (NOBODY, TEAM),
    "projects/<slug:slug>/runs/<int:number>/tags/remove/": (NOBODY, TEAM),
    "projects/<slug:slug>/runs/<int:number>/discussion/": (TEAM, NOBODY),
    "projects/<slug:slug>/runs/<int:number>/duplicate/": (TEAM, NOBODY),
    "projects/<slug:slug>/runs/<int:number>/live/": (TEAM, NOBODY),
    "projects/<slug:slug>/runs/<int:number>/log/file/": (TEAM, NOBODY),
    "projects/<slug:slug>/runs/<int:number>/log/": (TEAM, NOBODY),
    "projects/<slug:slug>/runs/<int:number>/rerun/": (NOBODY, TEAM),
    "projects/<slug:slug>/runs/<int:number>/retry/": (NOBODY, TEAM),
    "projects/<slug:slug>/runs/<int:number>/scope/": (TEAM, NOBODY),
    "projects/<slug:slug>/runs/<int:number>/state/": (TEAM, NOBODY),
    "projects/<slug:slug>/runs/new/": (TEAM, NOBODY),
    "projects/<slug:slug>/runs/new/estimate/": (TEAM, NOBODY),
    "projects/<slug:slug>/runs/complete/": (TEAM, NOBODY),
    "projects/<slug:slug>/runs/submit/": (NOBODY, NOBODY),
    "projects/<slug:slug>/settings/": (TEAM, NOBODY),
    "projects/<slug:slug>/settings/quotas/": (NOBODY, TEAM),
    "projects/<slug:slug>/settings/scope/": (NOBODY, TEAM),
    "projects/<slug:slug>/webhooks/": (TEAM, NOBODY),
    "projects/<slug:slug>/webhooks/<int:pk>/": (TEAM, NOBODY),
    "projects/<slug:slug>/webhooks/<int:pk>/change/": (NOBODY, TEAM),
    "projects/<slug:slug>/webhooks/<int:pk>/delete/": (TEAM, TEAM),
    "projects/<slug:slug>/webhooks/<int:pk>/secret/": (TEAM, TEAM),
    "projects/<slug:slug>/webhooks/<int:pk>/switch/": (NOBODY, TEAM),
    "projects/<slug:slug>/webhooks/<int:pk>/test/": (NOBODY, TEAM),
    "projects/<slug:slug>/webhooks/new/": (TEAM, TEAM),
    "projects/<slug:slug>/sweeps/": (TEAM, NOBODY),
    "projects/<slug:slug>/sweeps/<int:number>/": (TEAM, NOBODY),
    "projects/<slug:slug>/sweeps/<int:number>/budget/": (NOBODY, TEAM),
    "projects/<slug:slug>/sweeps/<int:number>/curves/": (TEAM, NOBODY),
    "projects/<slug:slug>/sweeps/<int:number>/pause/": (NOBODY, TEAM),
    "projects/<slug:slug>/sweeps/<int:number>/resume/": (NOBODY, TEAM),
    "projects/<slug:slug>/sweeps/<int:number>/stop/": (NOBODY, TEAM),
    "projects/<slug:slug>/sweeps/<int:number>/trials/<int:trial>/stop/": (NOBODY, TEAM),
    # What is started is chosen in the form of a recipe.
    "projects/<slug:slug>/sweeps/offer/": (NOBODY, NOBODY),
    "projects/<slug:slug>/sweeps/start/": (NOBODY, NOBODY),
    "projects/mine/": (SIGNED_IN, NOBODY),
    "publishing/": (OFFICE, NOBODY),
    "publishing/pages/<int:pk>/withdraw/": (TEAM + ADMIN, TEAM + ADMIN),
    "publishing/texts/<int:pk>/": (TEAM + ADMIN, NOBODY),
    "publishing/texts/<int:pk>/approve/": (NOBODY, TEAM + ADMIN),
    "publishing/texts/<int:pk>/refuse/": (NOBODY, TEAM + ADMIN),
    "rights/": (READERS, NOBODY),
    "rights/agreements/": (LOOKERS, NOBODY),
    "rights/agreements/<int:pk>/": (HOLDER + OFFICE, NOBODY),
    "rights/agreements/<int:pk>/document/": (HOLDER + OFFICE, NOBODY),
    "rights/agreements/new/": (ADMIN, ADMIN),
    "rights/cases/": ("MOHSAP", NOBODY),
    "rights/cases/<int:pk>/": (HOLDER + OFFICE, NOBODY),
    "rights/cases/<int:pk>/close/": (ADMIN, ADMIN),
    "rights/cases/<int:pk>/items/<slug:kind>/": (HOLDER + OFFICE, NOBODY),
    "rights/cases/<int:pk>/note/": (ADMIN, ADMIN),
    "rights/cases/<int:pk>/refresh/": (NOBODY, ADMIN),
    "rights/cases/<int:pk>/remedy/<slug:kind>/": (ADMIN, ADMIN),
    "rights/cases/items/<int:pk>/settle/": (ADMIN, ADMIN),
    "rights/cases/tasks/<int:pk>/assign/": (ADMIN, ADMIN),
    "rights/decisions/": (READERS, NOBODY),
    "rights/decisions/<int:pk>/": (READERS, NOBODY),
    "rights/decisions/<int:pk>/replay/": (NOBODY, READERS),
    "rights/exports/": (LOOKERS, NOBODY),
    "rights/exports/participation.csv": (NOBODY, NOBODY),
    "rights/exports/recordings.<str:extension>": (LOOKERS, NOBODY),
    "rights/files/": (ADMIN, NOBODY),
    "rights/files/<int:pk>/": (ADMIN, NOBODY),
    "rights/files/<int:pk>/again/": (NOBODY, ADMIN),
    "rights/files/<int:pk>/attach/": (NOBODY, ADMIN),
    "rights/files/<int:pk>/attach/all/": (NOBODY, ADMIN),
    "rights/files/<int:pk>/discard/": (ADMIN, ADMIN),
    "rights/files/<int:pk>/files/<int:number>/choose/": (NOBODY, ADMIN),
    "rights/files/<int:pk>/files/<int:number>/leave-out/": (NOBODY, ADMIN),
    "rights/files/<int:pk>/left-over.csv": (ADMIN, NOBODY),
    "rights/files/<int:pk>/progress/": (ADMIN, NOBODY),
    "rights/files/new/": (ADMIN, ADMIN),
    "rights/find/<str:kind>/": (ADMIN, NOBODY),
    "rights/grants/": (LOOKERS, NOBODY),
    "rights/grants/<int:pk>/": (HOLDER + OFFICE, NOBODY),
    "rights/grants/<int:pk>/activate/": (ADMIN, ADMIN),
    "rights/grants/<int:pk>/change/": (ADMIN, ADMIN),
    "rights/grants/<int:pk>/change/look/": (NOBODY, ADMIN),
    "rights/grants/<int:pk>/decline/": (HOLDER + ADMIN, ADMIN),
    "rights/grants/<int:pk>/gain/": (HOLDER + OFFICE, NOBODY),
    "rights/grants/<int:pk>/resume/": (ADMIN, ADMIN),
    "rights/grants/<int:pk>/suspend/": (ADMIN, ADMIN),
    "rights/grants/<int:pk>/withdraw/": (HOLDER + ADMIN, ADMIN),
    "rights/grants/approve/": (HOLDERS, ADMIN),
    "rights/grants/new/": (ADMIN, ADMIN),
    "rights/grants/waiting/": (LOOKERS, NOBODY),
    "rights/imports/": (ADMIN, NOBODY),
    "rights/imports/<int:pk>/": (ADMIN, NOBODY),
    "rights/imports/<int:pk>/cancel/": (NOBODY, ADMIN),
    "rights/imports/<int:pk>/check/": (ADMIN, ADMIN),
    "rights/imports/<int:pk>/parties/": (ADMIN, ADMIN),
    "rights/imports/<int:pk>/problems.csv": (ADMIN, NOBODY),
    "rights/imports/<int:pk>/progress/": (ADMIN, NOBODY),
    "rights/imports/<int:pk>/resume/": (NOBODY, ADMIN),
    "rights/imports/<int:pk>/start/": (NOBODY, ADMIN),
    "rights/imports/new/": (ADMIN, ADMIN),
    "rights/mandates/": (LOOKERS, NOBODY),
    "rights/mandates/<int:pk>/": (HOLDER + OFFICE, NOBODY),
    "rights/mandates/<int:pk>/approve/": (NOBODY, ADMIN),
    "rights/mandates/<int:pk>/revoke/": (HOLDER + ADMIN, HOLDER + ADMIN),
    "rights/mandates/new/": (ADMIN, ADMIN),
    "rights/mine/": (HOLDERS, NOBODY),
    "rights/mine/<int:pk>/": (HOLDER, NOBODY),
    "rights/mine/<int:pk>/<str:use>/off/": (HOLDER, HOLDER),
    "rights/mine/<int:pk>/<str:use>/on/": (HOLDER, HOLDER),
    "rights/mine/everything.json": (HOLDERS, NOBODY),
    "rights/mine/grants/<int:pk>/": (HOLDER, NOBODY),
    "rights/mine/grants/<int:pk>/approve/": (HOLDER, HOLDER),
    "rights/mine/grants/<int:pk>/decline/": (HOLDER, HOLDER),
    "rights/mine/grants/<int:pk>/withdraw/": (HOLDER, HOLDER),
    "rights/mine/papers/": (HOLDERS, NOBODY),
    "rights/mine/statements/": (HOLDERS, NOBODY),
    "rights/mine/statements/<int:pk>.csv": (HOLDER, NOBODY),
    "rights/mine/statements/<int:pk>.json": (HOLDER, NOBODY),
    "rights/mine/statements/<int:pk>/": (HOLDER, NOBODY),
    "rights/mine/summary/": (HOLDERS, NOBODY),
    "rights/mine/uses/": (HOLDERS, NOBODY),
    "rights/mine/uses/<int:pk>/<str:use>/off/": (HOLDER, HOLDER),
    "rights/mine/uses/<int:pk>/<str:use>/on/": (HOLDER, HOLDER),
    "rights/mine/wording/": (HOLDERS, NOBODY),
    "rights/parties/": (READERS, NOBODY),
    "rights/parties/<int:pk>/": (READERS, NOBODY),
    "rights/parties/<int:pk>/change/": (ADMIN, ADMIN),
    "rights/parties/<int:pk>/leave/": (HOLDER + ADMIN, HOLDER + ADMIN),
    "rights/parties/<int:pk>/members/": (NOBODY, ADMIN),
    "rights/parties/<int:pk>/members/complete/": (NOBODY, ADMIN),
    "rights/parties/<int:pk>/numbers/": (NOBODY, ADMIN),
    "rights/parties/<int:pk>/numbers/<int:number>/remove/": (NOBODY, ADMIN),
    "rights/parties/<int:pk>/wording/": (HOLDER + ADMIN, HOLDER + ADMIN),
    "rights/parties/new/": (ADMIN, ADMIN),
    "rights/recordings/": (READERS, NOBODY),
    "rights/recordings/<int:pk>/": (READERS + HOLDER, NOBODY),
    "rights/recordings/<int:pk>/audio/": (READERS + HOLDER, NOBODY),
    "rights/recordings/<int:pk>/credit/": (NOBODY, ADMIN),
    "rights/recordings/<int:pk>/file/": (NOBODY, ADMIN),
    "rights/recordings/<int:pk>/opt-out/": (HOLDER + ADMIN, ADMIN),
    "rights/recordings/<int:pk>/opt-out/look/": (HOLDER, ADMIN),
    "rights/recordings/<int:pk>/split/": (ADMIN, ADMIN),
    "rights/recordings/<int:pk>/relations/": (NOBODY, ADMIN),
    "rights/recordings/<int:pk>/stems/": (NOBODY, ADMIN),
    "rights/recordings/<int:pk>/stems/<int:number>/": (HOLDER + ADMIN, NOBODY),
    "rights/recordings/<int:pk>/training-mining.json": (READERS + HOLDER, NOBODY),
    "rights/recordings/<int:pk>/why/": (READERS + HOLDER, NOBODY),
    "rights/recordings/<int:pk>/work/": (NOBODY, ADMIN),
    "rights/recordings/upload/": (ADMIN, ADMIN),
    "rights/relations/<int:pk>/confirm/": (NOBODY, ADMIN),
    "rights/relations/<int:pk>/end/": (ADMIN, ADMIN),
    "rights/releases/": (READERS, NOBODY),
    "rights/releases/<int:pk>/": (READERS, NOBODY),
    "rights/releases/new/": (ADMIN, ADMIN),
    "rights/signals/": (OFFICE, NOBODY),
    "rights/signals/new/": (ADMIN, ADMIN),
    "rights/sounds/": (ADMIN, NOBODY),
    "rights/sounds/<int:pk>/": (ADMIN, ADMIN),
    "rights/splits/<int:pk>/<int:party_pk>/confirm/": (NOBODY, HOLDER + ADMIN),
    "rights/splits/<int:pk>/<int:party_pk>/dispute/": (HOLDER + ADMIN, HOLDER + ADMIN),
    "rights/waiting/": (ADMIN, NOBODY),
    "rights/works/": (READERS, NOBODY),
    "rights/works/<int:pk>/": (READERS + HOLDER, NOBODY),
    "rights/works/<int:pk>/credit/": (NOBODY, ADMIN),
    "rights/works/<int:pk>/split/": (ADMIN, ADMIN),
    "rights/works/new/": (ADMIN, ADMIN),
    "samples/<int:pk>/": (TEAM, NOBODY),
    "samples/<int:pk>/audio": (TEAM, NOBODY),
    "samples/<int:pk>/credits.json": (TEAM, NOBODY),
    "samples/<int:pk>/credits.csv": (TEAM, NOBODY),
    "samples/<int:pk>/spectrogram.png": (TEAM, NOBODY),
    "samples/<int:pk>/download": (NOBODY, TEAM),
    "samples/<int:pk>/release/": (TEAM, TEAM),
    "samples/clips/": (ADMIN, NOBODY),
    "samples/clips/<int:pk>/": (ADMIN, NOBODY),
    "samples/cases/<int:pk>/audio": (ADMIN, NOBODY),
    "reports/<int:pk>/": (TEAM, NOBODY),
    "reports/<int:pk>/archive/": (NOBODY, TEAM),
    "reports/<int:pk>/bring-back/": (NOBODY, TEAM),
    "reports/<int:pk>/delete/": (NOBODY, TEAM),
    "reports/<int:pk>/edit/": (TEAM, TEAM),
    "reports/<int:pk>/export/": (NOBODY, TEAM),
    "reports/<int:pk>/exports/<int:number>/": ("M", NOBODY),
    "reports/<int:pk>/exports/<int:number>/file/": (NOBODY, NOBODY),
    "reports/<int:pk>/freeze/": (NOBODY, TEAM),
    "reports/<int:pk>/history/": (TEAM, NOBODY),
    "reports/<int:pk>/history/<int:version>/": (TEAM, NOBODY),
    "reports/<int:pk>/history/<int:version>/restore/": (NOBODY, TEAM),
    "reports/<int:pk>/publish/": (NOBODY, TEAM),
    "reports/<int:pk>/unpublish/": (NOBODY, TEAM),
    "samples/clips/<int:pk>/approve/": (NOBODY, ADMIN),
    "samples/clips/<int:pk>/audio": (ADMIN, NOBODY),
    "samples/clips/<int:pk>/recall/": ("MAP", "MAP"),
    "samples/clips/<int:pk>/refuse/": (NOBODY, ADMIN),
    "samples/check/": (ASKERS, ASKERS),
    "samples/credentials/<uuid:number>.c2pa": (TEAM, NOBODY),
    "samples/credentials/<uuid:number>/": (ASKERS, NOBODY),
    "samples/copies/": (ADMIN, NOBODY),
    "samples/copies/<int:pk>/": (ADMIN, NOBODY),
    "samples/copies/<int:pk>/audio": (ADMIN, NOBODY),
    "samples/copies/<int:pk>/confirm/": (NOBODY, ADMIN),
    "samples/copies/<int:pk>/dismiss/": (NOBODY, ADMIN),
    "samples/waiting/": (ADMIN, NOBODY),
    "samples/flags/": (ADMIN, NOBODY),
    "samples/flags/<int:pk>/": (ADMIN, NOBODY),
    "samples/flags/<int:pk>/audio": (ADMIN, NOBODY),
    "samples/flags/<int:pk>/dismiss/": (NOBODY, ADMIN),
    "samples/flags/<int:pk>/uphold/": (NOBODY, ADMIN),
    "samples/grid/": (SIGNED_IN, NOBODY),
    "samples/mine/": (HOLDERS, NOBODY),
    "samples/mine/<int:pk>/": (HOLDER, NOBODY),
    "samples/mine/<int:pk>/audio": (HOLDER, NOBODY),
    "samples/mine/<int:pk>/flag/": (HOLDER, HOLDER),
    "samples/mine/model/<uuid:run_id>/": (HOLDER, NOBODY),
    "samples/newest/": (SIGNED_IN, NOBODY),
    "samples/of/<slug:slug>/": (TEAM, NOBODY),
    "samples/of/<slug:slug>/<int:number>/": (TEAM, NOBODY),
    "theme": (NOBODY, EVERYBODY),
    "tokens": (SIGNED_IN, NOBODY),
    "tokens/<int:pk>/revoke": ("M", "M"),
    "tokens/new": (NOBODY, SIGNED_IN),
}
# Django's and allauth's own pages, which are asked in their own ways below.
ACCOUNT, OFFICE_DESK = "account/", "operator/"

# What may nowhere be read by whom, and the pages that are there to tell it.
HIDDEN = {"N": (*MUSIC, *PAPER, *WORK), "L": (*MUSIC, *PAPER, *WORK), "S": (*MUSIC, *PAPER, *WORK),
          "O": WORK, "H": WORK[:3]}  # fmt: skip
TOLD = {
    # A party is named in public as it chose to be.
    ("models/<slug:slug>/", MUSIC[1]),
    ("models/<slug:slug>/clips/", MUSIC[1]),
    ("samples/credentials/<uuid:number>/", MUSIC[1]),
    ("models/<slug:slug>/clips/<uuid:number>/audio", MUSIC[1]),
}


@dataclass
class Answer:
    """What came back, read to its end."""

    status: int
    text: str
    refused: bool
    # What a look has written to the database, which is nothing (tests/rules/reading.py).
    written: list[str]


def ask(world: World, client: Client, session: str, method: str, path: str) -> Answer:
    """Whatever the request changed is undone, and a log-out too."""
    client.cookies = SimpleCookie({"sessionid": session} if session else {})
    mark = transaction.savepoint()
    try:
        with reading.watched(path) if method == "get" else nullcontext([]) as written:
            response: HttpResponseBase = getattr(client, method)(path)
            text = text_of(response)
    finally:
        transaction.savepoint_rollback(mark)
    status = response.status_code
    to_login = status == 302 and "login" in response.headers["Location"]
    refused = to_login or status in {401, 403, 404, 405}
    return Answer(status, text, refused, written)


def text_of(response: Any) -> str:
    if not response.streaming:
        content: bytes = response.content
    else:
        # The live page's events have no end.
        content = b"" if response.is_async else b"".join(response.streaming_content)
    return content.decode("utf-8", "replace")


def writes(path: str, role: str, answer: Answer) -> list[str]:
    return [f"to be read by {role} {path} writes: {sql}" for sql in answer.written]


def told_by(route: str, role: str, answer: Answer) -> list[str]:
    """The private words in it that this person may not read there."""
    hidden = (*MUSIC, *PAPER, *WORK) if answer.refused else HIDDEN.get(role, ())
    return [word for word in hidden if word in answer.text and (route, word) not in TOLD]


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> None:
    """Thousands of refusals are what is asked for here."""
    caplog.set_level("CRITICAL", logger="django.request")


@pytest.fixture
def world() -> World:
    return make_world()


@pytest.fixture
def clients(world: World) -> dict[str, tuple[Client, str]]:
    found = {}
    for letter, role in ROLES.items():
        client = world.client(role)
        kept = client.cookies.get("sessionid")
        found[letter] = (client, kept.value if kept else "")
    return found


def test_every_address_says_who_may_see_it() -> None:
    known = {
        route
        for route in routes()
        if not route.startswith((ACCOUNT, OFFICE_DESK)) and "(?P" not in route
    }
    assert known == set(TABLE), "Add the address to TABLE: who may see it, by GET and by POST?"


def test_every_address_is_seen_by_whom_the_table_names_and_nobody_else(
    world: World, clients: dict[str, tuple[Client, str]]
) -> None:
    wrong = []
    for route, row in TABLE.items():
        path = world.address(route)
        for method, wanted in zip(("get", "post"), row, strict=True):
            seen = ""
            for letter, (client, session) in clients.items():
                answer = ask(world, client, session, method, path)
                seen += "" if answer.refused else letter
                if answer.status >= 500:
                    wrong.append(f"{method} {path} as {letter}: {answer.status}")
                if words := told_by(route, letter, answer):
                    wrong.append(f"{method} {path} tells {letter} of {words}")
                wrong += writes(path, letter, answer)
            if set(seen) != set(wanted):
                wrong.append(f"{method} {route}: seen by {seen!r}, not by {wanted!r}")
    assert not wrong, "\n".join(wrong)


def test_what_a_look_would_write_is_noticed(world: World) -> None:
    with reading.watched("/projects/") as written:
        world.people["member"].save()
    assert written


def test_the_pages_of_accounts_work_and_tell_nothing(
    world: World, clients: dict[str, tuple[Client, str]]
) -> None:
    wrong = []
    for route in (one for one in routes() if one.startswith(ACCOUNT) and "(?P" not in one):
        for letter in "NLH":
            for method in ("get", "post"):
                answer = ask(world, *clients[letter], method, world.address(route))
                if answer.status >= 500 or told_by(route, "S", answer):
                    wrong.append(f"{method} {route} as {letter}: {answer.status}")
                wrong += writes(world.address(route), letter, answer)
    assert not wrong, "\n".join(wrong)


def test_the_operators_desk_is_theirs_alone(
    world: World, clients: dict[str, tuple[Client, str]]
) -> None:
    wrong = []
    for route in (one for one in routes() if one.startswith(OFFICE_DESK) and "(?P" not in one):
        path = world.address(with_object(route))
        for letter in "NLMHA":
            for method in ("get", "post"):
                answer = ask(world, *clients[letter], method, path)
                open_to_all = route.endswith(("login/", "logout/", "jsi18n/"))
                if not open_to_all and not answer.refused:
                    wrong.append(f"{method} {path} as {letter}: {answer.status}")
                if told_by(route, letter, answer):
                    wrong.append(f"{method} {path} tells {letter}")
        answer = ask(world, *clients["P"], "get", path)
        if answer.status >= 500:
            wrong.append(f"get {path} as P: {answer.status}")
        wrong += writes(path, "P", answer)
    assert not wrong, "\n".join(wrong)


def with_object(route: str) -> str:
    """The route of an admin page with the number of a row that exists."""
    model = re.match(r"operator/(\w+)/(\w+)/<path:object_id>/", route)
    if model is None:
        return route
    first = apps.get_model(model[1], model[2])._default_manager.first()
    return route.replace("<path:object_id>", str(first.pk if first else 1))
