"""Pages of what people are told, and where."""

from django.urls import path

from roadmap.views import notifications

urlpatterns = [
    path("me/notifications/", notifications.notifications_page, name="notifications"),
    path("me/notifications/<slug:channel>/", notifications.notification_address, name="notification_address"),
    path(
        "me/notifications/<slug:channel>/remove/",
        notifications.notification_address_remove,
        name="notification_address_remove",
    ),
    path("me/notifications/<slug:channel>/test/", notifications.notification_test, name="notification_test"),
    path("settings/notifications/", notifications.undelivered_page, name="undelivered"),
    path("settings/notifications/<int:pk>/retry/", notifications.delivery_retry, name="delivery_retry"),
]
