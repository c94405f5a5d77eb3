"""One base for every process. An empty environment gives the embedded default: SQLite, a file broker, everything in var/."""

import os
import secrets
import socket
from datetime import timedelta
from pathlib import Path

import environ
from cryptography.fernet import Fernet
from csp.constants import NONE, SELF
from django.utils.translation import gettext_lazy as _

from config.addresses import broker_transport_options, database, networks, origin, tracking_server

BASE_DIR = Path(__file__).resolve().parent.parent
env = environ.Env()

VAR = Path(env.str("PLUMBLINE_VAR", default=str(BASE_DIR / "var"))).resolve()
VAR.mkdir(parents=True, exist_ok=True)


def kept_secret(name: str, fresh: str) -> str:
    """A secret made once and kept in var/ for its owner alone. Production gives its own by environment."""
    path = VAR / name
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_text().strip()
    with os.fdopen(descriptor, "w") as stream:
        stream.write(fresh)
    return fresh


DEBUG = env.bool("PLUMBLINE_DEBUG", default=False)
SECRET_KEY = env.str("PLUMBLINE_SECRET_KEY", default="") or kept_secret("secret_key", secrets.token_urlsafe(50))
PLUMBLINE_FIELD_KEYS = env.list("PLUMBLINE_FIELD_KEYS", default=[]) or [
    kept_secret("field_key", Fernet.generate_key().decode())
]
ALLOWED_HOSTS = env.list("PLUMBLINE_HOSTS", default=["127.0.0.1", "localhost", "[::1]"])
CSRF_TRUSTED_ORIGINS = env.list("PLUMBLINE_ORIGINS", default=[])

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django_htmx",
    "csp",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "ground",
    "accounts",
    "jobs",
    "models_registry",
    "annotation",
    "feedback",
    "training",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "accounts.middleware.PersonMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "ground.middleware.DomainErrorMiddleware",
]

ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "django.template.context_processors.i18n",
            ],
            "builtins": ["django.templatetags.i18n", "django.templatetags.static"],
        },
    }
]

DATABASES = {"default": database(env.str("DATABASE_URL", default=f"sqlite:///{VAR / 'plumbline.sqlite3'}"))}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

AUTH_USER_MODEL = "accounts.User"
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "sign-in"
LOGIN_REDIRECT_URL = "home"
LOGOUT_REDIRECT_URL = "sign-in"

LANGUAGE_CODE = "en"
LANGUAGES = [
    ("en", _("English")),
    ("de", _("German")),
    ("fr", _("French")),
    ("es", _("Spanish")),
    ("ar", _("Arabic")),
    ("zh-hans", _("Simplified Chinese")),
]
LOCALE_PATHS = [BASE_DIR / "locale"]
USE_I18N = True
USE_TZ = True
TIME_ZONE = "UTC"

STATIC_URL = "static/"
STATIC_ROOT = VAR / "static"
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "ground.static.ModuleStorage"},
}
# Collected as one file each with all they import. A page loads one bundle, and kinds of questions, which share nothing with it.
BUNDLED_MODULES = ("js/bench.mjs", "js/questions/*.mjs")
# Assets are found where they lie until somebody runs collectstatic.
WHITENOISE_USE_FINDERS = not (STATIC_ROOT / "staticfiles.json").exists()

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF],
        "media-src": [SELF],
        "font-src": [SELF],
        "connect-src": [SELF],
        "base-uri": [NONE],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
    }
}
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = env.bool("PLUMBLINE_HTTPS", default=False)
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if SESSION_COOKIE_SECURE else None
DATA_UPLOAD_MAX_MEMORY_SIZE = 64 * 1024 * 1024

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "accounts.authentication.BearerAuthentication",
        "accounts.authentication.BrowserAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["ground.api.JSONAnswer"],
    "DEFAULT_PARSER_CLASSES": ["ground.api.JSONBody"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "DEFAULT_PAGINATION_CLASS": "ground.api.Cursor",
    "EXCEPTION_HANDLER": "ground.api.problem",
    "UNAUTHENTICATED_USER": None,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Plumbline",
    "DESCRIPTION": "Tasks, judgements, snapshots, runs, models and feedback: everything the pages do, by HTTP.",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "SCHEMA_PATH_PREFIX": r"/(api/)?v1",
    "COMPONENT_SPLIT_REQUEST": True,
    "ENUM_NAME_OVERRIDES": {
        "PlaceEnum": ["first", "second"],
        "ReplyStateEnum": ["waiting", "writing", "done", "failed"],
    },
}

BROKER_URL = env.str("BROKER_URL", default="filesystem://")
CELERY_BROKER_URL = BROKER_URL
CELERY_BROKER_TRANSPORT_OPTIONS = broker_transport_options(BROKER_URL, VAR / "broker")
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 4
CELERY_WORKER_HIJACK_ROOT_LOGGER = False

RUNS = VAR / "runs"
ARTIFACTS = VAR / "artifacts"
CORPORA = VAR / "corpora"
SWEEP_LOOK_SECONDS = 2.0
SNAPSHOTS = VAR / "snapshots"
IMPORTS = VAR / "imports"
IMPORT_MOST_BYTES = env.int("PLUMBLINE_IMPORT_MOST_BYTES", default=20 * 1024**3)
UPLOADS = VAR / "uploads"
UPLOAD_MOST_BYTES = {
    "image": env.int("PLUMBLINE_UPLOAD_IMAGE_BYTES", default=20 * 1000**2),
    "audio": env.int("PLUMBLINE_UPLOAD_AUDIO_BYTES", default=200 * 1000**2),
    "video": env.int("PLUMBLINE_UPLOAD_VIDEO_BYTES", default=1000**3),
    "captions": env.int("PLUMBLINE_UPLOAD_CAPTIONS_BYTES", default=1000**2),
}
# How long a deletion of many tasks can be undone.
UNDO_WINDOW = timedelta(days=env.float("PLUMBLINE_UNDO_DAYS", default=30))

JOB_LEASE_SECONDS = env.int("PLUMBLINE_JOB_LEASE_SECONDS", default=20)
JOB_POLL_SECONDS = env.float("PLUMBLINE_JOB_POLL_SECONDS", default=0.5)
JOB_RETRY_SECONDS = env.float("PLUMBLINE_JOB_RETRY_SECONDS", default=2.0)
# Reading every row of a run beforehand may take this long.
PREFLIGHT_SECONDS = env.float("PLUMBLINE_PREFLIGHT_SECONDS", default=1800)
# A run that shows no progress for this long hangs (a stopped rank is noticed by nobody else); one without any line, heartbeats
# included, for that long is dead.
RUN_SILENCE_SECONDS = env.float("PLUMBLINE_RUN_SILENCE_SECONDS", default=600)
# Between two steps ten times the run's own longest step is allowed, and at least this.
RUN_STEP_SILENCE_SECONDS = env.float("PLUMBLINE_RUN_STEP_SILENCE_SECONDS", default=120)
RUN_HEARTBEAT_SECONDS = env.float("PLUMBLINE_RUN_HEARTBEAT_SECONDS", default=300)
# Cancelling: control/stop, then TERM, then KILL.
RUN_STOP_GRACE_SECONDS = env.float("PLUMBLINE_RUN_STOP_GRACE_SECONDS", default=30)
RUN_TERM_GRACE_SECONDS = env.float("PLUMBLINE_RUN_TERM_GRACE_SECONDS", default=10)
MACHINE = env.str("PLUMBLINE_MACHINE", default="") or socket.gethostname()
CPU_DEVICES = env.int("PLUMBLINE_CPU_DEVICES", default=1)
# Assumed of each device while a run holds it, with its share of the machine: for the estimate of energy.
CPU_WATTS = env.float("PLUMBLINE_CPU_WATTS", default=100.0)
GPU_WATTS = env.float("PLUMBLINE_GPU_WATTS", default=500.0)
# Beside the public internet, where webhooks may go.
WEBHOOK_NETWORKS = networks(env.list("PLUMBLINE_WEBHOOK_NETWORKS", default=[]))
# Where runs are told of beside our own pages; the token may be `user:password`.
MLFLOW_URL = tracking_server(env.str("PLUMBLINE_MLFLOW_URL", default=""))
MLFLOW_TOKEN = env.str("PLUMBLINE_MLFLOW_TOKEN", default="")
SLOT_LEASE_SECONDS = env.int("PLUMBLINE_SLOT_LEASE_SECONDS", default=900)
CHEAP_COUNT_SECONDS = 0.1  # what takes longer to count is counted seldom (ground/costly.py)
# How long a slot is kept for somebody whose lease ended over a draft.
SLOT_PARK_SECONDS = env.int("PLUMBLINE_SLOT_PARK_SECONDS", default=24 * 3600)
QUEUE_CACHE_SECONDS = env.float("PLUMBLINE_QUEUE_CACHE_SECONDS", default=2.0)
TICK_SECONDS = env.float("PLUMBLINE_TICK_SECONDS", default=1.0)
GATEWAY_URL = env.str("PLUMBLINE_GATEWAY_URL", default="http://127.0.0.1:8001")
# Where browsers reach the gateway, for live chat; behind a proxy it has another name than for this machine.
GATEWAY_PUBLIC_URL = env.str("PLUMBLINE_GATEWAY_PUBLIC_URL", default="").rstrip("/") or GATEWAY_URL
CONTENT_SECURITY_POLICY["DIRECTIVES"]["connect-src"].append(origin(GATEWAY_PUBLIC_URL))
CHAT_TICKET_SECONDS = env.int("PLUMBLINE_CHAT_TICKET_SECONDS", default=120)
# A gateway that gave no sign of life for this long is dead, and what it wrote is begun anew.
CHAT_STALE_SECONDS = env.float("PLUMBLINE_CHAT_STALE_SECONDS", default=10.0)
GATEWAY_CONCURRENCY = env.int("PLUMBLINE_GATEWAY_CONCURRENCY", default=32)
GATEWAY_PATIENCE = env.float("PLUMBLINE_GATEWAY_PATIENCE", default=10.0)
GATEWAY_TIMEOUT = env.float("PLUMBLINE_GATEWAY_TIMEOUT", default=300.0)
GATEWAY_BODY_BYTES = env.int("PLUMBLINE_GATEWAY_BODY_BYTES", default=2 * 1024 * 1024)
GATEWAY_DEFAULT_TOKENS = 512
GATEWAY_DATABASE_THREADS = 8
SERVE_MOST = env.int("PLUMBLINE_SERVE_MOST", default=3)
SERVE_TRANSFORMERS = env.str("PLUMBLINE_TRANSFORMERS", default="transformers")
SERVE_VLLM = env.str("PLUMBLINE_VLLM", default="vllm")
SERVE_ARGUMENTS = env.list("PLUMBLINE_SERVE_ARGUMENTS", default=[])
SERVING = VAR / "serving"

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": env.str("PLUMBLINE_LOG", default="INFO")},
}
