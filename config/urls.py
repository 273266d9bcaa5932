"""Every address of the product. Each app lists its own pages and API."""

from django.urls import include, path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

handler400 = "web.views.bad_request"
handler403 = "web.views.permission_denied"
handler404 = "web.views.page_not_found"
handler500 = "web.views.server_error"

urlpatterns = [
    path("api/v1/schema/", SpectacularAPIView.as_view(), name="schema"),
    path("api/v1/docs/", SpectacularSwaggerSplitView.as_view(url_name="schema"), name="api_docs"),
    path("api/v1/", include("accounts.api.urls")),
    path("api/v1/", include("metrics.api.urls")),
    path("api/v1/", include("roadmap.api.urls")),
    path("otlp/v1/", include("metrics.api.otlp_urls")),
    path("accounts/", include("allauth.account.urls")),
    path("", include("web.urls")),
    path("", include("accounts.urls")),
    path("", include("metrics.urls")),
    path("", include("roadmap.urls")),
]
