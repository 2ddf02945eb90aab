"""Pages of segments, inside the admin."""

from customers.doors import admin_page
from segmentation import views

app_name = "segmentation"
SEE = "segmentation.view_segment"

urlpatterns = [
    admin_page("", views.segments, "segments", SEE),
    admin_page("disagreeing/", views.disagreeing, "disagreeing", SEE),
    admin_page(
        "runs/<int:pk>/approve/",
        views.approve,
        "approve",
        "segmentation.change_segmentationrun",
    ),
    admin_page("<slug:key>/", views.segment, "segment", SEE),
    admin_page("<slug:key>/members/", views.members, "members", SEE),
]
