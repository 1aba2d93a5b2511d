"""Machine, quotas, cost and what the cluster says, as the pages and the API show them."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.conf import LazySettings
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from backline import wire
from experiments.deliveries import logs
from experiments.models import Attempt, ClusterEvent, Membership, Project, Run
from experiments.run_page import live
from experiments.runs import runs
from portal import tokens
from portal.models import User


@pytest.fixture(autouse=True)
def _prices(settings: LazySettings) -> None:
    settings.GPU_PRICES = {"NVIDIA-H100": Decimal("2.50"), "any": Decimal("2.00")}
    settings.CPU_PRICE = Decimal("0.01")


@pytest.fixture
def page(client: Client, ada: User) -> Client:
    client.force_login(ada)
    return client


def address(name: str, *args: object) -> str:
    return reverse(f"experiments:{name}", args=["first-light", *args])


def read(page: Client, url: str) -> str:
    answer = page.get(url)
    assert answer.status_code == 200
    return str(answer.content.decode())


def paid(by: User, project: Project, hours: float = 2) -> tuple[Run, Attempt]:
    run = runs.submit(
        by=by, project=project, recipe="tone_check", config={}, resources={"gpus": 1, "cpus": 1}
    )
    attempt = runs.claim(run)
    assert attempt is not None
    runs.mark_created(attempt, node="gpu-3", look="kubectl -n runs describe job x")
    runs.mark_started(attempt)
    began = timezone.now() - timedelta(hours=hours)
    Attempt.objects.filter(pk=attempt.pk).update(started_at=began)
    attempt.refresh_from_db()
    return run, attempt


def test_the_form_asks_for_a_machine_and_says_what_it_costs(page: Client, project: Project) -> None:
    text = read(page, address("run_new") + "?recipe=tone_check")
    assert "<legend>Machine</legend>" in text
    for name in ("gpus", "gpu_type", "nodes", "cpus", "memory_gb", "max_hours"):
        assert f'name="{name}"' in text
    assert '<option value="NVIDIA-H100">NVIDIA-H100</option>' in text
    assert '<option value="" selected>any</option>' in text
    assert "At most 0.48 EUR: 24 hours of 2 cores and 2 GiB." in text


def test_the_estimate_follows_what_is_typed(page: Client, project: Project) -> None:
    Project.objects.update(gpu_hour_quota=100)
    typed = "?gpus=2&gpu_type=NVIDIA-H100&cpus=4&memory_gb=32&nodes=1&max_hours=10"
    text = read(page, address("run_estimate") + typed)
    assert "At most 50.40 EUR: 10 hours of 2 NVIDIA-H100 GPUs, 4 cores and 32 GiB." in text
    assert "First light has 100.0 of its 100 GPU-hours left; this run takes 20.0 at most." in text
    assert "GPUs must be at most 8." in read(page, address("run_estimate") + "?gpus=9")


def test_a_run_over_quota_is_refused_beside_the_form_with_its_numbers(
    page: Client, project: Project
) -> None:
    Project.objects.update(gpu_hour_quota=10)
    answer = page.post(
        address("run_submit"),
        {"recipe": "tone_check", "yaml": "steps: 9", "gpus": "1", "max_hours": "24"},
    )
    text = answer.content.decode()
    assert answer.status_code == 422
    assert "may have 10 GPU-hours running and waiting; 0.0 are taken" in text
    assert "this run asks for 24.0 (1 GPU for 24 hours at most)" in text
    assert not Run.objects.exists()


def test_a_run_is_queued_with_the_machine_that_was_typed(page: Client, project: Project) -> None:
    page.post(
        address("run_submit"),
        {
            "recipe": "program", "yaml": "command: python train.py", "gpus": "1",
            "gpu_type": "NVIDIA-H100", "nodes": "2", "cpus": "4", "memory_gb": "8",
            "max_hours": "1.5",
        },
    )  # fmt: skip
    assert Run.objects.get().resources == {
        "cpus": 4, "memory_gb": 8, "gpus": 1, "gpu_type": "NVIDIA-H100", "nodes": 2,
        "max_hours": 1.5,
    }  # fmt: skip


def test_a_copy_starts_from_the_same_machine(page: Client, ada: User, project: Project) -> None:
    run, _ = paid(ada, project)
    Run.objects.update(resources=run.resources | {"gpu_type": "NVIDIA-H100", "max_hours": 3})
    text = read(page, address("run_duplicate", run.number))
    assert '<option value="NVIDIA-H100" selected>' in text
    assert 'name="max_hours" value="3' in text


def test_the_run_page_tells_cost_attempts_events_and_how_to_look_further(
    page: Client, ada: User, project: Project
) -> None:
    run, first = paid(ada, project)
    runs.mark_preempted(first, reason="A run of higher priority took its place.", exit_code=75)
    run.refresh_from_db()
    second = runs.claim(run)
    assert second is not None
    now = timezone.now()
    for number in range(3):
        ClusterEvent.objects.create(
            attempt=second, uid=str(number), at=now + timedelta(seconds=number), kind="Warning",
            reason="FailedScheduling", message="0/3 nodes have nvidia.com/gpu.", count=2,
        )  # fmt: skip
    ClusterEvent.objects.create(
        attempt=second, uid="9", at=now + timedelta(minutes=1), kind="Normal", reason="Scheduled"
    )
    runs.store_wait_reasons([(second, "0/3 nodes have nvidia.com/gpu.")])
    assert "4.02 EUR so far" in read(page, run.get_absolute_url())
    text = read(page, address("run_attempts", run.number))
    assert "4.02 EUR so far" in text
    assert "at most 48.24 EUR" in text
    assert "2 attempts: 1 made room for others. Making room counts as no try." in text
    assert "Made room</span>" in text
    assert "gpu-3" in text
    assert "kubectl -n runs describe job x" in text
    assert "The cluster says: 0/3 nodes have nvidia.com/gpu." in text
    said = text.split("What the cluster said")[1]
    assert said.count("FailedScheduling") == 1
    assert '<td data-label="Times" class="num">6</td>' in said
    assert said.index("FailedScheduling") < said.index("<span>Scheduled</span>")
    moment = live.read_moment(Run.objects.get())
    assert (moment.events, moment.detail) == (7, "0/3 nodes have nvidia.com/gpu.")


def test_without_prices_no_page_speaks_of_money(
    page: Client, ada: User, project: Project, settings: LazySettings
) -> None:
    settings.GPU_PRICES, settings.CPU_PRICE = {}, Decimal(0)
    run, _ = paid(ada, project)
    for url in (
        run.get_absolute_url(), address("run_attempts", run.number), address("runs"),
        address("project_settings"),
        address("run_new") + "?recipe=tone_check",
    ):  # fmt: skip
        text = read(page, url)
        assert "EUR" not in text
        assert "Cost" not in text


def test_a_run_from_outside_has_asked_for_no_machine(
    page: Client, ada: User, project: Project
) -> None:
    run = runs.open_client_run(by=ada, project=project)
    text = read(page, address("run_attempts", run.number))
    assert "Started outside the portal." in text
    assert "Asked for" not in text
    assert "EUR" not in text


def test_a_warning_is_on_the_page_while_the_run_is_open(
    page: Client, ada: User, project: Project
) -> None:
    run, attempt = paid(ada, project)
    Run.objects.update(warning="Its GPUs were busy under 5 % for 12 min.")
    assert "busy under 5 % for 12 min" in read(page, run.get_absolute_url())
    assert "busy under 5 % for 12 min" in read(page, reverse("experiments:home_fragment"))
    runs.finish(attempt)
    assert live.read_moment(Run.objects.get()).warning == ""


def test_a_held_run_says_whose_gpus_it_waits_for(ada: User, project: Project) -> None:
    Project.objects.update(gpu_quota=1)
    paid(ada, Project.objects.get())
    waiting = runs.submit(
        by=ada, project=Project.objects.get(), recipe="tone_check", config={}, resources={"gpus": 1}
    )
    assert live.detail(waiting) == (
        "First light has 1 of its 1 GPUs at work and waits for its own runs."
    )


def test_lines_of_several_processes_say_which_one_wrote_them(
    page: Client, ada: User, project: Project
) -> None:
    run, _ = paid(ada, project)
    for session, line in (("attempt-1", "zero\n"), ("attempt-1-rank-11", "eleven\n")):
        piece = wire.LogPiece(session=session, stream="stdout", offset=0, text=line)
        logs.append(run, piece)
    assert live.log_html(run) == "[ 0] zero\n[11] eleven"
    assert "[11] eleven" in read(page, run.get_absolute_url())
    text = read(page, address("run_log", run.number))
    assert '<option value="11">rank 11</option>' in text
    for rank, line in ((11, "eleven"), (0, "zero")):
        query = f"?rank={rank}"
        of_rank = read(page, address("run_log", run.number) + query)
        assert f"<span>{line}</span>" in of_rank
        assert of_rank.count("<li id=") == 1
        file = page.get(address("run_log_file", run.number) + query)
        assert b"".join(file.streaming_content).decode() == f"{line}\n"  # type: ignore[attr-defined]


def test_cost_is_a_column_that_sorts(page: Client, ada: User, project: Project) -> None:
    (cheap, first), (dear, second) = paid(ada, project, 1), paid(ada, project, 5)
    runs.finish(first)
    runs.finish(second)
    text = read(page, address("runs") + "?col=cost&sort=-cost")
    assert text.index("10.05 EUR") < text.index("2.01 EUR")
    assert text.index(f"run-{dear.number}") < text.index(f"run-{cheap.number}")


def test_settings_show_what_the_project_takes_and_owners_set_its_quotas(
    page: Client, ada: User, project: Project
) -> None:
    _, attempt = paid(ada, project)
    runs.finish(attempt)
    text = read(page, address("project_settings"))
    assert "4.02 EUR" in text
    answer = page.post(address("project_quotas"), {"gpu_quota": "8", "gpu_hour_quota": ""})
    assert answer.status_code == 302
    project.refresh_from_db()
    assert (project.gpu_quota, project.gpu_hour_quota) == (8, None)
    assert "no limit → 8" in read(page, address("project_settings"))
    answer = page.post(address("project_quotas"), {"gpu_quota": "-1"})
    assert answer.status_code == 422


def test_a_member_reads_the_settings_and_does_not_set_them(
    client: Client, ben: User, project: Project
) -> None:
    Membership.objects.create(project=project, user=ben)
    client.force_login(ben)
    text = read(client, address("project_settings"))
    assert "An owner of the project or an operator sets them." in text
    assert "<form" not in text.split('id="quotas"')[1].split("</section>")[0]
    answer = client.post(address("project_quotas"), {"gpu_quota": "8"})
    assert answer.status_code == 403
    assert "Only an owner" in answer.content.decode()


def test_settings_of_a_project_one_is_not_in_are_not_there(
    client: Client, ben: User, project: Project
) -> None:
    client.force_login(ben)
    assert client.get(address("project_settings")).status_code == 404
    assert client.post(address("project_quotas"), {"gpu_quota": "8"}).status_code == 404
    project.refresh_from_db()
    assert project.gpu_quota is None


def test_the_api_tells_costs_and_quotas_and_takes_resources(
    client: Client, ada: User, project: Project
) -> None:
    run, attempt = paid(ada, project)
    runs.finish(attempt)
    _, secret = tokens.issue(user=ada, label="script")
    head = {"Authorization": f"Bearer {secret}"}
    body = client.get(f"/api/v1/runs/{run.pk}", headers=head).json()
    assert (body["cost"][:4], body["currency"], body["resources"]["gpus"]) == ("4.02", "EUR", 1)
    body = client.get("/api/v1/projects/first-light", headers=head).json()
    assert (body["cost"][:4], body["gpu_quota"], body["gpu_hours"]) == ("4.02", None, 0)
    Project.objects.update(gpu_hour_quota=10)
    wanted = {"project": "first-light", "recipe": "tone_check", "resources": {"gpus": 1}}
    answer = client.post(
        "/api/v1/submissions", wanted, content_type="application/json", headers=head
    )
    assert answer.status_code == 422
    assert "GPU-hours" in answer.json()["detail"]
