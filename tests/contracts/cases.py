"""The list of bad input: what a source may do, and which style of connector it concerns."""

from __future__ import annotations

# name -> (the kinds of connector that it concerns, what the source does).
BOTH, STATEMENT, COUNTER = ("statement", "counter"), ("statement",), ("counter",)
CASES: dict[str, tuple[tuple[str, ...], str]] = {
    "wrong key": (BOTH, "401 to everything"),
    "no right": (BOTH, "403 to everything"),
    "revoked half-way": (BOTH, "401 from the middle of its paging on"),
    "clock ahead": (BOTH, "its clock is five hours ahead"),
    "clock behind": (BOTH, "its clock is five hours behind"),
    "429 storm": (BOTH, "429 to everything, without a word on when"),
    "429 for an hour": (BOTH, "429 with Retry-After: 3600"),
    "5xx": (BOTH, "500 and 503 in turn"),
    "time-out": (BOTH, "no answer in time"),
    "truncated": (BOTH, "half of the answer, complete to look at"),
    "cut short": (BOTH, "the connection breaks off half-way"),
    "HTML": (BOTH, "a sign-in page"),
    "empty": (BOTH, "an empty body"),
    "cursor repeats": (STATEMENT, "the same page for ever"),
    "more for ever": (STATEMENT, "always another page"),
    "more but not where": (STATEMENT, "more to come, and no cursor"),
    "negative count": (BOTH, "a count below zero"),
    "NaN": (BOTH, "a count that is not a number"),
    "Infinity": (BOTH, "a count without end"),
    "another type": (BOTH, "a count in words"),
    "too large": (BOTH, "a count that no column holds"),
    "negative amount": (STATEMENT, "a credit"),
    "amount NaN": (STATEMENT, "an amount that is not a number"),
    "duplicate rows": (BOTH, "every row twice"),
    "currency never seen": (STATEMENT, "amounts in XTS"),
    "currency that is none": (STATEMENT, "amounts in 'credits'"),
    "rows dropped": (STATEMENT, "rows given before are not given any more"),
    "bounds change": (COUNTER, "a histogram with other buckets"),
    "counter resets": (COUNTER, "lower counts than before"),
    "counter vanishes": (COUNTER, "a page without the counter"),
}


def cases_of(style: str) -> list[str]:
    """The names of the cases that concern a 'statement' or a 'counter' connector."""
    return [name for name, (styles, _) in CASES.items() if style in styles]
