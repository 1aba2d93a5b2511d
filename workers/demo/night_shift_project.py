"""Makes the demo's second project without its runs, and arranges in it what people arrange.

Its runs follow by themselves: night_shift.py.
"""

from experiments.alerts import rules
from experiments.charts import layouts
from experiments.models import AlertRule, Membership, Project
from experiments.run_table import saved_views
from experiments.run_table.layout import Column, Layout
from portal import audit
from portal.models import Role, User
from rights.models import Purpose
from workers.demo.night_shift import BEGUN, NAME, RUNS, SLUG, TAG

RATE = "config.learning_rate"
# How loud what is wrong is beside the tone.
ERROR = "metric.eval/error_db"


def begin(*, researcher: User, listener: User) -> Project:
    """Make the project with what people arrange in it, without runs. Inside the transaction that
    makes the demo world.

    Its runs are a colleague's, who has no password: what a newcomer finds as their own is theirs.
    """
    colleague = User.objects.create_user(
        username="nils", first_name="Nils", last_name="Aker", email="nils@lab.example",
        roles=[Role.RESEARCHER.value],
    )  # fmt: skip
    project = Project.objects.create(
        slug=SLUG,
        name=NAME,
        description=(
            f"{RUNS} short real runs and a sweep that start by themselves, one at a time, while "
            "nothing else works: ten minutes on an idle machine, longer on a busy or slow one."
        ),
        purpose=Purpose.RESEARCH,
        territory="world",
        model_family=SLUG,
        background=True,
    )
    for user, level in (
        (colleague, Membership.Level.OWNER),
        (researcher, Membership.Level.OWNER),
        (listener, Membership.Level.VIEWER),
    ):
        Membership.objects.create(project=project, user=user, level=level)
    audit.record(by=None, verb=BEGUN, subject=project)
    _arrange(project, colleague)
    # As a newcomer would have it after some arranging.
    layouts.keep(by=researcher, project=project, content=CHARTS)
    return project


def _arrange(project: Project, owner: User) -> None:
    """Share a grouped table and a page of charts, and watch for runs that diverge."""
    columns = (Column(key="state"), Column(key=RATE), Column(key=ERROR, best="min"))
    # Without the sweep, whose runs have other steps.
    grouped = Layout(text=f"tag:{TAG}", groups=(RATE,), columns=columns, sort=RATE)
    saved_views.save(
        by=owner, project=project, name="By learning rate", layout=grouped, shared=True
    )
    layouts.save(by=owner, project=project, name="Learning rates", content=CHARTS)
    rules.create(
        by=owner, project=project, name="Diverged", kind=AlertRule.Kind.METRIC,
        metric="eval/loss", summary=AlertRule.Summary.LAST, comparison=AlertRule.Comparison.GT,
        value=10.0, audience=AlertRule.Audience.MEMBERS, cooldown_minutes=60,
    )  # fmt: skip


CHARTS = {
    "panels": [
        {
            "id": "error", "title": "What is wrong beside the tone, in dB", "width": 8,
            "height": 8, "names": ["eval/error_db"], "settings": {"group": [RATE]},
        },
        {
            "id": "bars", "kind": "bars", "title": "Where it ends", "width": 4, "height": 8,
            "fields": [ERROR], "settings": {"group": [RATE]},
        },
        {"id": "loss", "width": 4, "names": ["loss"], "settings": {"log_y": True}},
        {
            "id": "parallel", "kind": "parallel", "title": "Settings and where they lead",
            "width": 8, "fields": [RATE, "config.steps", "config.seed", ERROR],
        },
    ]
}  # fmt: skip
