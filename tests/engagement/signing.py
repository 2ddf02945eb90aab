"""What providers sign their reports with, where a test sets all of them up."""

SIGNING_KEYS = {
    "MAILGUN_WEBHOOK_SIGNING_KEY": "a key",
    "MAILERSEND_SIGNING_SECRET": "a secret",
    "MANDRILL_WEBHOOK_KEY": "a key",
    "POSTAL_WEBHOOK_KEY": "a key",
    "UNISENDER_GO_API_KEY": "a key",
}
