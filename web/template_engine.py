"""Django's templates, in which a bare number is written as code writes it.

Django writes `{{ x }}` as the reader's language does: 3,35 in Dutch. Here bare numbers are coordinates of drawings, ids
and values of fields, which have one form; figures for people go through web.wording's filters, whatever the language.
"""

from collections.abc import Mapping
from typing import Any

from django.http import HttpRequest
from django.template import TemplateDoesNotExist
from django.template.backends.django import DjangoTemplates, Template, reraise
from django.template.context import make_context
from django.utils.safestring import SafeString


class PlainNumberTemplate(Template):
    """A template whose context localises nothing by itself."""

    def render(self, context: Mapping[str, Any] | None = None, request: HttpRequest | None = None) -> SafeString:
        """As Django's own, but for the numbers."""
        made = make_context(dict(context) if context else None, request, autoescape=self.backend.engine.autoescape)
        made.use_l10n = False
        try:
            return self.template.render(made)
        except TemplateDoesNotExist as error:
            reraise(error, self.backend)
            raise


class PlainNumbers(DjangoTemplates):
    """The backend of settings.TEMPLATES."""

    def from_string(self, template_code: str) -> Template:
        return PlainNumberTemplate(self.engine.from_string(template_code), self)

    def get_template(self, template_name: str) -> Template:
        try:
            return PlainNumberTemplate(self.engine.get_template(template_name), self)
        except TemplateDoesNotExist as error:
            reraise(error, self)
            raise
