"""Pages of this app."""

from django.urls import URLPattern, path

from metrics.views.send import make_push_token, received, revoke_push_token, send_data, take_back

urlpatterns: list[URLPattern] = [
    # Send data
    path("send/", send_data, name="send_data"),
    path("send/token/", make_push_token, name="make_push_token"),
    path("send/received/", received, name="received"),
    path("send/tokens/<int:pk>/revoke/", revoke_push_token, name="revoke_push_token"),
    path("receipts/<uuid:uuid>/take-back/", take_back, name="take_back"),
]
