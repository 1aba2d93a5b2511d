"""Numbers of runs: they count within the project."""

from django.db.models import Max

from experiments.models import Project, Run


def next_number(project: Project) -> int:
    """Return the next number. Inside a transaction: its lock gives two runs two numbers."""
    Project.objects.select_for_update(no_key=True).get(pk=project.pk)
    last = Run.objects.filter(project=project).aggregate(last=Max("number"))["last"]
    return (last or 0) + 1
