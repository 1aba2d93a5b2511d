"""The query line in the manner of Python, and its errors."""

from datetime import UTC, datetime, timedelta

import pytest

from experiments.models import Project, Run
from experiments.run_table import query
from portal.models import User
from tests.experiments.run_table.test_table import make, measure

DAY = datetime(2026, 11, 1, 12, tzinfo=UTC)


@pytest.fixture
def cast(project: Project, ada: User, ben: User) -> list[Run]:
    rows: list[dict[str, object]] = [
        {
            "name": "drum machine v2", "tags": ["jazz", "Keep"], "queued_at": DAY,
            "started_at": DAY, "ended_at": DAY + timedelta(hours=3), "resources": {"gpus": 2},
            "config": {"lr": 5e-4, "model": {"lr": 0.1}, "opt": "adam", "big": 2**60 + 1,
                       "flag": True, "layers": [1, "two"], "state": "solid"},
        },
        {
            "name": "Bass take", "tags": ["jazz trio"], "state": Run.State.FAILED,
            "queued_at": DAY + timedelta(days=1), "started_at": DAY + timedelta(days=1),
            "ended_at": DAY + timedelta(days=1, minutes=5),
            "config": {"lr": 1, "model.lr": 0.2, "opt": "sgd", "big": 2**60, "flag": 1,
                       "gone": None},
        },
        {
            "name": "100% drum's \\ ü", "state": Run.State.RUNNING,
            "queued_at": DAY + timedelta(days=2), "code_version": "abc123",
            "config": {"lr": "auto", "flag": "True", "empty": ""},
        },
    ]  # fmt: skip
    runs = [
        make(project, ben if number == 2 else ada, number, **row)
        for number, row in enumerate(rows, 1)
    ]
    measure(runs[0], "loss", 0.3, 0.1)
    measure(runs[0], "a/b", 2.0, 1.0)
    measure(runs[1], "loss", None, 0.2)
    measure(runs[1], "loss.min", 9.0)
    return runs


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ('run.lr < 1e-3 and "jazz" in run.tags and metrics["loss"].last < 0.4', {1}),
        ('config["model.lr"] == 0.1 or not run.failed', {1, 3}),
        ('run.state in ("failed","cancelled")', {2}),
        ("run.state not in [failed, running]", {1}),
        ('run.owner == "ada"', {1, 3}),
        ('run.owner != "ada"', {2}),
        ('"drum" in run.name', {1, 3}),
        ('"Drum" in run.name', set()),
        ("drum not in name", {2}),
        ('run.created > "2026-11-01"', {2, 3}),
        ("run.created >= 2026-11-01 and run.created < 2026-11-03", {1, 2}),
        ("2026-11-02 <= queued", {2, 3}),
        ('queued == "2026-11-02"', {2}),
        ("queued != 2026-11-02", {1, 3}),
        ('queued > "2026-11-01 12:00"', {2, 3}),
        ("queued < now-1d", {1, 2, 3}),
        ("duration > 3600", {1}),
        ("duration > 2h", {1}),
        ("10s < run.duration <= 5m", {2}),
        ("0.0001 < run.lr <= 1", {1, 2}),
        ("0.0001 < run.lr < 1", {1}),
        ("metrics.loss.min == 0.1", {1}),
        # One run has a metric of that very name.
        ("metrics.loss.min > 1", {2}),
        ('metrics["loss"].min > 0.1', {2}),
        ('metrics["loss.min"] > 0', {2}),
        ('metrics["a/b"].max >= 2', {1}),
        ("metrics['a/b'].min < 2", {1}),
        ('metrics["loss"].last == nan', {2}),
        ('metrics["loss"].last != nan', {1}),
        ('metrics["loss"] is None', {3}),
        ("metrics.loss is not None and metrics.loss.count == 3", {1, 2}),
        ("metric.loss in (0.3, nan)", {1, 2}),
        ("run.lr is None", set()),
        ("run.gone is None", {1, 2, 3}),
        ("run.gone == None", {2}),
        ("config.gone=null", {2}),
        ("config.opt is not None", {1, 2}),
        ("run.started is None", {3}),
        ("run.started == None or run.ended != null", {1, 2, 3}),
        ("run.recipe is None", set()),
        ('run.name.startswith("drum")', {1}),
        ('not run.name.endswith("take")', {1, 3}),
        ('run.opt.startswith("a")', {1}),
        ('run.opt.contains("d")', {1, 2}),
        ('run.name matches "*drum*"', {1, 3}),
        ('run.name matches "drum*v2"', {1}),
        ('run.name matches "100%*"', {3}),
        ("run.name matches bass*", {2}),
        ("run.name not matches *drum*", {2}),
        ("run.flag == True", {1}),
        ("run.flag == true", {1}),
        ("run.flag == 1", {2}),
        ('run.flag == "True"', {3}),
        ("run.flag is True", {1}),
        ("run.flag", {1, 2, 3}),
        ("run.empty", set()),
        ("not run.empty", {1, 2, 3}),
        ("run.gone", set()),
        ("run.layers", {1}),
        ("run.tags", {1, 2}),
        ("run.tags is None", {3}),
        ("2 in run.layers", set()),
        ("1 in run.layers", {1}),
        ('"two" in run.layers', {1}),
        ('"ad" in run.opt', {1}),
        ('"jazz" in run.tags', {1}),
        ('"keep" in run.tags', set()),
        ("tag:keep", {1}),
        ("run.tags != jazz", {2, 3}),
        ('"jazz" not in run.tags', {2, 3}),
        # To the last digit.
        (f"run.big == {2**60}", {2}),
        (f"run.big > {2**60}", {1}),
        # A fact of the run comes before a setting of that name.
        ("config.state == solid", {1}),
        ('run["state"] == "solid"', {1}),
        ("run.state == finished", {1}),
        ("run.running", {3}),
        ("run.open", {3}),
        ("run.finished or run.failed", {1, 2}),
        ("run.failed == False and run.running is not True", {1}),
        ("run in (1, 3)", {1, 3}),
        ("run.number >= 2", {2, 3}),
        ("run == 2", {2}),
        ("run.resources.gpus == 2", {1}),
        ("resources.gpus >= 1", {1}),
        ("run.code == abc123", {3}),
        ("config.model.lr in (0.1, 0.2)", {1, 2}),
        ('config["model"]["lr"] > 0.15', {2}),
        ("run.lr != 1", {1, 3}),
        ("not run.lr == 1", {1, 3}),
        ("run.missing != 1", set()),
        ("not run.missing == 1", {1, 2, 3}),
        ("not (run.missing < 1 and run.lr < 1)", {1, 2, 3}),
        ("not run.lr < 1", {2, 3}),
        # Both forms, one beside the other.
        ("state:failed or metric.loss<0.5", {1, 2}),
        ("drum -state:running", {1}),
        ("(bass or machine) and not state:failed", {1}),
        ("drum or state:failed owner:ben", {1, 2, 3}),
        ('"first" or "bass take"', {2}),
        ("not -drum", {1, 3}),
        ("-(drum or bass)", set()),
        ('name:"drum\'s"', {3}),
        ("name:drum's", {3}),
        ("drum's", {3}),
        ("'100% drum''s'", {3}),
        (r'name:"\ ü"', {3}),
        ("name:Ü", {3}),
        ("progress < 50%", {1, 2, 3}),
    ],
)
def test_a_query_in_the_manner_of_python_finds_what_it_says(
    project: Project, cast: list[Run], text: str, numbers: set[int]
) -> None:
    assert {run.number for run in query.apply(Run.objects.filter(project=project), text)} == numbers


@pytest.mark.parametrize(
    ("text", "words", "place", "suggestion"),
    [
        ("drum and stat == failed", "Did you mean “state”", "stat", "state"),
        ("run.state == broke", "not a state", "broke", ""),
        ("state:failed,cancelledd", "Did you mean “cancelled”", "cancelledd", "cancelled"),
        ('a and metrics["loss"].least < 3', "no “least”", 'metrics["loss"].least', "last"),
        ("run.lr < abc", "compared with a number", "abc", ""),
        ("run.lr <", "Nothing stands after", "run.lr <", ""),
        ("(run.lr < 1", "never closed", "(", ""),
        ("run.lr < 1)", "never opened", ")", ""),
        ("run.lr < 1 and", "missing at the end", "d", ""),
        ("run.a < run.b", "is a field, too", "run.b", ""),
        ("1 < 2", "Runs have no “2”", "2", ""),
        ('"a" == "b"', "needs a field", '"a" == ', ""),
        ("run.state in (failed", "a comma or", "(failed", ""),
        ("run.state in (failed,,)", "values between commas", "(failed,", ""),
        ("run.lr.upper(1) == 3", "a call; known are", "run.lr.upper", ""),
        ("run.name < 3", "compared with a text", "run.name < 3", ""),
        ("queued > soon", "not a day", "soon", ""),
        ("queued > now-3y", "not a day", "now-3y", ""),
        ("duration > soon", "a number of seconds", "soon", ""),
        ("run.name is 3", "None by is", "run.name is 3", ""),
        ("config[lr] == 3", "a name in quotes", "[", ""),
        ('config["lr" == 3', "never closed", '["lr" ', ""),
        ("metrics.loss.startswith(3)", "compared with a number", "metrics.loss.startswith(3)", ""),
        ("run.state.startswith(f)", "compared with", "run.state.startswith(f)", ""),
        ("run.failed == 3", "config.failed is a setting", "run.failed == 3", ""),
        ("__import__('os').system('x')", "a call; known are", "__import__", ""),
        ("((((((((((((((((((((((a))))))))))))))))))))))", "go into each other", "(", ""),
        ("drum and 'open", "never closed", "'open", ""),
    ],
)  # fmt: skip
def test_an_error_says_where_and_what_instead(
    project: Project, text: str, words: str, place: str, suggestion: str
) -> None:
    with pytest.raises(query.BadQuery, match=words) as refusal:
        list(query.apply(Run.objects.filter(project=project), text))
    error = refusal.value
    assert text[error.position : error.position + error.length] == place
    assert error.suggestion == suggestion


HOSTILE = [
    "'; DROP TABLE experiments_run; --",
    '"; DROP TABLE experiments_run; --',
    "%s %d %(x)s %%",
    "config.x' OR '1'='1",
    'config["x\' OR 1=1 --"] == 1',
    'config["a\\"] == "b\\"',
    'metrics["x\'); DELETE FROM experiments_run; --"].last < 1',
    'run.name == "\' UNION SELECT password FROM portal_user --"',
    'run.name matches "%_\\\\*"',
    '"{}" in run.tags and "[" in run.x and "\\u0000" in run.x',
    'config["$.x[0]"] == 1 and config["a}b{c"] == 1 and config["a,b"] in ("{", "}")',
    "run.x == 99999999999999999999999999 or run.x < -1e308 or run.x > 1e999",
    "number == 99999999999999999999999999 or run.number > 1e300",
    "metric.x.count < 1e300 and metric.x.last_step == 1.5",
    "queued > 9999-12-31 or queued > 0001-01-01 or queued>2026-02-30",
    'queued > "2026-11-01T10:00+23:59"',
    "duration > 1e308 and cost > 1e308 and progress > 1e308",
    "name:\u202e\ufeff\u0130İ or tag:\u0130 or owner:\ud83d\ude00",
    "run.\u0301x == 1",
    "run.1.2.3 == 1 and config.0 == 1",
    "lambda x: x",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_lines_find_nothing_or_say_why(
    project: Project, cast: list[Run], text: str
) -> None:
    found, error = [], None
    try:
        found = list(query.apply(Run.objects.filter(project=project), text))
    except query.BadQuery as refusal:
        error = refusal
    assert len(found) <= 3
    if error:
        assert 0 <= error.position <= len(text)
        assert len(str(error)) < 400
    assert Run.objects.filter(project=project).count() == 3


def test_the_settings_of_hostile_names_are_found(project: Project, ada: User) -> None:
    names = ["a b", "a'b", "größe", "$", "a,b", "{}", "%s", "0", "[0]", "\\"]
    make(project, ada, 1, config={name: number for number, name in enumerate(names)})
    for number, name in enumerate(names):
        text = f'config["{name}"] == {number}'
        assert query.apply(Run.objects.filter(project=project), text).count() == 1, name
