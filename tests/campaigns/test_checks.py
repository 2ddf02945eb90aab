import pytest

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
