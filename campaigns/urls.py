"""Pages of templates, campaigns, sends and the outbox, inside the admin."""

from campaigns.pages import (
    calendar,
    counts,
    newcomers,
    outbox,
    provider,
    sends,
    templates,
    timeline,
)
from customers.doors import admin_page

app_name = "campaigns"

urlpatterns = [
    admin_page("provider/", provider.shown, "provider", "campaigns.view_breaker"),
    admin_page("provider/seed/", provider.seed, "seed", "campaigns.change_breaker"),
    admin_page(
        "provider/limit/", provider.set_limit, "set_limit", "campaigns.change_ratelimit"
    ),
    admin_page(
        "provider/cap/", provider.set_cap, "set_cap", "campaigns.change_frequencycap"
    ),
    admin_page(
        "provider/limit/<int:pk>/remove/",
        provider.remove_limit,
        "remove_limit",
        "campaigns.delete_ratelimit",
    ),
    admin_page(
        "provider/<slug:lane>/<slug:action>/",
        provider.switch,
        "switch_breaker",
        "campaigns.change_breaker",
    ),
    admin_page("timeline/", timeline.shown, "timeline", "campaigns.view_send"),
    admin_page("calendar/", calendar.shown, "calendar", "campaigns.view_restday"),
    admin_page(
        "calendar/weekdays/",
        calendar.keep_weekdays,
        "rest_weekdays",
        "campaigns.change_restday",
    ),
    admin_page("calendar/day/", calendar.keep_day, "rest_day", "campaigns.add_restday"),
    admin_page(
        "calendar/day/<int:pk>/remove/",
        calendar.remove_day,
        "remove_rest_day",
        "campaigns.delete_restday",
    ),
    admin_page("outbox/", outbox.listing, "outbox", "campaigns.view_message"),
    admin_page(
        "outbox/<path:name>/frame/",
        outbox.frame,
        "outbox_frame",
        "campaigns.view_message",
    ),
    admin_page(
        "outbox/<path:name>/", outbox.mail, "outbox_mail", "campaigns.view_message"
    ),
    admin_page(
        "template/<int:pk>/words/<slug:tone>/",
        templates.words,
        "words",
        "campaigns.change_emailtemplate",
    ),
    admin_page(
        "template/<int:pk>/remove/<slug:tone>/",
        templates.remove,
        "remove_tone",
        "campaigns.change_emailtemplate",
    ),
    admin_page(
        "template/<int:pk>/shared/",
        templates.shared,
        "shared",
        "campaigns.change_emailtemplate",
    ),
    admin_page(
        "template/<int:pk>/layout/",
        templates.layout,
        "layout",
        "campaigns.change_emailtemplate",
    ),
    admin_page(
        "template/<int:pk>/preview/<slug:tone>/",
        templates.preview,
        "preview",
        "campaigns.view_emailtemplate",
    ),
    admin_page(
        "template/<int:pk>/test/",
        templates.test_mail,
        "test_mail",
        "campaigns.change_emailtemplate",
    ),
    admin_page(
        "plan/<int:pk>/schedule/", sends.schedule, "schedule", "campaigns.add_send"
    ),
    admin_page(
        "plan/<int:pk>/count/", counts.count, "count", "campaigns.view_campaign"
    ),
    admin_page(
        "plan/<int:pk>/count/here/",
        counts.count_here,
        "count_here",
        "campaigns.view_campaign",
    ),
    admin_page(
        "plan/<int:pk>/count/part/",
        counts.count_part,
        "count_part",
        "campaigns.view_campaign",
    ),
    admin_page(
        "plan/<int:pk>/out/<slug:reason>/",
        sends.left_out_now,
        "left_out_now",
        "campaigns.view_campaign",
    ),
    admin_page("send/<int:pk>/", sends.send, "send", "campaigns.view_send"),
    admin_page("send/<int:pk>/live/", sends.live, "live", "campaigns.view_send"),
    admin_page(
        "send/<int:pk>/names/<slug:state>/", sends.names, "names", "campaigns.view_send"
    ),
    admin_page(
        "send/<int:pk>/do/<slug:action>/", sends.act, "act", "campaigns.change_send"
    ),
    admin_page(
        "send/<int:pk>/newcomers/",
        newcomers.newcomers,
        "newcomers",
        "campaigns.view_send",
    ),
    admin_page(
        "send/<int:pk>/top-up/",
        newcomers.send_to_newcomers,
        "top_up",
        "campaigns.add_send",
    ),
    admin_page(
        "send/<int:pk>/failed/again/",
        sends.failed_again,
        "failed_again",
        "campaigns.change_send",
    ),
    admin_page(
        "message/<int:pk>/settle/<slug:as_>/",
        sends.settle,
        "settle",
        "campaigns.change_message",
    ),
]
