"""What is taken as a mail address, and what is not."""

from __future__ import annotations

import pytest

from roadmap.rules.report_mail import LONGEST_LOCAL, addresses_in, clean_address, mailbox


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("ann@example.org", "ann@example.org"),
        ("  Ann.O'Neil+board@Example.ORG ", "Ann.O'Neil+board@example.org"),
        ("jan@bücher.example", "jan@xn--bcher-kva.example"),
        ("jan@straße.example", "jan@xn--strae-oqa.example"),
    ],
)
def test_it_is_kept_as_it_travels(typed, kept):
    assert clean_address(typed) == kept


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "ann",
        "@example.org",
        "ann@",
        "ann@localhost",
        "ann@@example.org",
        "ann@exa mple.org",
        "ann@example.org\nBcc: eve@example.org",
        "ann@example.org\r\nBcc:eve@example.org",
        "ann\x00@example.org",
        "an n@example.org",
        "ann..b@example.org",
        ".ann@example.org",
        "ann@-example.org",
        "ann@example..org",
        "ann@10.0.0.1",
        "<ann@example.org>",
        '"a b"@example.org',
        "jörg@example.org",
        f"{'a' * (LONGEST_LOCAL + 1)}@example.org",
        f"ann@{'a' * 64}.org",
        "ann@" + ".".join(["a" * 62] * 4) + ".org",
    ],
)
def test_what_is_no_address_is_refused(typed):
    with pytest.raises(ValueError, match="."):
        clean_address(typed)


def test_capitals_are_no_other_mailbox():
    assert mailbox("Ann@Example.org") == mailbox(" ann@example.org ")


def test_what_is_pasted_comes_apart():
    pasted = "ann@x.org, Bob <bob@x.org>;\nmailto:cy@x.org\r\n\n  ,bad one ,"
    assert addresses_in(pasted) == ["ann@x.org", "bob@x.org", "cy@x.org", "bad one"]
