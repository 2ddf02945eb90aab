"""Unfold's look: paper and ink, the sidebar, the home page."""

from typing import Any

from django.templatetags.static import static
from django.urls import reverse_lazy

BASE = (
    "faf8f5 f3f0eb e6e1d9 cfc7bb a69e96 6d665f 4f4a46 433e3b 383334 221f20 171516"
).split()
PRIMARY = (
    "f7f5f6 efecee ddd7da c6bdc2 b5aab0 a2979d 463e43 3a3337 2c272a 221e20 171415"
).split()
STEPS = "50 100 200 300 400 500 600 700 800 900 950".split()


def _page(title: str, icon: str, name: str) -> dict[str, Any]:
    return {"title": title, "icon": icon, "link": reverse_lazy(name)}


UNFOLD: dict[str, Any] = {
    "SITE_TITLE": "Attune",
    "SITE_HEADER": "Attune",
    "SITE_SYMBOL": "airwave",
    "SITE_FAVICONS": [
        {
            "rel": "icon",
            "type": "image/svg+xml",
            "href": lambda request: static("attune/favicon.svg"),
        }
    ],
    "SITE_URL": None,
    "SHOW_HISTORY": True,
    "SHOW_VIEW_ON_SITE": False,
    "BORDER_RADIUS": "6px",
    "COLORS": {
        "base": {step: f"#{value}" for step, value in zip(STEPS, BASE, strict=True)},
        "primary": {
            step: f"#{value}" for step, value in zip(STEPS, PRIMARY, strict=True)
        },
    },
    "STYLES": [
        lambda request: static("attune/tokens.css"),
        lambda request: static("attune/attune.css"),
    ],
    "DASHBOARD_CALLBACK": "engagement.dashboard.home",
    "SIDEBAR": {
        "show_search": False,
        "show_all_applications": False,
        "navigation": [
            {"items": [_page("Home", "home", "admin:index")]},
            {
                "title": "People",
                "items": [
                    _page("Customers", "group", "admin:customers_customer_changelist"),
                    _page("Segments", "bubble_chart", "segmentation:segments"),
                    {
                        **_page("Rules", "rule", "segmentation:rules"),
                        "permission": lambda request: request.user.has_perm(
                            "segmentation.view_rulesegment"
                        ),
                    },
                    {
                        **_page("Runs", "history", "segmentation:runs"),
                        "permission": lambda request: request.user.has_perm(
                            "segmentation.view_segmentationrun"
                        ),
                    },
                    {
                        **_page(
                            "For a person", "volunteer_activism", "segmentation:to_read"
                        ),
                        "permission": lambda request: request.user.has_perm(
                            "segmentation.view_sensitivematter"
                        ),
                    },
                    _page("Classifier", "psychology", "segmentation:model"),
                    _page("Imports", "upload", "admin:customers_importrun_changelist"),
                    _page(
                        "Never mailed",
                        "do_not_disturb_on",
                        "admin:customers_suppression_changelist",
                    ),
                ],
            },
            {
                "title": "Messages",
                "items": [
                    _page(
                        "Templates",
                        "web_asset",
                        "admin:campaigns_emailtemplate_changelist",
                    ),
                    _page("Campaigns", "send", "admin:campaigns_campaign_changelist"),
                    {
                        **_page("Timeline", "schedule", "campaigns:timeline"),
                        "permission": lambda request: request.user.has_perm(
                            "campaigns.view_send"
                        ),
                    },
                    _page("Reports", "bar_chart", "engagement_admin:reports"),
                    _page("Outbox", "outbox", "campaigns:outbox"),
                ],
            },
            {
                "title": "Shop",
                "items": [
                    {
                        **_page("Provider", "speed", "campaigns:provider"),
                        "permission": lambda request: request.user.has_perm(
                            "campaigns.view_breaker"
                        ),
                    },
                    {
                        **_page("Calendar", "event_busy", "campaigns:calendar"),
                        "permission": lambda request: request.user.has_perm(
                            "campaigns.view_restday"
                        ),
                    },
                    {
                        **_page("Doctor", "stethoscope", "engagement_admin:doctor"),
                        "permission": lambda request: request.user.has_perm(
                            "campaigns.view_breaker"
                        ),
                    },
                    _page("Senders", "storefront", "admin:campaigns_sender_changelist"),
                    _page("Users", "manage_accounts", "admin:auth_user_changelist"),
                ],
            },
        ],
    },
}
