"""Django's page and mail of an error, which quote the address that was asked for."""

from django.utils.safestring import SafeString
from django.views.debug import ExceptionReporter

from config.logs import without_secret_addresses


class ErrorReport(ExceptionReporter):
    """Without the secret part of an address."""

    def get_traceback_html(self) -> SafeString:
        return SafeString(without_secret_addresses(super().get_traceback_html()))

    def get_traceback_text(self) -> SafeString:
        return SafeString(without_secret_addresses(super().get_traceback_text()))
