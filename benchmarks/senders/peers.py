"""Other Django packages that send campaigns, each as its own pages tell to use it.

In a virtual environment of their own, on a SQLite database of their own, one SMTP
connection or as many as they open. Each sends the same mail: text and HTML with
somebody's name in them, from a template of its kind.

    python peers.py NAME MAILS PORT MAIL.json FOLDER
"""

import json
import subprocess
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from measure import Measured, peak_megabytes

DJANGO = "Django==5.2.19"
# name: what is installed for it, and its Django apps.
PEERS = {
    "post_office": (["django-post-office==3.12.0"], ["post_office"]),
    "newsletter": (
        ["django-newsletter==1.2.1", "sorl-thumbnail==13.4.0"],
        ["django.contrib.sites", "sorl.thumbnail", "newsletter"],
    ),
    "birdsong": (
        ["wagtail-birdsong==2.0.0", "wagtail==8.0.1"],
        [
            *("wagtail.users", "wagtail.admin", "wagtail.documents", "wagtail.images"),
            *("wagtail", "modelcluster", "taggit", "birdsong"),
        ],
    ),
    "drip": (["django-drip-campaigns==1.16.2"], ["drip"]),
}
FROM = "hello@shop.example"


def environment(folder: Path) -> tuple[Path, dict[str, str]]:
    """A Python with all of them, and who could not be had, with the reason."""
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    python, failed = folder / "bin" / "python", {}
    for name, (needs, _) in PEERS.items():
        done = subprocess.run(
            [python, "-m", "pip", "install", "--quiet", DJANGO, *needs],
            capture_output=True,
            text=True,
        )
        if done.returncode:
            last = done.stderr.strip().rpartition("\n")[2]
            failed[name] = f"not installed: {last[:300]}"
    return python, failed


def set_up(name: str, port: int, folder: Path) -> None:
    import django
    from django.conf import settings
    from django.core.management import call_command

    urls: Any = types.ModuleType("peer_urls")
    urls.urlpatterns = []
    sys.modules["peer_urls"] = urls
    contrib = ("auth", "contenttypes", "sessions", "messages")
    settings.configure(
        SECRET_KEY="of a benchmark",
        ALLOWED_HOSTS=["*"],
        INSTALLED_APPS=[f"django.contrib.{one}" for one in contrib] + PEERS[name][1],
        DATABASES={
            "default": {
                "ENGINE": "django.db.backends.sqlite3",
                "NAME": folder / "peer.sqlite3",
            }
        },
        TEMPLATES=[
            {
                "BACKEND": "django.template.backends.django.DjangoTemplates",
                "DIRS": [folder / "templates"],
                "APP_DIRS": True,
            }
        ],
        CACHES={
            "default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}
        },
        MEDIA_ROOT=folder / "media",
        STATIC_URL="/static/",
        ROOT_URLCONF="peer_urls",
        USE_TZ=True,
        SITE_ID=1,
        DEFAULT_AUTO_FIELD="django.db.models.AutoField",
        DEFAULT_FROM_EMAIL=FROM,
        EMAIL_HOST="127.0.0.1",
        EMAIL_PORT=port,
        WAGTAIL_SITE_NAME="Bench",
        WAGTAILADMIN_BASE_URL="https://mail.shop.example",
        NEWSLETTER_THUMBNAIL="sorl-thumbnail",
        POST_OFFICE={
            "BACKENDS": {"default": "django.core.mail.backends.smtp.EmailBackend"}
        },
    )
    django.setup()
    if name == "newsletter":
        from django.urls import include, path

        urls.urlpatterns += [path("newsletter/", include("newsletter.urls"))]
    call_command("migrate", verbosity=0, interactive=False)


def template(text: str, mail: dict[str, str], value: str) -> str:
    """The text with a place for whatever stands for somebody's name."""
    return text.replace(mail["name"], f"{{{{ {value} }}}}")


def write(folder: Path, name: str, text: str) -> None:
    path = folder / "templates" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def post_office(mails: int, mail: dict[str, str], folder: Path) -> Callable[[], int]:
    """Rendered at delivery, which is its quick way for many."""
    from post_office import mail as office
    from post_office.models import STATUS, Email, EmailTemplate

    kept = EmailTemplate.objects.create(
        name="bench",
        subject=template(mail["subject"], mail, "name"),
        content=template(mail["text"], mail, "name"),
        html_content=template(mail["html"], mail, "name"),
    )

    def send() -> int:
        for start in range(0, mails, 500):
            office.send_many(
                [
                    {
                        "recipients": [f"person{number}@example.com"],
                        "sender": FROM,
                        "template": kept,
                        "context": {"name": f"Name{number}"},
                        "render_on_delivery": True,
                    }
                    for number in range(start, min(start + 500, mails))
                ]
            )
        office.send_queued_mail_until_done(lockfile=str(folder / "lock"))
        return Email.objects.filter(status=STATUS.sent).count()

    return send


def newsletter(mails: int, mail: dict[str, str], folder: Path) -> Callable[[], int]:
    from newsletter.models import Message, Newsletter, Submission, Subscription

    for kind, part in (
        ("_subject.txt", "subject"),
        (".txt", "text"),
        (".html", "html"),
    ):
        name = f"newsletter/message/bench/message{kind}"
        write(folder, name, template(mail[part], mail, "subscription.name"))
    letter = Newsletter.objects.create(
        title="Bench", slug="bench", email=FROM, sender="Linden", send_html=True
    )
    message = Message.objects.create(title="Pots", slug="pots", newsletter=letter)
    Subscription.objects.bulk_create(
        Subscription(
            newsletter=letter,
            name_field=f"Name{number}",
            email_field=f"person{number}@example.com",
            activation_code=str(number),
            subscribed=True,
        )
        for number in range(mails)
    )
    submission = Submission.from_message(message)

    def send() -> int:
        submission.submit()
        return mails if submission.sent else 0

    return send


def birdsong(mails: int, mail: dict[str, str], folder: Path) -> Callable[[], int]:
    """Its contacts have an address and no name: that stands in the mail."""
    import threading

    from birdsong.backends.smtp import SMTPEmailBackend
    from birdsong.models import Campaign, Contact, Receipt

    write(folder, "mail/campaign.html", template(mail["html"], mail, "contact.email"))
    write(folder, "mail/campaign.txt", template(mail["text"], mail, "contact.email"))
    campaign = Campaign.objects.create(name="Bench", subject="New pots")
    Contact.objects.bulk_create(
        Contact(email=f"person{number}@example.com") for number in range(mails)
    )

    def send() -> int:
        SMTPEmailBackend().send_campaign(None, campaign, Contact.objects.all())
        for thread in threading.enumerate():
            if thread is not threading.current_thread():
                thread.join()
        return Receipt.objects.filter(campaign=campaign).count()

    return send


def drip(mails: int, mail: dict[str, str], folder: Path) -> Callable[[], int]:
    """Its text is the HTML without its tags."""
    from django.contrib.auth.models import User
    from drip.models import Drip, QuerySetRule

    User.objects.bulk_create(
        User(
            username=f"person{number}",
            first_name=f"Name{number}",
            email=f"person{number}@example.com",
        )
        for number in range(mails)
    )
    kept = Drip.objects.create(
        name="bench",
        enabled=True,
        from_email=FROM,
        subject_template=template(mail["subject"], mail, "user.first_name"),
        body_html_template=template(mail["html"], mail, "user.first_name"),
    )
    # Without a rule it goes to nobody.
    QuerySetRule.objects.create(drip=kept, field_name="is_active", field_value="True")
    return lambda: kept.drip.run() or 0


SENDERS = {
    "post_office": post_office,
    "newsletter": newsletter,
    "birdsong": birdsong,
    "drip": drip,
}


def main() -> None:
    name, mails, port = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    mail, folder = json.loads(Path(sys.argv[4]).read_text()), Path(sys.argv[5])
    set_up(name, port, folder)
    send = SENDERS[name](mails, mail, folder)
    with Measured() as measured:
        sent = send()
    if sent != mails:
        raise SystemExit(f"{sent} of {mails} sent")
    result = {**measured.result(mails), "peak_rss_mb": round(peak_megabytes(), 1)}
    print(json.dumps(result))


if __name__ == "__main__":
    main()
