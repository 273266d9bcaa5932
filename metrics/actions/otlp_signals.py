"""The signal that a token does not count: acknowledged, noted that it came, and never kept."""

from __future__ import annotations

from datetime import datetime

from accounts.models import Token
from metrics.actions.usage import note_problem
from metrics.arrivals import has_arrived, note_arrival
from metrics.exported import Exported

CODE = "signal_not_counted"


def acknowledged(token: Token, signal: str, now: datetime) -> Exported:
    """What the sender of usage in the other signal is answered: nothing, unless that is all that it sends.

    Then the answer says so, as do the Send data page and 'Needs a decision' (metrics.arrivals.undecided).
    """
    is_noted = note_arrival(token, signal, now=now)
    exported = Exported()
    if not has_arrived(token, token.signal, now=now):
        detail = (
            f"This token counts {token.signal}, and only {signal} arrive: acknowledged, not counted. "
            f"To count them, press 'Count them' under 'Needs a decision', or change the token's signal."
        )
        exported.note(CODE, detail)
        if is_noted:
            note_problem(token, code=CODE, detail=detail)
    return exported
