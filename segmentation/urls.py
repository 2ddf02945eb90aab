"""Pages of segments, inside the admin."""

from customers.doors import admin_page
from segmentation import model_view, reading_views, views

app_name = "segmentation"
SEE = "segmentation.view_segment"
READ = "segmentation.view_emotionscore"
TEACH = "segmentation.view_correction"
PERSON = "segmentation.view_sensitivematter"

urlpatterns = [
    admin_page("", views.segments, "segments", SEE),
    admin_page("disagreeing/", views.disagreeing, "disagreeing", SEE),
    admin_page(
        "runs/<int:pk>/approve/",
        views.approve,
        "approve",
        "segmentation.change_segmentationrun",
    ),
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
    admin_page("<slug:key>/", views.segment, "segment", SEE),
    admin_page("<slug:key>/members/", views.members, "members", SEE),
]
