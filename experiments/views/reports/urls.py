"""Addresses of single reports."""

from django.urls import path

from experiments.views.reports import editing, exporting, history, pages

urlpatterns = [
    path("<int:pk>/", pages.report, name="report"),
    path("<int:pk>/edit/", editing.report_edit, name="report_edit"),
    path("<int:pk>/publish/", pages.report_publish, name="report_publish"),
    path("<int:pk>/unpublish/", pages.report_unpublish, name="report_unpublish"),
    path("<int:pk>/archive/", pages.report_archive, name="report_archive"),
    path("<int:pk>/delete/", pages.report_delete, name="report_delete"),
    path("<int:pk>/bring-back/", pages.report_bring_back, name="report_bring_back"),
    path("<int:pk>/freeze/", pages.report_freeze, name="report_freeze"),
    path("<int:pk>/history/", history.report_history, name="report_history"),
    path("<int:pk>/history/<int:version>/", history.report_version, name="report_version"),
    path("<int:pk>/history/<int:version>/restore/", history.report_restore, name="report_restore"),
    path("<int:pk>/export/", exporting.report_export, name="report_export"),
    path(
        "<int:pk>/exports/<int:number>/", exporting.report_export_state, name="report_export_state"
    ),
    path(
        "<int:pk>/exports/<int:number>/file/",
        exporting.report_export_file,
        name="report_export_file",
    ),
]
