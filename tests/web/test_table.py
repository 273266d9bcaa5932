"""A table's cells are text: whatever a name holds, it is never markup."""

from django.template import Context, Template

from web.pieces import Head, Table


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
