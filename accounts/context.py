"""What every page's template is given."""

from django.http import HttpRequest


def page(request: HttpRequest) -> dict[str, object]:
    """See the look's base template."""
    return {}
