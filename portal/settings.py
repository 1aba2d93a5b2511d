"""Every setting of Backline, read from environment variables and nowhere else.

A value that makes no sense stops the start with the name of its variable. A secret may also be
given as a file, by NAME_FILE. docs/settings.md lists them all, which a test checks.
"""

import os
import pwd
import re
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Literal, cast
from urllib.parse import unquote, urlparse

import plotly
from django.core.exceptions import ImproperlyConfigured

from portal.machine import private

BASE_DIR = Path(__file__).resolve().parent.parent
# The text in k8s/overlays where a site's own value belongs.
PLACEHOLDER = "FILL-ME-IN"


def env(name: str, default: str) -> str:
    """Return the variable's text, or that of the file which NAME_FILE points to."""
    path = os.environ.get(f"{name}_FILE")
    text = os.environ.get(name, default)
    if path:
        try:
            text = Path(path).read_text(encoding="utf-8").strip()
        except OSError as error:
            raise ImproperlyConfigured(f"{name}_FILE: cannot read {path}: {error}") from error
    if PLACEHOLDER in text:
        raise ImproperlyConfigured(f"{name} still holds {PLACEHOLDER}: give it a value of yours.")
    return text


def env_bool(name: str, default: bool) -> bool:
    text = env(name, str(default)).lower()
    if text not in {"true", "false", "1", "0"}:
        raise ImproperlyConfigured(f"{name} must be true or false, not {text!r}.")
    return text in {"true", "1"}


def env_int(name: str, default: int, minimum: int = 0) -> int:
    text = env(name, str(default))
    if not text.isdecimal() or int(text) < minimum:
        raise ImproperlyConfigured(
            f"{name} must be a whole number of at least {minimum}, not {text!r}."
        )
    return int(text)


def env_price(name: str, default: str) -> Decimal:
    return price(name, env(name, default))


def env_prices(name: str, default: str) -> dict[str, Decimal]:
    """Return a price list, read from NAME=PRICE with commas between."""
    prices = {}
    for item in filter(None, (part.strip() for part in env(name, default).split(","))):
        resource, equals, text = (part.strip() for part in item.partition("="))
        if not resource or not equals or len(resource) > 63:
            raise ImproperlyConfigured(
                f"{name} must be a list like NVIDIA-H100-80GB-HBM3=2.50,any=2.00, not {item!r}."
            )
        prices[resource] = price(name, text)
    return prices


def price(name: str, text: str) -> Decimal:
    if not re.fullmatch(r"[0-9]{1,6}(\.[0-9]{1,4})?", text):
        raise ImproperlyConfigured(f"{name} must hold prices like 2.50, not {text!r}.")
    return Decimal(text)


def env_choice(name: str, default: str, choices: tuple[str, ...]) -> str:
    text = env(name, default)
    if text not in choices:
        raise ImproperlyConfigured(f"{name} must be one of {', '.join(choices)}, not {text!r}.")
    return text


def env_user(name: str) -> str:
    """Return the user of this machine to start processes as; only root may do so."""
    text = env(name, "")
    if text and os.geteuid() != 0:
        raise ImproperlyConfigured(
            f"{name} needs a portal that is root: nobody else may become it."
        )
    try:
        if text and pwd.getpwnam(text).pw_uid == 0:
            raise ImproperlyConfigured(f"{name} must be another user than root.")
    except KeyError:
        raise ImproperlyConfigured(f"{name}: there is no user {text!r} here.") from None
    return text


def env_lent(name: str, private_paths: Sequence[Path]) -> list[Path]:
    """Return the colon-separated folders; none may hold, or lie in, the portal's secrets."""
    folders = []
    secrets = [Path(text) for key, text in os.environ.items() if key.endswith("_FILE") and text]
    for text in filter(None, env(name, "").split(":")):
        folder = Path(text)
        if not folder.is_absolute() or not folder.is_dir():
            raise ImproperlyConfigured(f"{name} must be folders that exist, not {text!r}.")
        resolved = folder.resolve()
        for other in (*private_paths, *secrets):
            if other.resolve().is_relative_to(resolved) or resolved.is_relative_to(other.resolve()):
                raise ImproperlyConfigured(f"{name}: {text} would show programs {other}.")
        folders.append(folder)
    return folders


def private_folders() -> list[Path]:
    """Return the folders of the portal's own data: state, blobs, certificates, SQLite's files."""
    parts = urlparse(env("DATABASE_URL", ""))
    folders = [STATE_DIR, STORAGE_DIR, *([CREDENTIALS_DIR] if CREDENTIALS_DIR else [])]
    if parts.scheme == "sqlite":
        folders.append((BASE_DIR / parts.path).parent)
    return [folder.resolve() for folder in folders]


def database(url: str, connections: int) -> dict[str, object]:
    """Django's database dictionary for sqlite:///path or postgres://user:password@host:port/name."""
    parts = urlparse(url)
    if parts.scheme == "sqlite":
        return {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": parts.path if parts.path.startswith("/") else str(BASE_DIR / parts.path),
            "OPTIONS": {
                # IMMEDIATE: a transaction that will write takes its lock at the start, so two
                # writers wait for each other instead of failing half-way with "database is locked".
                "transaction_mode": "IMMEDIATE",
                "timeout": 30,
                "init_command": (
                    "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;"
                    "PRAGMA foreign_keys=ON; PRAGMA cache_size=-64000; PRAGMA temp_store=MEMORY;"
                ),
            },
        }
    if parts.scheme in {"postgres", "postgresql"}:
        return {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": unquote(parts.path.lstrip("/")),
            "USER": unquote(parts.username or ""),
            "PASSWORD": unquote(parts.password or ""),
            "HOST": parts.hostname or "",
            "PORT": str(parts.port or ""),
            # A new connection for each request would be left open by the thread that served it;
            # a pool takes it back, and a burst waits instead of being refused.
            "CONN_MAX_AGE": 0,
            # A connection that a restart of the server has cut is noticed before it is used. The
            # pool tries the next after a growing pause, so it keeps few idle ones.
            "CONN_HEALTH_CHECKS": True,
            "OPTIONS": {
                # Values are sent beside the statement, which the server then parses and plans once
                # per connection: that took a third of the time of a stored decision.
                "server_side_binding": True,
                "prepare_threshold": 5,
                "pool": {
                    "min_size": 1,
                    "max_size": connections,
                    "timeout": 10,
                    "max_idle": 5,
                    # While the server is away the pool's pauses double. It gives up soon, so
                    # that the next request tries at once, and finds a server that is back.
                    "reconnect_timeout": 1,
                },
            },
        }
    raise ImproperlyConfigured(
        f"DATABASE_URL must begin with sqlite:// or postgres://, not {parts.scheme!r}."
    )


def mail_server(url: str) -> tuple[str, int, str, str, bool, bool]:
    """Return host, port, user, password, whether it speaks TLS at once, and whether by STARTTLS."""
    if not url:
        return "localhost", 25, "", "", False, False
    try:
        parts = urlparse(url)
        port = parts.port
    except ValueError:
        parts, port = urlparse(""), None
    if parts.scheme not in {"smtp", "smtps"} or not parts.hostname:
        # The address itself is not shown: it has a password in it.
        raise ImproperlyConfigured("EMAIL_URL must be smtp://user:password@host:587 or smtps://.")
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    at_once = parts.scheme == "smtps"
    # A password goes over no connection that others can read.
    return (
        parts.hostname,
        port or (465 if at_once else 25),
        user,
        password,
        at_once,
        bool(user and not at_once),
    )


def bucket_url(url: str) -> str:
    """Return s3://bucket or s3://bucket/prefix unchanged; empty if blobs are files."""
    parts = urlparse(url)
    if url and (parts.scheme != "s3" or not parts.netloc):
        raise ImproperlyConfigured(f"STORAGE_URL must be s3://bucket/prefix, not {url!r}.")
    return url


DEBUG = env_bool("DEBUG", False)
# Images carry no git history: their build sets the version (Dockerfile).
CODE_VERSION = env("CODE_VERSION", "")
STATE_DIR = Path(env("STATE_DIR", str(BASE_DIR / "var"))).resolve()
try:
    private.close_folder(STATE_DIR)
except private.Shared as error:
    raise ImproperlyConfigured(str(error)) from None


def made_once(name: str) -> str:
    """Return a secret that is not set: made at the first start, stored beside the database."""
    path = STATE_DIR / name
    if not path.exists():
        # Written under another name and then linked: processes that start at the same
        # moment find either nothing or the whole secret, and all of them find the same one.
        new = path.with_name(f"{name}.{os.getpid()}.new")
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(os.urandom(32).hex())
        try:
            path.hardlink_to(new)
        except FileExistsError:
            pass
        finally:
            new.unlink()
    return path.read_text(encoding="utf-8")


def key_bytes(name: str, text: str) -> str:
    """Return 32 bytes as hexadecimal digits, checked: an Ed25519 key, private or public."""
    if not re.fullmatch(r"[0-9a-f]{64}", text):
        # The text itself is not shown: it may be a private key with a typo.
        raise ImproperlyConfigured(f"{name} must be 64 hexadecimal digits (openssl rand -hex 32).")
    return text


SECRET_KEY = env("SECRET_KEY", "") or made_once("secret_key")
# The key that signs the roots of the audit log, and the public keys of the earlier ones.
AUDIT_KEY = key_bytes("AUDIT_KEY", env("AUDIT_KEY", "") or made_once("audit_key"))
AUDIT_OLD_KEYS = [
    key_bytes("AUDIT_OLD_KEYS", text.strip())
    for text in env("AUDIT_OLD_KEYS", "").split(",")
    if text.strip()
]
# The certificates that files are signed with (audio_samples/credentials/chain.py).
CREDENTIALS_DIR = Path(env("CREDENTIALS_DIR", "")) if env("CREDENTIALS_DIR", "") else None
# Where the journal of endings is, a second record of them (portal/endings/places.py).
ENDINGS_DIR = Path(env("ENDINGS_DIR", "")).resolve() if env("ENDINGS_DIR", "") else None
# A root is signed when there are lines without one for this long, or this many of them.
AUDIT_ROOT_MINUTES = env_int("AUDIT_ROOT_MINUTES", 60, 1)
AUDIT_ROOT_LINES = env_int("AUDIT_ROOT_LINES", 1000, 1)
PORT = env_int("PORT", 8000, 1)
# The address at which browsers reach the portal, and the one at which runs do.
PORTAL_URL = env("PORTAL_URL", f"http://127.0.0.1:{PORT}").rstrip("/")
# The lab's identifier at music services: the sender of DDEX messages.
LAB_DPID = env("LAB_DPID", "").replace("-", "").upper()
if LAB_DPID and not re.fullmatch(r"PADPIDA[0-9A-Z]{11}", LAB_DPID):
    raise ImproperlyConfigured("LAB_DPID must be a DPID, such as PA-DPIDA-2013020802-I.")
RUN_PORTAL_URL = env("RUN_PORTAL_URL", "").rstrip("/") or PORTAL_URL
ALLOWED_HOSTS = [h for h in env("ALLOWED_HOSTS", "127.0.0.1,localhost,[::1]").split(",") if h]
CSRF_TRUSTED_ORIGINS = [PORTAL_URL]

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.socialaccount",
    "allauth.socialaccount.providers.openid_connect",
    "django_htmx",
    "template_partials",
    # For the files of the API's page, which would come from elsewhere without it.
    "ninja",
    "portal",
    "rights",
    "experiments",
    "audio_samples",
    "listening",
    "workers",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "portal.http.middleware.ReadableRequests",
    "portal.accounts.sessions.Sessions",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "portal.accounts.login_redirect.KeepWhatWasTyped",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "portal.http.middleware.content_security_policy",
    "portal.http.middleware.unwritable",
]

ROOT_URLCONF = "portal.urls"
ASGI_APPLICATION = "portal.asgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            # Counts are written with commas everywhere.
            "builtins": ["django.contrib.humanize.templatetags.humanize"],
            "libraries": {"run_cells": "experiments.run_table.cells"},
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "portal.http.context_processors.shell",
            ],
        },
    }
]

DATABASES = {
    "default": database(
        env("DATABASE_URL", f"sqlite:///{STATE_DIR / 'backline.sqlite3'}"),
        env_int("DATABASE_CONNECTIONS", 16, 1),
    )
}
# Long work inside a transaction is an error in tests, and a line in the log elsewhere
# (portal/database/long_work.py).
STRICT_TRANSACTIONS = False
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
AUTH_USER_MODEL = "portal.User"
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": 10},
    },
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "/"
ACCOUNT_LOGIN_METHODS = {"username", "email"}
ACCOUNT_SIGNUP_FIELDS = ["username*", "email", "password1*", "password2*"]
ACCOUNT_ADAPTER = "portal.accounts.login.Accounts"
ACCOUNT_FORMS = {
    "login": "portal.accounts.login.LogIn",
    "reauthenticate": "portal.accounts.login.PasswordAgain",
    "change_password": "portal.accounts.login.NewPassword",
    "reset_password": "portal.accounts.login.ForgottenPassword",
}
MFA_FORMS = {
    "authenticate": "portal.accounts.login.SecondFactorForm",
    "reauthenticate": "portal.accounts.login.SecondFactorAgainForm",
}
# Tries are counted by portal/accounts/throttle.py. allauth's counts would let anybody lock an
# account, or everybody behind one address, and they are in the memory of one process.
ACCOUNT_RATE_LIMITS = {
    "login": None,
    "login_failed": None,
    "reset_password": None,
    "change_password": None,
    "reauthenticate": None,
}
# A reset mail proves whose account it is, so it logs in, also while its password is guessed.
ACCOUNT_LOGIN_ON_PASSWORD_RESET = True
ACCOUNT_EMAIL_VERIFICATION = "none"
# Where mail is sent: smtp://user:password@host:587 (STARTTLS), smtps://...:465, or smtp://host:25.
# Without it, mails for a new password are printed to the log, and notices are not mailed.
EMAIL_URL = env("EMAIL_URL", "")
DEFAULT_FROM_EMAIL = SERVER_EMAIL = env("EMAIL_FROM", "") or "backline@localhost"
if any(character in DEFAULT_FROM_EMAIL for character in "\r\n") or "@" not in DEFAULT_FROM_EMAIL:
    raise ImproperlyConfigured("EMAIL_FROM must be an address, such as backline@lab.example.")
EMAIL_BACKEND = f"django.core.mail.backends.{'smtp' if EMAIL_URL else 'console'}.EmailBackend"
EMAIL_TIMEOUT = 15
(
    EMAIL_HOST,
    EMAIL_PORT,
    EMAIL_HOST_USER,
    EMAIL_HOST_PASSWORD,
    EMAIL_USE_SSL,
    EMAIL_USE_TLS,
) = mail_server(EMAIL_URL)
# Hosts that webhooks may reach although they are private, and by http too.
WEBHOOK_HOSTS = {
    name for text in env("WEBHOOK_HOSTS", "").split(",") if (name := text.strip().lower())
}

LANGUAGE_CODE = "en-gb"
TIME_ZONE = "UTC"
USE_TZ = True

STATIC_URL = "/static/"
# An image carries its static files collected and compressed (Dockerfile); elsewhere they are
# served from their source folders.
COLLECTED = env("STATIC_DIR", "")
STATIC_ROOT = Path(COLLECTED) if COLLECTED else STATE_DIR / "static"
# whitenoise warns of a missing folder.
if not STATIC_ROOT.exists():
    STATIC_ROOT.mkdir()
    # Not secret, and in an image read by another user than the one who collects them.
    STATIC_ROOT.chmod(0o755)
FILE_UPLOAD_DIRECTORY_PERMISSIONS = 0o755 if COLLECTED else 0o700
FILE_UPLOAD_PERMISSIONS = 0o644 if COLLECTED else 0o600
# Plotly's wheel brings the script that draws the charts; it is served as vendor/plotly.min.js.
STATICFILES_DIRS = [
    BASE_DIR / "static",
    ("vendor", Path(plotly.__file__).parent / "package_data"),
]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
WHITENOISE_USE_FINDERS = not COLLECTED
WHITENOISE_AUTOREFRESH = DEBUG

# Blobs, named by the SHA-256 of their content (portal/storage): files, or objects of a bucket.
STORAGE_DIR = Path(env("STORAGE_DIR", str(STATE_DIR / "blobs")))
STORAGE_URL = bucket_url(env("STORAGE_URL", ""))
STORAGE_ENDPOINT = env("STORAGE_ENDPOINT", "")
STORAGE_REGION = env("STORAGE_REGION", "")
STORAGE_ACCESS_KEY = env("STORAGE_ACCESS_KEY", "")
STORAGE_SECRET_KEY = env("STORAGE_SECRET_KEY", "")
if bool(STORAGE_ACCESS_KEY) != bool(STORAGE_SECRET_KEY):
    raise ImproperlyConfigured("STORAGE_ACCESS_KEY and STORAGE_SECRET_KEY are given together.")
# Operators are warned when a disk with data of the portal is this full.
DISK_WARN_PERCENT = env_int("DISK_WARN_PERCENT", 90, 1)
UPLOAD_MAX_BYTES = env_int("UPLOAD_MAX_BYTES", 512 * 1024 * 1024, 1)
# All files of one batch, unpacked (rights/catalogue/file_batches).
FILE_BATCH_MAX_BYTES = env_int("FILE_BATCH_MAX_BYTES", 4 * 1024 * 1024 * 1024, 1)
# Pictures, tables and figures that programs log (experiments/media/limits.py).
MEDIA_RUN_ITEMS = env_int("MEDIA_RUN_ITEMS", 20_000, 0)
MEDIA_RUN_BYTES = env_int("MEDIA_RUN_BYTES", 1024 * 1024 * 1024, 0)
MEDIA_PROJECT_BYTES = env_int("MEDIA_PROJECT_BYTES", 50 * 1024 * 1024 * 1024, 0)
DATA_UPLOAD_MAX_MEMORY_SIZE = 16 * 1024 * 1024
# Each of them is an open file while its request lasts, and a process may have about a thousand.
DATA_UPLOAD_MAX_NUMBER_FILES = 300

REDIS_URL = env("REDIS_URL", f"redis+socket://{STATE_DIR / 'redis.sock'}")
CELERY_BROKER_URL = REDIS_URL
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_TRANSPORT_OPTIONS = {"visibility_timeout": 60}
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
# A file whose age shows a probe whether this worker or clock still works
# (portal/machine/liveness.py).
ALIVE_FILE = env("ALIVE_FILE", "")
RECONCILE_SECONDS = env_int("RECONCILE_SECONDS", 3, 1)
# How often the alert rules of projects are evaluated.
ALERT_SECONDS = env_int("ALERT_SECONDS", 10, 1)
CELERY_BEAT_SCHEDULE = {
    # Does the next step of the demo's second project; elsewhere it asks for one row by its index.
    "demo": {
        "task": "workers.demo",
        "schedule": 5,
        "options": {"expires": 5, "ignore_result": True},
    },
    "reconcile": {
        "task": "workers.reconcile",
        "schedule": RECONCILE_SECONDS,
        # A pass that no worker took in time is not caught up on: the next one covers everything.
        "options": {"expires": RECONCILE_SECONDS, "ignore_result": True},
    },
    # It checks often and signs seldom: when AUDIT_ROOT_MINUTES or AUDIT_ROOT_LINES require it.
    "sign_audit_root": {
        "task": "portal.sign_audit_root",
        "schedule": 60,
        "options": {"expires": 60, "ignore_result": True},
    },
    # Continues imports whose worker died; other imports wake the task themselves.
    "imports": {
        "task": "rights.imports",
        "schedule": 10,
        "options": {"expires": 10, "ignore_result": True},
    },
    # Continues batches of files whose worker died, and discards old ones.
    "file_batches": {
        "task": "rights.file_batches",
        "schedule": 10,
        "options": {"expires": 10, "ignore_result": True},
    },
    # Compares recordings that are older than the comparison of sounds; else it finds nothing.
    "compare_sounds": {
        "task": "rights.compare_sounds",
        "schedule": 60,
        "options": {"expires": 60, "ignore_result": True},
    },
    # The alert rules of projects; a pass that finds nothing new writes nothing.
    "watch_runs": {
        "task": "experiments.watch_runs",
        "schedule": ALERT_SECONDS,
        "options": {"expires": ALERT_SECONDS, "ignore_result": True},
    },
    # Mails and webhooks that are due; what waits for nothing wakes the task itself.
    "send_notices": {
        "task": "experiments.send_notices",
        "schedule": 10,
        "options": {"expires": 10, "ignore_result": True},
    },
    # Files of reports, which wake the task when they are asked for, and old ones to be removed.
    "make_report_files": {
        "task": "experiments.make_report_files",
        "schedule": 20,
        "options": {"expires": 20, "ignore_result": True},
    },
    # The copy check of new samples; with more than fits into one pass it wakes itself.
    "screen": {
        "task": "audio_samples.screen",
        "schedule": 10,
        "options": {"expires": 10, "ignore_result": True},
    },
}

CLUSTER = cast(
    'Literal["local", "kubernetes", "recording"]',
    env_choice("CLUSTER", "local", ("local", "kubernetes", "recording")),
)
# How many runs the local cluster runs side by side, and where their folders are.
LOCAL_SLOTS = env_int("LOCAL_SLOTS", 1, 1)
LOCAL_JOBS_DIR = STATE_DIR / "jobs"
# Whether the demo world gets its second project, whose runs start by themselves
# (workers/demo/night_shift.py).
DEMO_RUNS = env_bool("DEMO_RUNS", True)
# How researchers' own programs run on this machine (portal/machine/separation.py): refused, in a
# sandbox or as another user, or trusted with everything that the portal stores.
LOCAL_PROGRAMS = env_choice("LOCAL_PROGRAMS", "off", ("off", "sandboxed", "trusted"))
LOCAL_PROGRAMS_USER = env_user("LOCAL_PROGRAMS_USER")
LOCAL_PROGRAMS_DIR = Path(env("LOCAL_PROGRAMS_DIR", "/var/lib/backline-programs"))
# The portal's own folders, which no program sees, and the folders that it may read.
PRIVATE_FOLDERS = private_folders()
LOCAL_PROGRAMS_FOLDERS = env_lent("LOCAL_PROGRAMS_FOLDERS", PRIVATE_FOLDERS)
# How many days an ended local job's files are stored (workers/job_cleanup.py); 0 is for ever.
ENDED_JOBS_DAYS = env_int("ENDED_JOBS_DAYS", 30)
# Access to the Kubernetes cluster: KUBE_CONFIG, else as its pod, else ~/.kube/config.
KUBE_CONFIG = env("KUBE_CONFIG", "")
KUBE_CONTEXT = env("KUBE_CONTEXT", "")
KUBE_NAMESPACE = env("KUBE_NAMESPACE", "backline-runs")
KUBE_PRIORITY_CLASS = env("KUBE_PRIORITY_CLASS", "")
KUBE_QUEUE = env("KUBE_QUEUE", "")
RUN_IMAGE = env("RUN_IMAGE", "")
if CLUSTER == "kubernetes" and not RUN_IMAGE:
    raise ImproperlyConfigured("RUN_IMAGE must name the image of runs where CLUSTER=kubernetes.")
STOP_GRACE_SECONDS = env_int("STOP_GRACE_SECONDS", 10, 0)
# A running attempt that the cluster no longer knows and that has been silent this long is lost.
LOST_AFTER_SECONDS = env_int("LOST_AFTER_SECONDS", 20, 1)

# What an hour costs: of a GPU by its type ("any" for a type that is not in the list), of a core.
GPU_PRICES = env_prices("GPU_PRICES", "")
CPU_PRICE = env_price("CPU_PRICE", "0")
CURRENCY = env("CURRENCY", "EUR")
# Policies that save cluster costs (experiments/policies.py); 0 is off.
IDLE_PERCENT = env_int("IDLE_PERCENT", 5)
IDLE_WARN_MINUTES = env_int("IDLE_WARN_MINUTES", 0)
IDLE_STOP_MINUTES = env_int("IDLE_STOP_MINUTES", 0)
if IDLE_STOP_MINUTES and not 0 < IDLE_WARN_MINUTES < IDLE_STOP_MINUTES:
    raise ImproperlyConfigured(
        "IDLE_STOP_MINUTES stops nothing without a warning: set IDLE_WARN_MINUTES, and below it."
    )
CHECKPOINTS_KEPT = env_int("CHECKPOINTS_KEPT", 0)

SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = PORTAL_URL.startswith("https://")
SECURE_CONTENT_TYPE_NOSNIFF = True
X_FRAME_OPTIONS = "DENY"

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {
        "handlers": ["console"],
        "level": env_choice("LOG_LEVEL", "INFO", ("DEBUG", "INFO", "WARNING", "ERROR")),
    },
}
