"""Report pages inside the admin."""

from django.contrib import admin
from django.urls import path

from engagement import report_views as views

app_name = "engagement_admin"
urlpatterns = [
    path("reports/", admin.site.admin_view(views.reports), name="reports"),
    path("reports/<int:pk>/", admin.site.admin_view(views.report_page), name="report"),
    path(
        "reports/<int:pk>/<slug:form>/",
        admin.site.admin_view(views.download),
        name="download",
    ),
]
