"""A table's cells are text: whatever a name holds, it is never markup."""

from types import SimpleNamespace

from django.template import Context, Template

from web.pieces import Head, Table
from web.templatetags.ui import linked_rows


def test_every_cell_is_escaped():
    table = Table(
        caption="<b>",
        heads=[Head("Name"), Head("Amount", is_number=True)],
        rows=[["<script>alert(1)</script>", "1 & 2"]],
        foot=["<i>All</i>", "3"],
    )
    html = Template("{% load ui %}{% data_table table %}").render(Context({"table": table}))
    assert "<script>" not in html
    assert "<i>" not in html
    assert "<b>" not in html
    assert '<th scope="row">&lt;script&gt;alert(1)&lt;/script&gt;</th><td class="num">1 &amp; 2</td>' in html


def test_rows_with_links_escape_every_text():
    def cell(text, *, url="", note="", tone=""):
        return SimpleNamespace(text=text, url=url, note=note, tone=tone)

    def column(label, *, is_number=False):
        return SimpleNamespace(label=label, is_number=is_number)

    line = [
        (column("Model"), cell("<b>", url="/x?a=1&b=2", note="on <i>")),
        (column("Spend & more", is_number=True), cell("1.00")),
        (column("State"), cell("Not <priced>", tone="amber")),
    ]
    html = linked_rows([line])
    assert '<a href="/x?a=1&amp;b=2">&lt;b&gt;</a><span class="sub">on &lt;i&gt;</span>' in html
    assert '<td data-head="Spend &amp; more" class="num"><span>1.00</span></td>' in html
    assert "Not &lt;priced&gt;" in html
