"""URLs of imports, exports and signals, under /rights/."""

from django.urls import path

from rights.views.exchange import exports, imports

urlpatterns = [
    path("imports/", imports.imports, name="imports"),
    path("imports/new/", imports.import_new, name="import_new"),
    path("imports/<int:pk>/", imports.import_job, name="import"),
    path("imports/<int:pk>/progress/", imports.import_progress, name="import_progress"),
    path("imports/<int:pk>/check/", imports.import_check, name="import_check"),
    path("imports/<int:pk>/parties/", imports.import_parties, name="import_parties"),
    path("imports/<int:pk>/start/", imports.import_start, name="import_start"),
    path("imports/<int:pk>/cancel/", imports.import_cancel, name="import_cancel"),
    path("imports/<int:pk>/resume/", imports.import_resume, name="import_resume"),
    path("imports/<int:pk>/problems.csv", imports.import_problems, name="import_problems"),
    path("signals/", imports.signals, name="signals"),
    path("signals/new/", imports.signal_new, name="signal_new"),
    path("exports/", exports.exports, name="exports"),
    path("exports/recordings.<str:extension>", exports.export, name="export"),
    path("exports/participation.csv", exports.export_participation, name="export_participation"),
    path(
        "recordings/<int:pk>/training-mining.json", exports.training_mining, name="training_mining"
    ),
]
