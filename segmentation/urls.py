"""Pages of segments, inside the admin."""

from django.contrib import admin
from django.urls import path

from segmentation import views

app_name = "segmentation"
urlpatterns = [
    path("", admin.site.admin_view(views.segments), name="segments"),
    path("disagreeing/", admin.site.admin_view(views.disagreeing), name="disagreeing"),
    path(
        "runs/<int:pk>/approve/", admin.site.admin_view(views.approve), name="approve"
    ),
    path("<slug:key>/", admin.site.admin_view(views.segment), name="segment"),
    path("<slug:key>/members/", admin.site.admin_view(views.members), name="members"),
]
