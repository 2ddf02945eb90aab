"""Mails a second over SMTP, with all bookkeeping, against Django's send_messages.

Same sink (Debian's smtp-sink), same mails of about 30 KB, same run, rounds in turn,
each sender in a process of its own. Ours claims, re-checks, writes intents, outcomes.

    python benchmarks/sending.py [--mails 2000] [--rounds 3]
"""

import argparse
import json
import os
import resource
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

from measure import add_campaign, add_customers, free_port

ROOT = Path(__file__).resolve().parent.parent
NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
# Filler that brings a mail to the size of a usual one.
PARAGRAPH = "Clay pots keep roots cool, zinc ones last a lifetime. " * 6
PARAGRAPHS = 20


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--mails", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--child", choices=["build", "ours", "django"])
    options = parser.parse_args()
    if options.child:
        sys.path.insert(0, str(ROOT))
        os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings"
        import django

        django.setup()
        result = {"build": _build, "ours": _ours, "django": _django}[options.child](
            options.mails
        )
        print(json.dumps(result))
        return
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(_compare(Path(folder), options.mails, options.rounds)))


def _compare(folder: Path, mails: int, rounds: int) -> dict[str, Any]:
    sink = _smtp_sink(folder)
    if sink is None:
        if os.environ.get("CI"):
            raise SystemExit("CI needs smtp-sink, of Debian's package postfix.")
        return {"benchmark": "sending", "skipped": "smtp-sink could not be had"}
    port = free_port()
    process = subprocess.Popen(
        [*sink, "-u", "nobody", f"127.0.0.1:{port}", "1000"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait_for(port)
        base = folder / "base"
        base.mkdir()
        built = _child("build", base, port, mails)
        runs: dict[str, list[dict[str, float]]] = {"ours": [], "django": []}
        for number in range(rounds):
            for name in ("django", "ours"):
                work = folder / f"{name}{number}"
                shutil.copytree(base, work)
                runs[name].append(_child(name, work, port, mails))
    finally:
        process.terminate()
        process.wait(10)
    ours, django = (_medians(runs[name]) for name in ("ours", "django"))
    return {
        "benchmark": "sending",
        "mails": mails,
        "rounds": rounds,
        "mail_bytes": built["mail_bytes"],
        "ours_per_s": ours["per_s"],
        "ours_per_cpu_s": ours["per_cpu_s"],
        "ours_rss_growth_mb": ours["rss_growth_mb"],
        "django_per_s": django["per_s"],
        "django_per_cpu_s": django["per_cpu_s"],
        "django_rss_growth_mb": django["rss_growth_mb"],
        "ratio_per_s": round(ours["per_s"] / django["per_s"], 2),
        "ratio_per_cpu_s": round(ours["per_cpu_s"] / django["per_cpu_s"], 2),
        "target_ratio_per_cpu_s": 3,
    }


def _medians(runs: list[dict[str, float]]) -> dict[str, float]:
    return {key: round(median(run[key] for run in runs), 1) for key in runs[0]}


def _child(name: str, folder: Path, port: int, mails: int) -> dict[str, float]:
    env = {key: value for key, value in os.environ.items() if "ATTUNE" not in key}
    env |= {
        "ATTUNE_DATA_DIR": str(folder),
        "ATTUNE_PROVIDER": "smtp",
        "ATTUNE_SMTP_URL": f"smtp://127.0.0.1:{port}",
        "ATTUNE_BASE_URL": "https://mail.shop.example",
    }
    answer = subprocess.run(
        [sys.executable, __file__, "--child", name, "--mails", str(mails)],
        env=env,
        check=True,
        capture_output=True,
        text=True,
    )
    result: dict[str, float] = json.loads(answer.stdout)
    return result


class _Measured:
    """Wall and CPU seconds and growth of memory of what happens inside."""

    def __enter__(self) -> "_Measured":
        self._rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        self._wall, self._cpu = time.perf_counter(), time.process_time()
        return self

    def __exit__(self, *_: object) -> None:
        self.wall = time.perf_counter() - self._wall
        self.cpu = time.process_time() - self._cpu
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        self.growth_mb = (peak - self._rss) / 1024

    def result(self, mails: int) -> dict[str, float]:
        return {
            "per_s": mails / self.wall,
            "per_cpu_s": mails / self.cpu,
            "rss_growth_mb": self.growth_mb,
        }


def _build(mails: int) -> dict[str, float]:
    """A shop with a prepared send of so many mails, in one tone."""
    from django.core.management import call_command

    from campaigns.models import Message, Variant
    from campaigns.services import launch_send, materialise, schedule_send

    call_command("migrate", verbosity=0, interactive=False)
    add_customers(mails, at=NOW)
    template = _template()
    template.refresh_from_db()
    Variant.objects.create(
        template=template,
        tone="neutral",
        subject='New pots for {{ customer.first_name | default: "you" }}',
        preheader="A look inside",
        blocks={
            "headline": "From the garden",
            "opening": 'Hello {{ customer.first_name | default: "there" }},',
            "details": "\n\n".join([PARAGRAPH] * PARAGRAPHS),
            "closing": "See you soon,\n\nLin",
        },
    )
    send = schedule_send(add_campaign(template), scheduled_at=NOW, at=NOW)
    materialise(launch_send(send, at=NOW), at=NOW)
    size = len(_django_mail(Message.objects.all()[0]).message().as_bytes())
    return {"mail_bytes": size}


def _template() -> Any:
    from django.conf import settings

    from campaigns.models import EmailTemplate

    layout = Path(settings.EMAIL_DESIGNS_DIR, "announcement", "layout.mjml")
    return EmailTemplate.objects.create(
        name="Bench",
        design="announcement",
        layout=layout.read_text(),
        offer="One pot free with every plant.",
        terms="While stocks last.",
        button_label="See the plants",
        button_url="https://shop.example/plants",
        footer_reason="You ordered from us.",
    )


def _ours(mails: int) -> dict[str, float]:
    from campaigns.models import Message
    from campaigns.sending.engine import run_once

    with _Measured() as measured:
        run_once(at=NOW)
    accepted = Message.objects.filter(state="accepted").count()
    assert accepted == mails, f"{accepted} of {mails} accepted"
    return measured.result(mails)


def _django(mails: int) -> dict[str, float]:
    """Django's own way: mails rendered by us, 200 at a time over one connection."""
    from django.conf import settings
    from django.core.mail import get_connection

    from campaigns.models import Message
    from campaigns.sending.smtp_client import read_smtp_url

    server = read_smtp_url(settings.SMTP_URL)
    connection = get_connection(
        "django.core.mail.backends.smtp.EmailBackend",
        host=server.host,
        port=server.port,
    )
    messages = list(Message.objects.order_by("pk"))
    ready = [_django_mail(one) for one in messages[:1]]
    assert ready
    sent = 0
    with _Measured() as measured:
        connection.open()
        for start in range(0, mails, 200):
            some = [_Filled.mail(one) for one in messages[start : start + 200]]
            sent += connection.send_messages(some)
        connection.close()
    assert sent == mails, f"{sent} of {mails} sent"
    return measured.result(mails)


class _Filled:
    """The mail of a message as the baseline gets it: its texts filled in for free.

    The two texts are rendered once and the name put in by replace(), so that what is
    measured is Django's encoding and sending and not our templates.
    """

    _texts: tuple[str, str, dict[str, str]] | None = None

    @classmethod
    def mail(cls, message: Any) -> Any:
        from django.core.mail import EmailMultiAlternatives

        if cls._texts is None:
            first = _django_mail(message)
            html = first.alternatives[0].content
            cls._texts = (html, first.body, dict(first.extra_headers))
            cls._name = message.customer.first_name
        html, text, headers = cls._texts
        name = f"Name{message.customer_id}"
        return EmailMultiAlternatives(
            f"New pots for {name}",
            text.replace(cls._name, name),
            "Linden & Loam <hello@shop.example>",
            [message.address_wire],
            headers=headers,
            alternatives=[(html.replace(cls._name, name), "text/html")],
        )


def _django_mail(message: Any) -> Any:
    from django.core.mail import EmailMultiAlternatives

    from campaigns.services import rendered_message

    email = rendered_message(message)
    return EmailMultiAlternatives(
        email.subject,
        email.text,
        "Linden & Loam <hello@shop.example>",
        [message.address_wire],
        headers=email.headers,
        alternatives=[(email.html, "text/html")],
    )


def _smtp_sink(folder: Path) -> list[str] | None:
    """smtp-sink from the PATH, or from Debian's package, unpacked and not installed."""
    found = shutil.which("smtp-sink") or shutil.which("smtp-sink", path="/usr/sbin")
    if found:
        return [found]
    if shutil.which("apt-get") is None:
        return None
    unpacked = folder / "postfix"
    unpacked.mkdir()
    unpacked.chmod(0o755)
    download = subprocess.run(
        ["apt-get", "download", "-q", "postfix"], cwd=unpacked, capture_output=True
    )
    packages = list(unpacked.glob("postfix_*.deb"))
    if download.returncode or not packages:
        return None
    subprocess.run(["dpkg-deb", "-x", str(packages[0]), str(unpacked)], check=True)
    os.environ["LD_LIBRARY_PATH"] = str(unpacked / "usr/lib/postfix")
    return [str(unpacked / "usr/sbin/smtp-sink")]


def _wait_for(port: int) -> None:
    for _ in range(100):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise SystemExit("smtp-sink did not start")


if __name__ == "__main__":
    main()
