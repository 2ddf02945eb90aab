"""Facts about the deployment. The method's numbers live beside the method."""

from pathlib import Path

import dj_database_url
from django.core.exceptions import ImproperlyConfigured

from config import env
from config.unfold import UNFOLD as UNFOLD

BASE_DIR = Path(__file__).resolve().parent.parent
DATA_DIR = env.folder("ATTUNE_DATA_DIR", BASE_DIR / "var")

DEBUG = env.flag("ATTUNE_DEBUG", False)
SECRET_KEY = env.kept_secret("ATTUNE_SECRET_KEY", DATA_DIR / "secret_key")
BASE_URL = env.http_address("ATTUNE_BASE_URL", "http://127.0.0.1:8000")
ALLOWED_HOSTS = env.words("ATTUNE_ALLOWED_HOSTS", "127.0.0.1,localhost,[::1]")
CSRF_TRUSTED_ORIGINS = [BASE_URL]

INSTALLED_APPS = [
    "unfold",
    "unfold.contrib.filters",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "anymail",
    "customers",
    "segmentation",
    "campaigns",
    "engagement",
    "demo",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "config.security.content_security_policy",
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
            ]
        },
    }
]
EMAIL_DESIGNS_DIR = BASE_DIR / "templates" / "emails"

DATABASE_URL = env.text(
    "ATTUNE_DATABASE_URL", f"sqlite:///{DATA_DIR / 'attune.sqlite3'}"
)
try:
    DATABASES = {"default": dj_database_url.parse(DATABASE_URL, conn_max_age=600)}
except (ValueError, dj_database_url.ParseError):
    raise ImproperlyConfigured(
        "ATTUNE_DATABASE_URL needs an address such as sqlite:///var/attune.sqlite3 "
        "or postgresql://user@host/name."
    ) from None
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    # IMMEDIATE: deferred transactions that read, then write, meet "locked" errors.
    DATABASES["default"]["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 30,
        "init_command": (
            "PRAGMA journal_mode=WAL;"
            "PRAGMA synchronous=NORMAL;"
            "PRAGMA mmap_size=67108864;"
            "PRAGMA cache_size=-65536;"
        ),
    }
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
LOGIN_URL = "admin:login"
LOGIN_REDIRECT_URL = "admin:index"

LANGUAGE_CODE = "en-gb"
TIME_ZONE = env.text("ATTUNE_TIME_ZONE", "UTC")
# A ticket answered later counts against us.
ANSWER_HOURS = env.integer("ATTUNE_ANSWER_HOURS", 48, least=1, most=720)
# When customers sleep, by the clock where they live: no promotion goes out then.
QUIET_HOURS = env.quiet_hours("ATTUNE_QUIET_HOURS", "21:00-08:00")
USE_I18N = True
USE_TZ = True

STATIC_URL = "static/"
STATIC_ROOT = env.folder("ATTUNE_STATIC_DIR", DATA_DIR / "static")
STATICFILES_DIRS = [BASE_DIR / "static"]
# Served from the finders: no collectstatic step stands between a clone and a page.
WHITENOISE_USE_FINDERS = True

# Sending. One setting chooses the provider; PROVIDER_OPTIONS are its Anymail options.
PROVIDER = env.text("ATTUNE_PROVIDER", "outbox")
PROVIDER_OPTIONS = env.mapping("ATTUNE_PROVIDER_OPTIONS")
# What left through them may still bounce, and people may still say no.
FORMER_PROVIDERS = env.words("ATTUNE_FORMER_PROVIDERS")
# As many people as one crash may leave in doubt, where a provider takes many in a call.
MAILS_PER_CALL = env.integer("ATTUNE_MAILS_PER_CALL", 500, least=1, most=500)
SMTP_URL = env.text("ATTUNE_SMTP_URL", "smtp://127.0.0.1:25")
# So many of a large send go first; 0: all at once.
CANARY = env.integer("ATTUNE_CANARY", 50, least=0, most=1000)
# So many customers a day get mail to many by a provider that nobody has verified.
UNVERIFIED_A_DAY = env.integer("ATTUNE_UNVERIFIED_A_DAY", 500, least=1, most=10_000_000)
# Where mail by SMTP comes back to that can't be delivered.
BOUNCE_ADDRESS = env.return_path("ATTUNE_BOUNCE_ADDRESS")
# A mailbox that it may be taken from.
BOUNCE_MAILBOX = env.mailbox("ATTUNE_BOUNCE_IMAP_URL")
# What stands before ._domainkey in the DNS, where doctor does not know it.
DKIM_SELECTOR = env.text("ATTUNE_DKIM_SELECTOR")
OUTBOX_DIR = env.folder("ATTUNE_OUTBOX_DIR", DATA_DIR / "outbox")
EMAIL_BACKEND = "campaigns.sending.outbox.EmailBackend"
TRACKING_KEYS = env.words("ATTUNE_TRACKING_KEYS") or [
    env.kept_secret("ATTUNE_TRACKING_KEY", DATA_DIR / "tracking_key")
]
WEBHOOK_SECRET = env.kept_secret("ATTUNE_WEBHOOK_SECRET", DATA_DIR / "webhook_secret")
# SNS topics that Amazon SES reports by; of no other is anything believed.
SES_TOPICS = env.topics("ATTUNE_SES_TOPICS")
ANYMAIL = {
    # Anymail wants "user:password", so that every provider can send basic auth.
    "WEBHOOK_SECRET": f"attune:{WEBHOOK_SECRET}",
    "IGNORE_UNSUPPORTED_FEATURES": False,
    "REQUESTS_TIMEOUT": 20,
    **PROVIDER_OPTIONS,
}

# Whoever knows it may read the figures at /metrics; empty: nobody.
METRICS_TOKEN = env.secret("ATTUNE_METRICS_TOKEN")
# Which deployment this is, where several machines with data folders of their own share
# one database; else it is kept in the data folder.
INSTANCE = env.name_of_ours("ATTUNE_INSTANCE")

# Celery only wakes the functions that run_engine calls; the database is the queue.
BROKER_URL = env.text("ATTUNE_BROKER_URL", "")
QUEUE_PREFIX = env.text("ATTUNE_QUEUE_PREFIX", "")

SECURE_REFERRER_POLICY = "no-referrer-when-downgrade"
SECURE_CONTENT_TYPE_NOSNIFF = True
X_FRAME_OPTIONS = "SAMEORIGIN"
SESSION_COOKIE_HTTPONLY = True
if BASE_URL.startswith("https://"):
    SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = True
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    SECURE_HSTS_SECONDS = 31_536_000

DATA_UPLOAD_MAX_MEMORY_SIZE = 5 * 1024 * 1024
FILE_UPLOAD_MAX_MEMORY_SIZE = 5 * 1024 * 1024

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "plain": {"()": "config.logs.PlainFormatter"},
        "json": {"()": "config.logs.JsonFormatter"},
    },
    "handlers": {
        "console": {
            "class": "logging.StreamHandler",
            "formatter": env.one_of("ATTUNE_LOG_FORMAT", "plain", {"json", "plain"}),
        }
    },
    "root": {
        "handlers": ["console"],
        "level": env.one_of(
            "ATTUNE_LOG_LEVEL", "WARNING", {"DEBUG", "INFO", "WARNING", "ERROR"}
        ),
    },
}

# Opens are stored together this often; 0 stores each at once.
OPENS_FLUSH_MS = env.integer("ATTUNE_OPENS_FLUSH_MS", 500, least=0, most=10_000)
