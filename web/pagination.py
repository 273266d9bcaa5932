"""Lists of the REST API page by cursor: stable while rows are added, and as fast on the last page as on the first."""

from rest_framework import pagination


class CursorPagination(pagination.CursorPagination):
    """100 rows a page, up to 1,000 with `page_size`; a view may set its own `ordering`."""

    page_size = 100
    page_size_query_param = "page_size"
    max_page_size = 1000
    ordering = "-id"
