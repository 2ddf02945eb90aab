import pytest
from django.core.checks import ERROR

from campaigns import checks


@pytest.mark.parametrize("provider", ["outbox", "smtp", "brevo", "postmark", "resend"])
def test_a_provider_we_know_passes(settings, provider):
    settings.PROVIDER = provider
    assert checks.provider_is_known() == []


def test_a_provider_nobody_knows_stops_the_start_with_one_sentence(settings):
    settings.PROVIDER = "pigeon"
    [found] = checks.provider_is_known()
    assert found.id == "attune.E001"
    assert "it is 'pigeon'" in found.msg


def test_a_former_provider_nobody_knows_stops_it_too(settings):
    settings.PROVIDER, settings.FORMER_PROVIDERS = "brevo", ["mailgun", "pigeon"]
    [found] = checks.provider_is_known()
    assert found.id == "attune.E008"
    assert found.msg.endswith("it has pigeon.")
    settings.FORMER_PROVIDERS = ["mailgun"]
    assert checks.provider_is_known() == []


def test_one_that_anymail_gave_up_is_a_warning(settings):
    settings.PROVIDER = "sendgrid"
    assert [one.id for one in checks.provider_is_known()] == ["attune.W001"]


@pytest.mark.parametrize(
    ("option", "expected"),
    [
        ("IGNORE_UNSUPPORTED_FEATURES", "attune.E003"),
        ("DEBUG_API_REQUESTS", "attune.E004"),
        ("IGNORE_RECIPIENT_STATUS", "attune.E005"),
    ],
)
def test_options_that_hide_what_happens_are_errors(settings, option, expected):
    settings.ANYMAIL = {option: True}
    assert [one.id for one in checks.anymail_is_strict()] == [expected]


RESEND = {"RESEND_SIGNING_SECRET": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}


@pytest.fixture
def svix_is(monkeypatch):
    """As if it were installed, or not."""

    def svix_is(there):
        monkeypatch.setattr(
            checks, "find_spec", lambda name: object() if there else None
        )

    return svix_is


@pytest.mark.parametrize(("provider", "former"), [("resend", []), ("smtp", ["resend"])])
def test_a_signing_secret_of_resend_without_svix_is_an_error(
    settings, svix_is, provider, former
):
    settings.PROVIDER, settings.FORMER_PROVIDERS = provider, former
    settings.ANYMAIL = RESEND
    svix_is(False)
    [found] = checks.what_resend_signs_can_be_checked()
    assert (found.id, found.level) == ("attune.E009", ERROR)
    assert "Install attune[resend]" in found.msg
    svix_is(True)
    assert checks.what_resend_signs_can_be_checked() == []


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_…", "re_123"])
def test_a_signing_secret_that_is_none_is_an_error(settings, svix_is, secret):
    settings.PROVIDER, settings.ANYMAIL = "resend", {"RESEND_SIGNING_SECRET": secret}
    svix_is(True)
    [found] = checks.what_resend_signs_can_be_checked()
    assert found.id == "attune.E010"
    assert not secret or secret not in found.msg.replace("whsec_ ", "")


@pytest.mark.parametrize("provider", ["resend", "brevo"])
def test_svix_is_needed_by_nobody_else(settings, svix_is, provider):
    settings.PROVIDER = provider
    settings.ANYMAIL = {} if provider == "resend" else RESEND
    svix_is(False)
    assert checks.what_resend_signs_can_be_checked() == []


def test_a_developer_may_look_at_requests(settings):
    settings.DEBUG, settings.ANYMAIL = True, {"DEBUG_API_REQUESTS": True}
    assert checks.anymail_is_strict() == []


def test_short_secrets_are_errors(settings):
    settings.TRACKING_KEYS, settings.WEBHOOK_SECRET = ["short"], "short"
    assert [one.id for one in checks.secrets_are_long()] == [
        "attune.E006",
        "attune.E007",
    ]


@pytest.mark.parametrize(
    ("url", "count"),
    [
        ("https://mail.shop.example", 0),
        ("http://mail.shop.example", 1),
        ("https://127.0.0.1", 1),
    ],
)
def test_links_nobody_can_reach_are_a_warning_of_a_deployment(settings, url, count):
    settings.BASE_URL = url
    assert len(checks.links_can_be_reached()) == count


def test_amazon_without_a_topic_hears_nothing_and_says_so(settings):
    settings.PROVIDER = "amazon_ses"
    assert [one.id for one in checks.provider_is_known()] == ["attune.W003"]
    settings.SES_TOPICS = ["arn:aws:sns:eu-west-1:123456789012:mail"]
    assert checks.provider_is_known() == []
