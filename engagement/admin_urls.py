"""Report pages inside the admin."""

from customers.doors import admin_page
from engagement import doctor_page
from engagement import report_views as views

app_name = "engagement_admin"
SEE = "campaigns.view_send"

urlpatterns = [
    admin_page("doctor/", doctor_page.doctor, "doctor", "campaigns.view_breaker"),
    admin_page("reports/", views.reports, "reports", SEE),
    admin_page("reports/<int:pk>/", views.report_page, "report", SEE),
    admin_page("reports/<int:pk>/count/", views.count, "count", SEE),
    admin_page("reports/<int:pk>/<slug:form>/", views.download, "download", SEE),
]
