"""Addresses of projects, their runs and their datasets."""

from django.urls import path

from experiments.views import (
    chart_data,
    charts,
    compare,
    datasets,
    live,
    log,
    new,
    projects,
    query,
    run,
    settings,
    table,
)
from experiments.views.publishing import publishing

app_name = "experiments"
urlpatterns = [
    path("", projects.projects, name="projects"),
    path("mine/", projects.home_fragment, name="home_fragment"),
    path("<slug:slug>/", table.runs, name="runs"),
    path("<slug:slug>/settings/", settings.project_settings, name="project_settings"),
    path("<slug:slug>/settings/scope/", settings.project_scope, name="project_scope"),
    path("<slug:slug>/settings/quotas/", settings.project_quotas, name="project_quotas"),
    path("<slug:slug>/models/", publishing.models, name="models"),
    path("<slug:slug>/models/new/", publishing.model_new, name="model_new"),
    path("<slug:slug>/models/<int:pk>/", publishing.model, name="model"),
    path("<slug:slug>/models/<int:pk>/texts/", publishing.model_texts, name="model_texts"),
    path("<slug:slug>/compare/", compare.compare, name="compare"),
    path("<slug:slug>/compare/curves/", compare.curves, name="compare_curves"),
    path("<slug:slug>/datasets/", datasets.datasets, name="datasets"),
    path("<slug:slug>/datasets/new/", datasets.dataset_new, name="dataset_new"),
    path("<slug:slug>/datasets/freeze/", datasets.dataset_freeze, name="dataset_freeze"),
    path("<slug:slug>/datasets/<int:pk>/", datasets.dataset, name="dataset"),
    path("<slug:slug>/runs/new/", new.run_new, name="run_new"),
    path("<slug:slug>/runs/new/estimate/", new.run_estimate, name="run_estimate"),
    path("<slug:slug>/runs/complete/", query.complete, name="query_complete"),
    path("<slug:slug>/runs/submit/", new.run_submit, name="run_submit"),
    path("<slug:slug>/runs/<int:number>/", run.run, name="run"),
    path("<slug:slug>/runs/<int:number>/live/", live.run_live, name="run_live"),
    path("<slug:slug>/runs/<int:number>/state/", live.run_state, name="run_state"),
    path("<slug:slug>/runs/<int:number>/curve/", live.run_curve, name="run_curve"),
    path("<slug:slug>/runs/<int:number>/log/", log.run_log, name="run_log"),
    path("<slug:slug>/runs/<int:number>/log/file/", log.run_log_file, name="run_log_file"),
    path("<slug:slug>/runs/<int:number>/scope/", run.run_scope, name="run_scope"),
    path("<slug:slug>/runs/<int:number>/cancel/", run.run_cancel, name="run_cancel"),
    path("<slug:slug>/runs/<int:number>/retry/", run.run_retry, name="run_retry"),
    path("<slug:slug>/runs/<int:number>/rerun/", run.run_rerun, name="run_rerun"),
    path("<slug:slug>/runs/<int:number>/duplicate/", new.run_duplicate, name="run_duplicate"),
    # Charts of many runs.
    path("<slug:slug>/charts/", charts.charts, name="charts"),
    path("<slug:slug>/charts/data/", chart_data.charts_data, name="charts_data"),
    path("<slug:slug>/charts/values/", chart_data.charts_values, name="charts_values"),
    path("<slug:slug>/charts/bars/", chart_data.charts_bars, name="charts_bars"),
    path("<slug:slug>/charts/keep/", charts.charts_keep, name="charts_keep"),
    path("<slug:slug>/charts/save/", charts.charts_save, name="charts_save"),
    path("<slug:slug>/charts/reset/", charts.charts_reset, name="charts_reset"),
    path("<slug:slug>/charts/<int:pk>/", charts.chart_layout, name="chart_layout"),
    path("<slug:slug>/charts/<int:pk>/delete/", charts.charts_delete, name="charts_delete"),
]
