"""Pages of segments, inside the admin."""

from customers.doors import admin_page
from segmentation import (
    diagnostics_view,
    drift_view,
    group_views,
    history_views,
    map_view,
    model_view,
    pin_views,
    reading_views,
    rule_views,
    run_decisions,
    run_views,
    views,
)

app_name = "segmentation"
SEE = "segmentation.view_segment"
READ = "segmentation.view_emotionscore"
TEACH = "segmentation.view_correction"
RUNS = "segmentation.view_segmentationrun"
COUNT = "segmentation.add_runcomparison"
DECIDE = "segmentation.change_segmentationrun"
PERSON = "segmentation.view_sensitivematter"
GROUPS = "segmentation.view_emergentgroup"
CHANGE_GROUP = "segmentation.change_emergentgroup"
DIAGNOSE = "segmentation.add_rundiagnosis"
RULES = "segmentation.view_rulesegment"

urlpatterns = [
    admin_page("", views.segments, "segments", SEE),
    admin_page("disagreeing/", views.disagreeing, "disagreeing", SEE),
    admin_page("runs/", run_views.runs, "runs", RUNS),
    admin_page("runs/compare/", run_views.compare_runs, "compare", RUNS),
    admin_page(
        "runs/compare/count/", run_views.count_compared, "count_compared", COUNT
    ),
    admin_page("runs/<int:pk>/", run_views.run, "run", RUNS),
    admin_page("runs/<int:pk>/approve/", run_decisions.approve, "approve", DECIDE),
    admin_page("runs/<int:pk>/decline/", run_decisions.decline, "decline", DECIDE),
    admin_page(
        "runs/<int:pk>/roll-back/", run_decisions.roll_back, "roll_back", DECIDE
    ),
    admin_page("decisions/<int:pk>/", run_decisions.decision, "decision", RUNS),
    admin_page(
        "decisions/<int:pk>/carry-out/", run_decisions.carry_out, "carry_out", DECIDE
    ),
    admin_page("groups/", group_views.groups, "groups", GROUPS),
    admin_page("groups/<int:pk>/", group_views.group, "group", GROUPS),
    admin_page(
        "groups/<int:pk>/accept/", group_views.accept, "accept_group", CHANGE_GROUP
    ),
    admin_page(
        "groups/<int:pk>/dismiss/", group_views.dismiss, "dismiss_group", CHANGE_GROUP
    ),
    admin_page("pins/", pin_views.pins, "pins", "segmentation.view_pin"),
    admin_page("customers/<int:pk>/pin/", pin_views.pin, "pin", "segmentation.add_pin"),
    admin_page(
        "pins/<int:pk>/remove/", pin_views.unpin, "unpin", "segmentation.change_pin"
    ),
    admin_page("changes/", history_views.changes, "changes", SEE),
    admin_page(
        "changes.csv",
        history_views.changes_csv,
        "changes_csv",
        "segmentation.view_segmentchange",
    ),
    admin_page(
        "profiles.csv",
        history_views.profiles_csv,
        "profiles_csv",
        "segmentation.view_emotionprofile",
    ),
    admin_page("diagnostics/", diagnostics_view.diagnostics, "diagnostics", SEE),
    admin_page("diagnostics/ask/", diagnostics_view.ask, "diagnose", DIAGNOSE),
    admin_page(
        "diagnostics/<int:pk>/do-here/",
        diagnostics_view.do_here,
        "diagnose_here",
        DIAGNOSE,
    ),
    admin_page("diagnostics/<int:pk>/", diagnostics_view.progress, "diagnosis", SEE),
    admin_page("map/", map_view.customer_map, "map", SEE),
    admin_page("drift/", drift_view.drift, "drift", SEE),
    admin_page("texts/<int:pk>/", reading_views.text, "text", READ),
    admin_page("words/", reading_views.words, "words", READ),
    admin_page("to-read/", reading_views.to_read, "to_read", PERSON),
    admin_page(
        "to-read/<int:pk>/",
        reading_views.matter,
        "matter",
        "segmentation.change_sensitivematter",
    ),
    admin_page(
        "corrections.jsonl", reading_views.corrections_jsonl, "corrections", TEACH
    ),
    admin_page(
        "corrections.csv", reading_views.corrections_csv, "corrections_csv", TEACH
    ),
    admin_page("model/", model_view.model, "model", SEE),
    admin_page("rules/", rule_views.rules, "rules", RULES),
    admin_page(
        "new-rule/", rule_views.new_rule, "new_rule", "segmentation.add_rulesegment"
    ),
    admin_page("try-rule/", rule_views.try_out, "try_rule", RULES),
    admin_page("rules/<slug:key>/", rule_views.rule, "rule", RULES),
    admin_page(
        "rules/<slug:key>/count/",
        rule_views.count,
        "count_rule",
        "segmentation.change_rulesegment",
    ),
    admin_page(
        "rules/<slug:key>/delete/",
        rule_views.delete,
        "delete_rule",
        "segmentation.delete_rulesegment",
    ),
    admin_page("<slug:key>/", views.segment, "segment", SEE),
    admin_page("<slug:key>/members/", views.members, "members", SEE),
    admin_page(
        "<slug:key>/members.csv",
        history_views.members_csv,
        "members_csv",
        "segmentation.view_membership",
    ),
    admin_page(
        "<slug:key>/changes/", history_views.segment_changes, "segment_changes", SEE
    ),
]
