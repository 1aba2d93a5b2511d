"""Addresses of projects, their runs and their datasets."""

from django.urls import include, path

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
    run_code,
    run_tabs,
    saved_views,
    settings,
    sweep_new,
    sweeps,
    table,
)
from experiments.views.alerts import rules, webhooks
from experiments.views.describing import bulk, pages
from experiments.views.discussion import discussion
from experiments.views.media import data as media_data
from experiments.views.media import pages as media_pages
from experiments.views.publishing import publishing
from experiments.views.reports import editing
from experiments.views.reports import pages as report_pages

app_name = "experiments"
MANY = [
    path("runs/bulk/<slug:act>/", bulk.run_bulk, name="run_bulk"),
    path("runs/batches/<int:pk>/", bulk.run_batch, name="run_batch"),
    path("runs/batches/<int:pk>/undo/", bulk.run_batch_undo, name="run_batch_undo"),
    path("runs/deleted/", bulk.runs_deleted, name="runs_deleted"),
    path("tags/", bulk.project_tags, name="project_tags"),
]
DESCRIBING = [
    path("describe/", pages.run_describe, name="run_describe"),
    path("tags/add/", pages.run_tags_add, name="run_tags_add"),
    path("tags/remove/", pages.run_tags_remove, name="run_tags_remove"),
    path("edits/", pages.run_edits, name="run_edits"),
    path("edits/<int:version>/undo/", pages.run_edit_undo, name="run_edit_undo"),
]
urlpatterns = [
    path("", projects.projects, name="projects"),
    path("mine/", projects.home_fragment, name="home_fragment"),
    path("<slug:slug>/", table.runs, name="runs"),
    path("<slug:slug>/runs/columns/", table.runs_columns, name="runs_columns"),
    path("<slug:slug>/runs/groupings/", table.runs_groupings, name="runs_groupings"),
    path("<slug:slug>/runs.csv", table.runs_csv, name="runs_csv"),
    path("<slug:slug>/runs.parquet", table.runs_parquet, name="runs_parquet"),
    path("<slug:slug>/views/save/", saved_views.view_save, name="view_save"),
    path("<slug:slug>/views/first/", saved_views.view_first, name="view_first"),
    path("<slug:slug>/views/<int:pk>/delete/", saved_views.view_delete, name="view_delete"),
    path("<slug:slug>/settings/", settings.project_settings, name="project_settings"),
    path("<slug:slug>/settings/scope/", settings.project_scope, name="project_scope"),
    path("<slug:slug>/settings/quotas/", settings.project_quotas, name="project_quotas"),
    path("<slug:slug>/models/", publishing.models, name="models"),
    path("<slug:slug>/models/new/", publishing.model_new, name="model_new"),
    path("<slug:slug>/models/<int:pk>/", publishing.model, name="model"),
    path("<slug:slug>/models/<int:pk>/texts/", publishing.model_texts, name="model_texts"),
    # Discussion, alerts and webhooks.
    path(
        "<slug:slug>/runs/<int:number>/discussion/",
        discussion.run_discussion,
        name="run_discussion",
    ),
    path("<slug:slug>/alerts/", rules.alerts, name="alerts"),
    path("<slug:slug>/alerts/rules/new/", rules.rule_new, name="rule_new"),
    path("<slug:slug>/alerts/rules/<int:pk>/", rules.rule, name="rule"),
    path("<slug:slug>/alerts/rules/<int:pk>/switch/", rules.rule_switch, name="rule_switch"),
    path("<slug:slug>/alerts/rules/<int:pk>/delete/", rules.rule_delete, name="rule_delete"),
    path("<slug:slug>/webhooks/", webhooks.hooks, name="webhooks"),
    path("<slug:slug>/webhooks/new/", webhooks.webhook_new, name="webhook_new"),
    path("<slug:slug>/webhooks/<int:pk>/", webhooks.webhook, name="webhook"),
    path("<slug:slug>/webhooks/<int:pk>/change/", webhooks.webhook_change, name="webhook_change"),
    path("<slug:slug>/webhooks/<int:pk>/test/", webhooks.webhook_test, name="webhook_test"),
    path("<slug:slug>/webhooks/<int:pk>/secret/", webhooks.webhook_secret, name="webhook_secret"),
    path("<slug:slug>/webhooks/<int:pk>/switch/", webhooks.webhook_switch, name="webhook_switch"),
    path("<slug:slug>/webhooks/<int:pk>/delete/", webhooks.webhook_delete, name="webhook_delete"),
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
    path("<slug:slug>/", include(MANY)),
    path("<slug:slug>/runs/<int:number>/", include(DESCRIBING)),
    # The tabs of a run's page.
    path("<slug:slug>/runs/<int:number>/", run_tabs.run, name="run"),
    path("<slug:slug>/runs/<int:number>/charts/", run_tabs.charts, name="run_charts"),
    path("<slug:slug>/runs/<int:number>/media/", media_pages.run_media, name="run_media"),
    path(
        "<slug:slug>/runs/<int:number>/media/<int:pk>",
        media_pages.run_media_file,
        name="run_media_file",
    ),
    path("<slug:slug>/runs/<int:number>/samples/", run_tabs.samples, name="run_samples"),
    path("<slug:slug>/runs/<int:number>/config/", run_tabs.config, name="run_config"),
    path("<slug:slug>/runs/<int:number>/code/", run_code.code, name="run_code"),
    path(
        "<slug:slug>/runs/<int:number>/environment/", run_code.environment, name="run_environment"
    ),
    path("<slug:slug>/runs/<int:number>/reproduce/", run_code.reproduce, name="run_reproduce"),
    path(
        "<slug:slug>/runs/<int:number>/reproduce/<str:name>",
        run_code.reproduce_file,
        name="run_reproduce_file",
    ),
    path("<slug:slug>/runs/<int:number>/system/", run_tabs.system, name="run_system"),
    path("<slug:slug>/runs/<int:number>/data/", run_tabs.data, name="run_data"),
    path(
        "<slug:slug>/runs/<int:number>/checkpoints/", run_tabs.checkpoints, name="run_checkpoints"
    ),
    path("<slug:slug>/runs/<int:number>/attempts/", run_tabs.attempts, name="run_attempts"),
    path("<slug:slug>/runs/<int:number>/live/", live.run_live, name="run_live"),
    path("<slug:slug>/runs/<int:number>/state/", live.run_state, name="run_state"),
    path("<slug:slug>/runs/<int:number>/curve/", live.run_curve, name="run_curve"),
    path("<slug:slug>/runs/<int:number>/log/", log.run_log, name="run_log"),
    path("<slug:slug>/runs/<int:number>/log/lines/", log.run_log_lines, name="run_log_lines"),
    path("<slug:slug>/runs/<int:number>/log/file/", log.run_log_file, name="run_log_file"),
    path("<slug:slug>/runs/<int:number>/scope/", run.run_scope, name="run_scope"),
    path("<slug:slug>/runs/<int:number>/cancel/", run.run_cancel, name="run_cancel"),
    path("<slug:slug>/runs/<int:number>/retry/", run.run_retry, name="run_retry"),
    path("<slug:slug>/runs/<int:number>/rerun/", run.run_rerun, name="run_rerun"),
    path("<slug:slug>/runs/<int:number>/fork/", new.run_fork, name="run_fork"),
    path("<slug:slug>/runs/<int:number>/duplicate/", new.run_duplicate, name="run_duplicate"),
    # Sweeps
    path("<slug:slug>/sweeps/", sweeps.sweeps_list, name="sweeps"),
    path("<slug:slug>/sweeps/offer/", sweep_new.sweep_offer, name="sweep_offer"),
    path("<slug:slug>/sweeps/start/", sweep_new.sweep_start, name="sweep_start"),
    path("<slug:slug>/sweeps/<int:number>/", sweeps.sweep, name="sweep"),
    path("<slug:slug>/sweeps/<int:number>/curves/", sweeps.sweep_curves, name="sweep_curves"),
    path("<slug:slug>/sweeps/<int:number>/stop/", sweeps.sweep_stop, name="sweep_stop"),
    path("<slug:slug>/sweeps/<int:number>/pause/", sweeps.sweep_pause, name="sweep_pause"),
    path("<slug:slug>/sweeps/<int:number>/resume/", sweeps.sweep_resume, name="sweep_resume"),
    path("<slug:slug>/sweeps/<int:number>/budget/", sweeps.sweep_budget, name="sweep_budget"),
    path(
        "<slug:slug>/sweeps/<int:number>/trials/<int:trial>/stop/",
        sweeps.sweep_trial_stop,
        name="sweep_trial_stop",
    ),
    # Reports; each has an address of its own (views/reports/urls.py).
    path("<slug:slug>/reports/", report_pages.report_list, name="reports"),
    path("<slug:slug>/reports/new/", editing.report_new, name="report_new"),
    path("<slug:slug>/reports/preview/", editing.report_preview, name="report_preview"),
    path("<slug:slug>/reports/deleted/", report_pages.reports_deleted, name="reports_deleted"),
    # Charts of many runs.
    path("<slug:slug>/charts/", charts.charts, name="charts"),
    path("<slug:slug>/charts/data/", chart_data.charts_data, name="charts_data"),
    path("<slug:slug>/charts/values/", chart_data.charts_values, name="charts_values"),
    path("<slug:slug>/charts/bars/", chart_data.charts_bars, name="charts_bars"),
    path("<slug:slug>/charts/importance/", chart_data.charts_importance, name="charts_importance"),
    path("<slug:slug>/charts/media/", media_data.charts_media, name="charts_media"),
    path(
        "<slug:slug>/charts/media/items/",
        media_data.charts_media_items,
        name="charts_media_items",
    ),
    path(
        "<slug:slug>/charts/media/histograms/",
        media_data.charts_media_histograms,
        name="charts_media_histograms",
    ),
    path("<slug:slug>/charts/keep/", charts.charts_keep, name="charts_keep"),
    path("<slug:slug>/charts/save/", charts.charts_save, name="charts_save"),
    path("<slug:slug>/charts/reset/", charts.charts_reset, name="charts_reset"),
    path("<slug:slug>/charts/<int:pk>/", charts.chart_layout, name="chart_layout"),
    path("<slug:slug>/charts/<int:pk>/delete/", charts.charts_delete, name="charts_delete"),
]
