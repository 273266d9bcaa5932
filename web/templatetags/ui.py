"""The components of the design system as tags: {% load ui %}. docs/design-system.md shows each in use."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

from django import forms, template
from django.conf import settings
from django.core.paginator import Page
from django.urls import reverse
from django.utils import timezone
from django.utils.html import escape, format_html
from django.utils.safestring import SafeString
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from web import drawings, pieces, wording
from web.bars import draw_bars
from web.charts import is_bundle_built
from web.course import draw_course
from web.file_tables import FORMS
from web.local_forms import local_forms

register = template.Library()
Number = Decimal | int | float


@register.simple_tag
def status(tone: str, word: str, *, chip: bool = False) -> SafeString:
    """{% status "amber" "At risk" %}, with chip=True the wash that the head of a page has."""
    return format_html('<span class="status{}" data-tone="{}">{}</span>', " chip" if chip else "", tone, word)


@register.simple_tag
def tag(text: str) -> SafeString:
    """{% tag "demo" %}: a label, not a state."""
    return format_html('<span class="tag">{}</span>', text)


@register.simple_tag
def icon(name: str) -> SafeString:
    """{% icon "mark" %}: the product's mark."""
    return format_html('<svg class="icon icon--{}" aria-hidden="true" viewBox="0 0 26 16">{}</svg>', name, MARK)


MARK = SafeString(
    '<rect class="past" x="0" y="5" width="5" height="6"/><rect class="now" x="6" y="5" width="8" height="6"/>'
    '<rect class="ahead" x="15" y="5" width="11" height="6"/><path class="today" d="M11.5 0v16"/>'
)


@register.inclusion_tag("components/export_links.html")
def export_links(
    what: str, name: str, *args: Any, query: str = "", imports: str = "", may_import: bool = False
) -> dict[str, Any]:
    """{% export_links "the risks" "roadmap_file" slug "risks" query=query %}: the table above as CSV and XLSX, by the
    address's name and its arguments but the last, with the page's filter.

    `imports`: the name of the address where such a file is imported, for who `may_import`.
    """
    links = [(form.upper(), reverse(name, args=[*args, form]) + query) for form in FORMS]
    return {"what": what, "links": links, "import_url": reverse(imports) if imports and may_import else ""}


@register.inclusion_tag("components/tile.html")
def tile(item: Any) -> dict[str, Any]:
    """{% tile item %} with a web.pieces.Tile."""
    return {
        "tile": item,
        "spark": drawings.draw_spark(item.trend, item.trend_target) if item.trend else None,
        "gauge": drawings.draw_gauge(item.gauge) if item.gauge else None,
    }


@register.inclusion_tag("components/gauge.html")
def gauge(
    value: Number | None,
    limit: Number | None,
    label: str,
    *,
    forecast: Number | None = None,
    higher_is_better: bool = False,
) -> dict[str, Any]:
    """{% gauge spent budget label forecast=forecast %}; nothing is drawn where value or limit is unknown."""
    if value is None or limit is None:
        return {"gauge": None}
    item = pieces.Gauge(value, limit, label, forecast=forecast, higher_is_better=higher_is_better)
    return {"gauge": drawings.draw_gauge(item)}


@register.inclusion_tag("components/spark.html")
def spark(values: Sequence[Number | None], target: Number | None = None) -> dict[str, Any]:
    """{% spark values target %}: a trend of 104 x 36."""
    return {"spark": drawings.draw_spark(values, target)}


@register.inclusion_tag("components/decide.html")
def decide(items: Iterable[Any], limit: int = 0) -> dict[str, Any]:
    """{% decide items %} with web.pieces.Decision rows; with a limit the rest stands in a closed list."""
    rows = list(items)
    return {"shown": rows[:limit] if limit else rows, "rest": rows[limit:] if limit else []}


@register.inclusion_tag("components/plan.html")
def plan_bar(
    phases: Sequence[pieces.PhaseSpan],
    gates: Sequence[pieces.GateMark],
    axis: drawings.Axis,
    today: date,
    label: str,
) -> dict[str, Any]:
    """{% plan_bar row.phases row.gates axis today row.label %} in a cell of class plancell."""
    return {"plan": drawings.draw_plan(phases, gates, axis, today, label)}


@register.inclusion_tag("components/plan_axis.html")
def plan_axis(axis: drawings.Axis, today: date) -> dict[str, Any]:
    """{% plan_axis axis today %} in the head of the column of plan bars."""
    is_inside = axis.start <= today < axis.end
    return {"ticks": axis.years(), "today": axis.at(today) if is_inside else None}


@register.inclusion_tag("components/course.html")
def course(item: pieces.Course) -> dict[str, Any]:
    """{% course item %}: a line to today, what is expected, and the limit."""
    return {"course": draw_course(item)}


@register.inclusion_tag("components/bars.html")
def bars(item: pieces.Bars, *, says: bool = True) -> dict[str, Any]:
    """{% bars item %}: what was, what is expected and what was planned, period by period.

    `says=False` where the finding stands beside it already.
    """
    return {"bars": draw_bars(item), "says": says}


@register.inclusion_tag("components/share.html")
def share_bar(share: float) -> dict[str, Any]:
    """{% share_bar 0.4 %}: a share of a whole, under a figure that says it too."""
    return {"percent": f"{min(max(share, 0.0), 1.0):.1%}"}


@register.inclusion_tag("components/timeline.html")
def timeline(lanes: Sequence[pieces.Lane], axis: drawings.Axis, today: date, label: str) -> dict[str, Any]:
    """{% timeline lanes axis today label %}: the months of one roadmap."""
    return {"timeline": drawings.draw_timeline(lanes, axis, today, label)}


@register.inclusion_tag("components/chart.html")
def chart(item: Any, width: str = "") -> dict[str, Any]:
    """{% chart item %} with a web.pieces.Chart: figure, spec, marks and the table beside it."""
    return {"chart": item, "width": width or item.width, "spec_id": f"spec-{item.id}"}


@register.simple_tag
def has_chart_bundle() -> bool:
    """Whether `manage.py build_charts` has run: without it the tables stand alone."""
    return is_bundle_built()


@register.simple_tag
def this_moment() -> str:
    """{% this_moment as at %}: '22 Nov 2026, 14:00 CET' in the reporting zone."""
    return wording.moment(timezone.now(), settings.REPORTING_ZONE)


@register.simple_tag
def chart_locale() -> dict[str, Any] | None:
    """{% chart_locale as locale %}: how charts write figures and months in this language; None where in English."""
    return local_forms().for_charts


@register.inclusion_tag("components/table.html")
def data_table(table: Any) -> dict[str, Any]:
    """{% data_table table %} with a web.pieces.Table."""
    return {
        "caption": table.caption,
        "note": table.note,
        "heads": table.heads,
        "body": SafeString("".join(_row(table.heads, row) for row in table.rows)),
        "foot": SafeString(_row(table.heads, table.foot)) if table.foot else None,
    }


def _row(heads: Sequence[pieces.Head], row: Sequence[str]) -> str:
    """A row's markup, every cell escaped. Put together here: a year by the day in a template's loops takes too long."""
    first, *others = zip(row, heads, strict=True)
    cells = [
        f'<td class="num">{escape(cell)}</td>' if head.is_number else f"<td>{escape(cell)}</td>"
        for cell, head in others
    ]
    return f'<tr><th scope="row">{escape(first[0])}</th>{"".join(cells)}</tr>'


@register.simple_tag
def linked_rows(lines: Iterable[Sequence[tuple[Any, Any]]]) -> SafeString:
    """{% linked_rows table.lines %}: rows of (column, cell). A column has `label` and `is_number`; a cell `text`, and
    perhaps `url`, `note` (a second line) and `tone`. Every text is escaped; put together here, as `data_table` does."""
    return SafeString("".join(_linked_row(line) for line in lines))


def _linked_row(line: Sequence[tuple[Any, Any]]) -> str:
    (_, first), *others = line
    cells = [
        f'<td data-head="{escape(column.label)}"{NUMBER if column.is_number else ""}>{_linked(cell)}</td>'
        for column, cell in others
    ]
    return f'<tr><th scope="row">{_linked(first)}</th>{"".join(cells)}</tr>'


def _linked(cell: Any) -> str:
    text = str(escape(cell.text))
    if cell.tone:
        text = status(cell.tone, cell.text)
    elif cell.url:
        text = f'<a href="{escape(cell.url)}">{text}</a>'
    note = f'<span class="sub">{escape(cell.note)}</span>' if cell.note else ""
    return f"<span>{text}{note}</span>"


NUMBER = ' class="num"'


@register.inclusion_tag("components/field.html")
def field(bound: forms.BoundField, label: str = "") -> dict[str, Any]:
    """{% field form.name %}: label, control, help and errors, linked by aria-describedby."""
    widget = bound.field.widget
    is_group = isinstance(widget, forms.RadioSelect | forms.CheckboxSelectMultiple)
    return {
        "field": bound,
        "label": label or bound.label,
        "is_box": isinstance(widget, forms.CheckboxInput),
        "is_group": is_group,
        # A list always has a value, and its empty one says what it means.
        "says_optional": not bound.field.required and not isinstance(widget, forms.Select),
    }


@register.inclusion_tag("components/form_fields.html")
def form_fields(form: forms.BaseForm) -> dict[str, Any]:
    """{% form_fields form %}: the form's own errors first, then every field, hidden ones included."""
    return {"form": form}


@register.inclusion_tag("components/form_errors.html")
def form_errors(form: forms.BaseForm) -> dict[str, Any]:
    """{% form_errors form %}: what is wrong with the form as a whole, for a form whose fields are laid out by hand."""
    return {"form": form}


@register.inclusion_tag("components/pager.html", takes_context=True)
def pager(context: template.Context, page: Page, what: str = "") -> dict[str, Any]:
    """{% pager page "receipts" %} of a django.core.paginator.Page; other parameters of the address are kept."""
    return {"page": page, "what": what or _("entries"), "request": context["request"]}


@register.inclusion_tag("components/confirm_delete.html", takes_context=True)
def confirm_delete(context: template.Context, url: str, label: str, question: str, button: str = "") -> dict[str, Any]:
    """{% confirm_delete url "Delete" "Delete the milestone 'Runbook'?" %}: opens in place, asks once, posts."""
    return {
        "url": url,
        "label": label,
        "question": question,
        "button": button or _("Delete"),
        "csrf_token": context.get("csrf_token"),
    }


@register.inclusion_tag("components/copy.html")
def copy_block(text: str, label: str = "") -> dict[str, Any]:
    """{% copy_block text %}: something to paste, with a button where there is JavaScript."""
    return {"text": text, "label": label or _("Copy")}


@register.inclusion_tag("components/languages.html", takes_context=True)
def language_choice(context: template.Context) -> dict[str, Any]:
    """{% language_choice %}: a button per language, which brings the reader back to the page."""
    return {
        "languages": settings.LANGUAGES,
        "current": get_language(),
        "request": context["request"],
        "csrf_token": context.get("csrf_token"),
    }


@register.inclusion_tag("components/tabs.html")
def tabs(items: Iterable[Mapping[str, Any]], label: str) -> dict[str, Any]:
    """{% tabs items "Roadmap" %}: items with text, url, note (optional) and is_current."""
    return {"items": items, "label": label}


@register.inclusion_tag("components/crumbs.html")
def crumbs(*pairs: str) -> dict[str, Any]:
    """{% crumbs "Portfolio" "/" "Claims" "" %}: text and address in turns; an empty address is plain text."""
    return {"crumbs": list(zip(pairs[::2], pairs[1::2], strict=True))}


@register.simple_block_tag
def notice(content: str, tone: str = "", label: str = "") -> SafeString:
    """{% notice tone="amber" %}<p>...</p>{% endnotice %}: one fact that changes how the page is read."""
    return format_html(
        '<aside class="notice" aria-label="{}"{}>{}</aside>',
        label or _("Notice"),
        format_html(' data-tone="{}"', tone) if tone else "",
        content,
    )


@register.simple_block_tag
def empty(content: str) -> SafeString:
    """{% empty %}<p><strong>No backends yet.</strong> ...</p><a class="button" ...>{% endempty %}."""
    return format_html('<div class="empty">{}</div>', content)
