"""Charts: 100 runs x 10 metrics x 10,000 points in one request, a zoom, a spike in 10^6 points; and
in Chromium 100 curves drawn and panned.

`.venv/bin/python -m benchmarks.charts` on SQLite, with `--postgres` on a PostgreSQL server of its
own, with `--browser` also what Chromium needs. Each figure is the median of five whole requests
through Django's client, from the address to the bytes, with the processor time of the same work:
that says more on a machine that others use too.
"""

import json
import os
import shutil
import statistics
import subprocess
import sys

from benchmarks import portal

RUNS, POINTS, LONG = 100, 10_000, 1_000_000
FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run"]

PROGRAM = """
import json, sys, time
import django; django.setup()
from django.conf import settings
settings.ALLOWED_HOSTS = ["*"]
import numpy as np
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from backline import batches
from experiments.charts import packing
from experiments.metrics import metrics
from experiments.models import Membership, Project, Run
from portal.models import Role, User

runs, points, long = map(int, sys.argv[1:4])
user = User.objects.create_user("ada", password="a long enough password", roles=[Role.RESEARCHER])
project = Project.objects.create(slug="bench", name="Bench")
Membership.objects.create(project=project, user=user, level="owner")
rng = np.random.default_rng(1)
names = tuple(f"part{n % 3}/metric{n}" for n in range(10))

def log(number, names, values):
    run = Run.objects.create(project=project, number=number, name=f"run {number}", state="finished",
                             submitted_by=user, config={"lr": number % 5, "seed": number % 20})
    steps = np.arange(values.shape[1], dtype=np.int64)
    for start in range(0, len(steps), 50_000 // len(names)):
        part = slice(start, start + 50_000 // len(names))
        table = batches.Table(names, steps[part], steps[part] * 0.1 + 1.7e9, values[:, part])
        metrics.ingest(run, "s", start, batches.encode([table]))
    metrics.compact(run)

decay = np.exp(-np.arange(points) / 3000)
for number in range(1, runs + 1):
    scales = np.arange(1, 11)[:, None]
    log(number, names, decay * scales + rng.normal(0, 0.05, (10, points)) + number * 0.01)
spiky = rng.normal(1, 0.05, (1, long)); spiky[0, 654_321] = 99.0
log(runs + 1, ("long",), spiky)

client = Client(); client.force_login(user)
many = ",".join(map(str, range(1, runs + 1)))

def ask(title, **query):
    took, cpu = [], []
    for _ in range(5):
        wall, worked = time.perf_counter(), time.process_time()
        answer = client.get("/projects/bench/charts/data/", query)
        took.append(time.perf_counter() - wall); cpu.append(time.process_time() - worked)
        assert answer.status_code == 200, answer.content[:300]
    with CaptureQueriesContext(connection) as caught:
        client.get("/projects/bench/charts/data/", query)
    header, body = packing.unpack(answer.content)
    results.append([title, sorted(took)[2], sorted(cpu)[2], len(header["lines"]),
                    len(answer.content), len(caught)])
    return header, body

results = []
header, _ = ask("100 runs x 10 metrics, overview", runs=many, name=names, points=160)
assert len(header["lines"]) == runs * 10
ask("the same, 400 points a curve", runs=many, name=names, points=400)
ask("100 runs x 1 metric, overview", runs=many, name=names[0], points=400)
one_metric = {"runs": many, "name": names[0], "points": 400}
ask("  zoomed to 200 steps", **one_metric, **{"from": 4000, "to": 4200})
ask("  5 groups, 95 % interval", **one_metric, group="config.lr", spread="interval")
ask("  formula of two metrics", **one_metric | {"name": f"={names[0]} - {names[1]}"})
one = str(runs + 1)
far, body = ask("10^6 points, overview", runs=one, name="long", points=600)
line = far["lines"][0][4]
assert packing.column(body, line[4]).max() == 99, "the spike is seen from afar"
zoom = {"from": 653_500, "to": 655_500}
near, body = ask("  zoomed to 2,000 of them", runs=one, name="long", points=1200, **zoom)
columns = near["lines"][0][4]
x, high = packing.column(body, columns[0]), packing.column(body, columns[4] or columns[2])
assert abs(x[high.argmax()] - 654_321) <= 2 and high.max() == 99, "the spike is found"

# The same as JSON, as the compare page sent it before: what the form of the answer is worth.
ids = list(Run.objects.filter(number__lte=runs).values_list("pk", flat=True))
curves = metrics.read_all(ids, names, 160)
start, worked = time.perf_counter(), time.process_time()
text = json.dumps([curve.as_json() for curve in curves.values()])
results.append(["the overview's curves as JSON, writing alone", time.perf_counter() - start,
                time.process_time() - worked, len(curves), len(text), 0])
print(json.dumps(results))
"""

# In the page: wait until the first panel is drawn, in milliseconds since it was opened.
DRAWN = """async () => {
  while (!document.chartPage?.grid.panels[0]?.plot?.now) await new Promise(requestAnimationFrame);
  return performance.now();
}"""

# In the page: fetch all curves of one panel, draw them, then pan for two seconds.
DRAWING = """async () => {
  const page = document.chartPage, panel = page.grid.panels[0];
  await panel.load();
  const timed = () => {
    const start = performance.now();
    panel.show();
    panel.plot.drawNow();
    panel.plot.canvas.getContext("2d").getImageData(0, 0, 1, 1);
    return performance.now() - start;
  };
  const draws = Array.from({ length: 7 }, timed).sort((a, b) => a - b);
  const [from, to] = [panel.plot.now.xaxis.from, panel.plot.now.xaxis.to];
  const middle = [from + (to - from) * 0.2, from + (to - from) * 0.6];
  panel.plot.zoom(middle);
  let frames = 0;
  const start = performance.now();
  while (performance.now() - start < 2000) {
    const part = Math.sin(performance.now() / 300) * (to - from) * 0.1;
    panel.plot.zoom([middle[0] + part, middle[1] + part]);
    await new Promise(requestAnimationFrame);
    frames += 1;
  }
  const seconds = (performance.now() - start) / 1000;
  const points = panel.plot.lines.reduce((n, line) => n + line.x.length, 0);
  return { lines: panel.plot.lines.length, points, draw: draws[3], rate: frames / seconds };
}"""


def measure(environment: dict[str, str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(RUNS), str(POINTS), str(LONG)],
        cwd=portal.ROOT, env=environment, check=False, capture_output=True, text=True,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(done.stderr[-3000:])
    print("| one request | ms | ms of processor | curves | MB | queries |")
    print("|---|--:|--:|--:|--:|--:|")
    for title, wall, cpu, curves, size, queries in json.loads(done.stdout.splitlines()[-1]):
        print(
            f"| {title} | {wall * 1000:.0f} | {cpu * 1000:.0f} | {curves} | {size / 1e6:.2f} "
            f"| {queries} |"
        )


def browse(environment: dict[str, str]) -> None:
    """Draw and pan 100 curves in Chromium on the world that was measured."""
    from playwright.sync_api import sync_playwright

    port = portal.free_port()
    serve = ["uvicorn", "portal.asgi:application", "--port", str(port), "--log-level", "error"]
    server = subprocess.Popen([sys.executable, "-m", *serve], cwd=portal.ROOT, env=environment)
    address = f"http://127.0.0.1:{port}"
    runs = ",".join(str(number) for number in range(1, RUNS + 1))
    with portal.ended(server), sync_playwright() as playwright:
        portal.wait_for(f"{address}/healthz")
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.goto(f"{address}/projects/bench/compare/?runs={runs}")
        page.fill("[name=login]", "ada")
        page.fill("[name=password]", "a long enough password")
        page.keyboard.press("Enter")
        page.wait_for_selector("[data-chart-grid]")
        shown = [page.reload() and page.evaluate(DRAWN) for _ in range(3)]
        found = page.evaluate(DRAWING)
        browser.close()
    print(f"\n{found['lines']} curves of {found['points']:,} points in Chromium, without a GPU:")
    print(f"page opened to drawn {statistics.median(shown):.0f} ms (all panels in sight),")
    print(f"drawn in {found['draw']:.1f} ms, panned at {found['rate']:.0f} frames a second.")


def main() -> None:
    if "--postgres" not in sys.argv:
        with portal.settings() as (_, environment):
            measure(environment)
            if "--browser" in sys.argv:
                browse(environment)
        return
    from tests.cluster import database

    programs = database.programs()
    if programs is None:
        sys.exit("No PostgreSQL server found (Debian, Ubuntu: apt-get install postgresql).")
    with portal.settings() as (_, environment), database.running(programs) as server:
        environment["DATABASE_URL"] = server.url
        migrate = [sys.executable, "manage.py", "migrate", "--verbosity=0"]
        subprocess.run(migrate, cwd=portal.ROOT, env=environment, check=True)
        measure(environment)


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")
    main()
