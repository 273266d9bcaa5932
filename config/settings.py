"""Settings, read from the environment (and `.env`) as docs/operations.md lists them. Wrong values are system checks (config.checks)."""

from pathlib import Path
from zoneinfo import ZoneInfo, available_timezones

import environ
from csp.constants import NONE, SELF
from django.utils.translation import gettext_lazy

from config.database import Connection
from config.mail import CONSOLE, LONGEST_WAIT_SECONDS, mail_settings

BASE_DIR = Path(__file__).resolve().parent.parent
env = environ.Env()
env.smart_cast = False
ENV_FILE = Path(env.str("PHASELINE_ENV_FILE", default=str(BASE_DIR / ".env")))
if ENV_FILE.is_file():
    env.read_env(ENV_FILE)

VAR_DIR = Path(env.str("PHASELINE_VAR", default=str(BASE_DIR / "var")))
# What bin/up made and chose here, so that manage.py finds the same database; the environment and .env come first.
for _file in (VAR_DIR / "secrets.env", VAR_DIR / "run" / "up.env"):
    if _file.is_file():
        env.read_env(_file)
CHART_BUILD_DIR = VAR_DIR / "build" / "static"

DEBUG = env.bool("DEBUG", default=False)
SECRET_KEY = env.str("SECRET_KEY", default="")
# Fernet keys; the first encrypts, every one decrypts.
ENCRYPTION_KEYS = env.list("PHASELINE_ENCRYPTION_KEYS", default=[])
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"])
CSRF_FAILURE_VIEW = "web.views.csrf_failure"
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])
BASE_URL = env.str("BASE_URL", default="http://127.0.0.1:8000").rstrip("/")
# Our own proxies, as networks: what they say of whom they saw is believed. A wrong entry is a system check.
TRUSTED_PROXIES = [text.strip() for text in env.list("TRUSTED_PROXIES", default=[]) if text.strip()]
# 1 where TLS ends in front of us: secure cookies, HSTS, redirect to https.
SECURE = env.bool("SECURE", default=False)

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "csp",
    "django_htmx",
    "template_partials",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "allauth",
    "allauth.account",
    "web",
    "accounts",
    "metrics",
    "roadmap",
]

MIDDLEWARE = [
    "web.middleware.ReadsToTheEnd",
    "metrics.api.straight.PushesStraight",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "web.middleware.SignInAgain",
    "accounts.middleware.SaysFromWhere",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "accounts.languages.SpeaksTheirLanguage",
    "web.middleware.UploadsAreBounded",
    "django.contrib.auth.middleware.LoginRequiredMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "allauth.account.middleware.AccountMiddleware",
]

ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"

TEMPLATES = [
    {
        "BACKEND": "web.template_engine.PlainNumbers",
        # By which template-partials finds it.
        "NAME": "django",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "accounts.context.page",
            ],
        },
    }
]

# --- Database -------------------------------------------------------------------------------------------------------------
DATABASES = {"default": env.db("DATABASE_URL", default="postgres:///phaseline")}
DATABASES["default"]["ENGINE"] = "django.db.backends.postgresql"
DATABASES["default"]["ATOMIC_REQUESTS"] = False
DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
DATABASES["default"].setdefault("OPTIONS", {})
DATABASES["default"]["OPTIONS"].setdefault(
    "pool",
    {
        "connection_class": Connection,
        "min_size": 1,
        "max_size": env.int("DATABASE_POOL_SIZE", default=8),
        "timeout": 5,
        # The pool tries again after 1, 2, 4 ... seconds; with its own 5 minutes a database that was away for one minute
        # would be away for two.
        "reconnect_timeout": 5,
    },
)
# How long a thread that serves requests waits for one answer of the database, in seconds.
DATABASE_ANSWER_SECONDS = env.int("DATABASE_ANSWER_SECONDS", default=30)
# How long it waits for the next byte of a client.
CLIENT_SILENCE_SECONDS = env.int("CLIENT_SILENCE_SECONDS", default=30)
DATABASES["default"]["OPTIONS"].setdefault("server_side_binding", True)
DATABASES["default"]["OPTIONS"].setdefault("connect_timeout", 5)
# A statement is prepared where it asks for it (metrics.together), and never by the number of its uses.
DATABASES["default"]["OPTIONS"].setdefault("prepare_threshold", 1_000_000_000)
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- Jobs -----------------------------------------------------------------------------------------------------------------
CELERY_BROKER_URL = env.str("CELERY_BROKER_URL", default="redis://127.0.0.1:6379/0")
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_TASK_TIME_LIMIT = 330
CELERY_TASK_SOFT_TIME_LIMIT = 300
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_MAX_TASKS_PER_CHILD = 500
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
# Longer than the longest task, so that a running one is never handed out a second time.
CELERY_BROKER_TRANSPORT_OPTIONS = {"visibility_timeout": 900, "unacked_restore_throttle": 5}
CELERY_TIMEZONE = "UTC"

# --- People ---------------------------------------------------------------------------------------------------------------
AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "/"
ACCOUNT_ADAPTER = "accounts.adapter.AccountAdapter"
ACCOUNT_LOGIN_METHODS = {"username", "email"}
ACCOUNT_SIGNUP_FIELDS = ["username*", "email", "password1*", "password2*"]
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_LOGOUT_ON_GET = False
ACCOUNT_FORMS = {"login": "accounts.forms.SignInForm", "change_password": "accounts.forms.NewPasswordForm"}
ACCOUNT_RATE_LIMITS = {"login_failed": "10/m/ip,5/5m/key"}

# --- Mail -----------------------------------------------------------------------------------------------------------------
EMAIL_BACKEND = env.str("EMAIL_BACKEND", default="django.core.mail.backends.smtp.EmailBackend")
DEFAULT_FROM_EMAIL = env.str("DEFAULT_FROM_EMAIL", default="phaseline@localhost")
SERVER_EMAIL = DEFAULT_FROM_EMAIL
EMAIL_TIMEOUT = LONGEST_WAIT_SECONDS
# The mail server as one address; it goes before EMAIL_BACKEND. A wrong one is a system check, and mails go to the log.
EMAIL_URL = env.str("EMAIL_URL", default="")
EMAIL_PROBLEM = ""
if EMAIL_URL:
    try:
        globals().update(mail_settings(EMAIL_URL))
    except ValueError as _error:
        EMAIL_BACKEND, EMAIL_PROBLEM = CONSOLE, str(_error)

# --- Static files ---------------------------------------------------------------------------------------------------------
STATIC_URL = "/static/"
STATIC_ROOT = VAR_DIR / "staticfiles"
STATICFILES_DIRS = [BASE_DIR / "static"]
if CHART_BUILD_DIR.is_dir():
    STATICFILES_DIRS.append(CHART_BUILD_DIR)
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if DEBUG or env.bool("PLAIN_STATIC", default=False)
        else "whitenoise.storage.CompressedManifestStaticFilesStorage"
    },
}
WHITENOISE_KEEP_ONLY_HASHED_FILES = True

# --- REST -----------------------------------------------------------------------------------------------------------------
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "accounts.authentication.TokenAuthentication",
        "accounts.authentication.BrowserSessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["accounts.permissions.HasScope"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_PAGINATION_CLASS": "web.pagination.CursorPagination",
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "web.problems.exception_handler",
    "COERCE_DECIMAL_TO_STRING": True,
    "UNAUTHENTICATED_USER": "django.contrib.auth.models.AnonymousUser",
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Phaseline",
    "DESCRIPTION": "Plan, push and read AI adoption in phases.",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SCHEMA_PATH_PREFIX": r"/api/v1",
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
    "COMPONENT_SPLIT_REQUEST": True,
    "ENUM_NAME_OVERRIDES": {
        "RoadmapStateEnum": "roadmap.models.roadmap.Roadmap.State",
        "PhaseStateEnum": "roadmap.models.phase.Phase.State",
        "PhaseKindEnum": "roadmap.models.phase.Phase.Kind",
        "EvidenceKindEnum": "roadmap.models.evidence.EvidenceFile.Kind",
        "MilestoneStateEnum": "roadmap.models.milestone.Milestone.State",
        "ChecklistCategoryEnum": "roadmap.models.milestone.ChecklistItem.Category",
        "CostCategoryEnum": "roadmap.models.cost_entry.CostEntry.Category",
        "CostKindEnum": "roadmap.models.cost_entry.CostEntry.Kind",
        "CostStatusEnum": "roadmap.models.cost_entry.CostEntry.Status",
        "RiskCategoryEnum": "roadmap.models.steering.Risk.Category",
        "ReportChangeEnum": "roadmap.api.report_comparison.CHANGES",
        "ReportLinkStateEnum": "roadmap.models.report_link.ReportLink.State",
        "RiskStateEnum": "roadmap.models.steering.Risk.State",
        "ReportStateEnum": "roadmap.models.report.Report.State",
        "UpdateStatusEnum": "roadmap.models.steering.Update.Status",
        "DirectionEnum": "roadmap.models.kpi.Kpi.Direction",
        "KpiSourceEnum": "roadmap.models.kpi.Kpi.Source",
        "ImportStateEnum": "metrics.models.imports.BillingImport.State",
        "AllocationSourceEnum": "metrics.models.series.Allocation.Source",
        "GateOutcomeEnum": "roadmap.models.gate.GateDecision.Outcome",
        "PullOutcomeEnum": "metrics.models.backend.Pull.Outcome",
        "RateCardKindEnum": "metrics.models.prices.RateCard.Kind",
        "TokenSignalEnum": "accounts.models.token.Token.Signal",
        "TokenMeasuredAtEnum": "accounts.models.token.Token.MeasuredAt",
        "BackendMeasuredAtEnum": "metrics.api.backends.PLACES",
    },
}

# --- Security -------------------------------------------------------------------------------------------------------------
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "object-src": [NONE],
        "base-uri": [SELF],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
    }
}
DEFAULT_EXCEPTION_REPORTER = "config.error_report.ErrorReport"
DEFAULT_EXCEPTION_REPORTER_FILTER = "web.error_reports.Filter"
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_AGE = 14 * 24 * 3600
SECURE_SSL_REDIRECT = SECURE
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$"]
SECURE_HSTS_SECONDS = 31_536_000 if SECURE else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE
SECURE_HSTS_PRELOAD = SECURE
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if SECURE else None
DATA_UPLOAD_MAX_MEMORY_SIZE = 17 * 1024 * 1024

# --- Phaseline ------------------------------------------------------------------------------------------------------------
REPORTING_TIME_ZONE = env.str("REPORTING_TIME_ZONE", default="UTC")
REPORTING_CURRENCY = env.str("REPORTING_CURRENCY", default="USD").upper()
FISCAL_YEAR_START_MONTH = env.int("FISCAL_YEAR_START_MONTH", default=1)
REPORT_CLOSE_DAY = env.int("REPORT_CLOSE_DAY", default=5)
REPORT_PROVISIONAL_DAY = env.int("REPORT_PROVISIONAL_DAY", default=min(2, REPORT_CLOSE_DAY))
# Private links to published reports: on or off (then none is answered), how long they work unless told, and at most.
REPORT_LINKS = env.str("REPORT_LINKS", default="on").strip().lower()
REPORT_LINK_DAYS = env.int("REPORT_LINK_DAYS", default=30)
REPORT_LINK_MAX_DAYS = env.int("REPORT_LINK_MAX_DAYS", default=366)
# An update older than this is asked for in My week.
UPDATE_EVERY_DAYS = env.int("UPDATE_EVERY_DAYS", default=14)
USAGE_RETENTION_MONTHS = env.int("USAGE_RETENTION_MONTHS", default=60)
# Ledger entries are merged per feed, series and hour, and receipts of pushes thinned, once they are so old.
COMPACT_AFTER_DAYS = env.int("COMPACT_AFTER_DAYS", default=36)
RECEIPTS_KEPT_DAYS = env.int("RECEIPTS_KEPT_DAYS", default=90)
# Backfills that read at the same time; the others wait for their turn, and hourly pulls find a free process.
BACKFILLS_AT_ONCE = env.int("BACKFILLS_AT_ONCE", default=1)
# Networks that may be called although private; a wrong entry is a system check.
OUTBOUND_ALLOW = [text.strip() for text in env.list("OUTBOUND_ALLOW", default=[]) if text.strip()]
# A folder with an operator's own presets of servers' metrics (docs/connectors/presets.md); a wrong file is a system check.
PRESET_FOLDER = env.str("PRESET_FOLDER", default="")
EXAMPLE_SERVER_URL = env.str("EXAMPLE_SERVER_URL", default="")
# Labels that a push or pull may keep; any other key is dropped at the door.
KEPT_LABELS = env.list(
    "KEPT_LABELS",
    default=[
        "team",
        "project",
        "workspace",
        "api_key_name",
        "environment",
        "service.name",
        "service.namespace",
        "deployment.environment.name",
        "agent",
        "region",
        "feature",
    ],
)
# Who asks /metrics sends this as a bearer token; empty: the address is not there.
METRICS_TOKEN = env.str("METRICS_TOKEN", default="")
PUSH_MAX_RECORDS = 10_000
PUSH_MAX_BYTES = 16 * 1024 * 1024
# A billing file: its size as uploaded and unpacked, its rows.
IMPORT_MAX_BYTES = env.int("IMPORT_MAX_MIB", default=256) * 1024 * 1024
# What a form with a file may hold in all, by its address; others have DATA_UPLOAD_MAX_MEMORY_SIZE.
UPLOAD_MAX_BYTES = dict.fromkeys(("/imports/new/", "/api/v1/imports"), IMPORT_MAX_BYTES + 1024 * 1024)
UPLOAD_TOO_LARGE_HINT = gettext_lazy(
    "Pack the file with gzip, export fewer days, or let an operator raise IMPORT_MAX_MIB (billing files) or "
    "USAGE_FILE_MAX_MIB (files of usage)."
)
IMPORT_MAX_UNPACKED_BYTES = env.int("IMPORT_MAX_UNPACKED_MIB", default=4096) * 1024 * 1024
IMPORT_MAX_ROWS = env.int("IMPORT_MAX_ROWS", default=5_000_000)
# A file of usage that a person chooses: its size as uploaded (unpacked four times that), its rows.
USAGE_FILE_MAX_BYTES = env.int("USAGE_FILE_MAX_MIB", default=64) * 1024 * 1024
USAGE_FILE_MAX_UNPACKED_BYTES = 4 * USAGE_FILE_MAX_BYTES
USAGE_FILE_MAX_ROWS = env.int("USAGE_FILE_MAX_ROWS", default=1_000_000)
UPLOAD_MAX_BYTES["/send/file/"] = USAGE_FILE_MAX_BYTES + 1024 * 1024
# Weight of an input token against an output token where GPU hours are shared out by tokens (measures.md, Money).
INPUT_TOKEN_WEIGHT = env.str("INPUT_TOKEN_WEIGHT", default="0.1")
# Idle capacity goes to the workloads as the month's busy part did (as_busy), or stays unallocated.
IDLE_ALLOCATION = env.str("IDLE_ALLOCATION", default="as_busy")

# --- The rest -------------------------------------------------------------------------------------------------------------
# A language is a line here and a file in locale/ (docs/languages.md); its name is written as its speakers write it.
LANGUAGES = [("en-gb", "English"), ("nl", "Nederlands")]
LOCALE_PATHS = [BASE_DIR / "locale"]
# For who chose none and whose browser asks for none that we have; a wrong one is a system check.
DEFAULT_LANGUAGE = env.str("DEFAULT_LANGUAGE", default="en-gb").lower()
LANGUAGE_CODE = DEFAULT_LANGUAGE if DEFAULT_LANGUAGE in dict(LANGUAGES) else "en-gb"
LANGUAGE_COOKIE_AGE = 365 * 24 * 3600
LANGUAGE_COOKIE_SECURE = SECURE
LANGUAGE_COOKIE_HTTPONLY = True
USE_I18N = True
USE_TZ = True
TIME_ZONE = REPORTING_TIME_ZONE if REPORTING_TIME_ZONE in available_timezones() else "UTC"
REPORTING_ZONE = ZoneInfo(TIME_ZONE)
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
    "filters": {"no_secret_addresses": {"()": "config.logs.NoSecretAddresses"}},
    "handlers": {
        "console": {"class": "logging.StreamHandler", "formatter": "line", "filters": ["no_secret_addresses"]},
    },
    "root": {"handlers": ["console"], "level": env.str("LOG_LEVEL", default="INFO")},
    "loggers": {
        # runserver's own handler would write each address as it was asked for.
        "django.server": {"handlers": ["console"], "level": "INFO", "propagate": False},
        # These log each address that they ask, query and headers included.
        **{
            name: {"level": "WARNING"}
            for name in (
                *("httpx", "httpcore", "botocore", "boto3", "urllib3", "azure", "google.auth", "requests_oauthlib"),
            )
        },
    },
}
