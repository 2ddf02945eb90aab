"""What a mail links to: on our own host, no destination, name or label in any path."""

from django.urls import path

from engagement import views

app_name = "engagement"
urlpatterns = [
    path("o/<str:token>.gif", views.pixel, name="pixel"),
    path("c/<str:token>/<int:link>", views.click, name="click"),
    path("v/<str:token>", views.web_view, name="web_view"),
    path("u/<str:token>", views.unsubscribe, name="unsubscribe"),
    path("p/<str:token>", views.preferences, name="preferences"),
]
