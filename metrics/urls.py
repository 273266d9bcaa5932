"""Pages of this app."""

from django.urls import URLPattern, path

import web.file_tables  # noqa: F401  says what 'file_form' in an address is, by being imported
from metrics.api.prometheus import metrics
from metrics.views import backends, files, imports, price_list, prices, rules, series, usage_files
from metrics.views.pushed import backend_new_pushed
from metrics.views.send import make_push_token, received, revoke_push_token, send_data, take_back

urlpatterns: list[URLPattern] = [
    path("metrics", metrics, name="metrics"),
    # Backends
    path("backends/", backends.backends, name="backends"),
    path("backends/backends.<file_form:form>", files.backends_file, name="backends_file"),
    path("backends/<slug:slug>/series.<file_form:form>", files.series_file, name="series_file"),
    path("backends/new/", backends.backend_choose, name="backend_choose"),
    path("backends/new/push-only/", backend_new_pushed, name="backend_new_pushed"),
    path("backends/new/<slug:kind>/", backends.backend_new, name="backend_new"),
    path("backends/<slug:slug>/", backends.backend, name="backend"),
    path("backends/<slug:slug>/change/", backends.backend_change, name="backend_change"),
    path("backends/<slug:slug>/pull/", backends.backend_pull, name="backend_pull"),
    path("backends/<slug:slug>/remove/", backends.backend_remove, name="backend_remove"),
    path("backends/<slug:slug>/backfill/", backends.backend_backfill, name="backend_backfill"),
    path("backends/<slug:slug>/link/", series.backend_link, name="backend_link"),
    path("backends/<slug:slug>/rate-cards/", prices.rate_card_add, name="rate_card_add"),
    path("backends/<slug:slug>/rate-cards/<int:pk>/", prices.rate_card_change, name="rate_card_change"),
    path("backends/<slug:slug>/rate-cards/<int:pk>/remove/", prices.rate_card_remove, name="rate_card_remove"),
    path("backends/<slug:slug>/prices/", prices.own_price_add, name="own_price_add"),
    path("backends/<slug:slug>/prices/<int:pk>/remove/", prices.own_price_remove, name="own_price_remove"),
    path("series/<int:pk>/allocation/", series.series_allocation, name="series_allocation"),
    path("series/<int:pk>/by-rules/", series.series_by_rules, name="series_by_rules"),
    path("series/<int:pk>/through/", series.series_through, name="series_through"),
    path("look-alikes/<int:pk>/", series.look_alike_decide, name="look_alike_decide"),
    # Prices
    path("prices/", price_list.prices, name="prices"),
    path("prices/own-prices.<file_form:form>", files.prices_file, name="prices_file"),
    path("prices/add/", price_list.price_add, name="price_add"),
    path("prices/again/", price_list.price_again, name="price_again"),
    path("prices/again/<uuid:uuid>/take-back/", price_list.price_take_back, name="price_take_back"),
    path("prices/<int:pk>/remove/", price_list.price_remove, name="price_remove"),
    # Allocation rules
    path("rules/", rules.rules, name="rules"),
    path("rules/rules.<file_form:form>", files.rules_file, name="rules_file"),
    path("rules/new/", rules.rule_new, name="rule_new"),
    path("rules/<int:pk>/", rules.rule_change, name="rule_change"),
    path("rules/<int:pk>/move/", rules.rule_move, name="rule_move"),
    path("rules/<int:pk>/remove/", rules.rule_remove, name="rule_remove"),
    # Billing files
    path("imports/", imports.imports, name="imports"),
    path("imports/new/", imports.import_new, name="import_new"),
    path("imports/accounts/<slug:slug>/", imports.bill_pays_for, name="bill_pays_for"),
    path("imports/<uuid:uuid>/", imports.import_detail, name="import"),
    path("imports/<uuid:uuid>/mapping/", imports.import_mapping, name="import_mapping"),
    path("imports/<uuid:uuid>/confirm/", imports.import_confirm, name="import_confirm"),
    path("imports/<uuid:uuid>/discard/", imports.import_discard, name="import_discard"),
    path("imports/<uuid:uuid>/take-back/", imports.import_take_back, name="import_take_back"),
    # Send data
    path("send/", send_data, name="send_data"),
    path("send/token/", make_push_token, name="make_push_token"),
    path("send/received/", received, name="received"),
    path("send/tokens/<int:pk>/revoke/", revoke_push_token, name="revoke_push_token"),
    path("receipts/receipts.<file_form:form>", files.receipts_file, name="receipts_file"),
    path("send/template.csv", usage_files.usage_template, name="usage_template"),
    path("send/file/", usage_files.usage_file_new, name="usage_file_new"),
    path("send/files/<uuid:uuid>/", usage_files.usage_file, name="usage_file"),
    path("send/files/<uuid:uuid>/confirm/", usage_files.usage_file_confirm, name="usage_file_confirm"),
    path("send/files/<uuid:uuid>/discard/", usage_files.usage_file_discard, name="usage_file_discard"),
    path("send/files/<uuid:uuid>/take-back/", usage_files.usage_file_take_back, name="usage_file_take_back"),
    path("send/files/<uuid:uuid>/rejected.csv", usage_files.usage_file_rejected, name="usage_file_rejected"),
    path("receipts/<uuid:uuid>/take-back/", take_back, name="take_back"),
]
