"""Bad input of sources that show counters in Prometheus' text format."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any, ClassVar

import pytest

from tests.contracts.bad_input import BadInput, Pulled
from tests.doubles.source_server import Asked, Play, Reply


class BadCounters(BadInput):
    """The cases for pages of counters in Prometheus' text format. `counter` names one that `good` and `later` show."""

    counter: ClassVar[str] = ""

    def later(self, asked: Asked) -> Reply:
        raise NotImplementedError

    def usual(self, asked: Asked) -> Reply:
        return self.later(asked)

    def begin(self, pulled: Pulled) -> None:
        assert pulled.pull(after=timedelta(minutes=-5)) is not None, pulled.backend.problem
        pulled.source.play = self.later
        super().begin(pulled)

    def altered(self, field: str, value: Any) -> Play:
        shown = {float("inf"): "+Inf", float("-inf"): "-Inf"}.get(value, "NaN" if value != value else str(value))
        return self._lines(lambda line: [f"{line.rsplit(' ', 1)[0]} {shown}"] if self._is_counter(line) else [line])

    def repeated(self) -> Play:
        return self._lines(lambda line: [line] if line.startswith("#") else [line, line])

    def rebounded(self) -> Play:
        """Histograms with other bounds and the same counts."""
        other = lambda found: f'le="{float(found[1]) * 1.5:g}"'  # noqa: E731
        return self._lines(lambda line: [re.sub(r'le="([0-9.e+-]+)"', other, line)])

    def vanished(self) -> Play:
        """The page without the counter."""
        return self._lines(lambda line: [] if self._is_counter(line) else [line])

    def _is_counter(self, line: str) -> bool:
        assert self.counter, "name a counter that `good` shows"
        return line.startswith((f"{self.counter}{{", f"{self.counter} "))

    def _lines(self, change: Callable[[str], list[str]]) -> Play:
        def play(asked: Asked) -> Reply:
            reply = self.usual(asked)
            text = reply.body if isinstance(reply.body, str) else reply.body.decode()
            return replace(reply, body="\n".join(new for line in text.splitlines() for new in change(line)) + "\n")

        return play

    def adds_only(self, pulled: Pulled, play: Play) -> None:
        """What was counted stays; if the page cannot be read there is a sentence."""
        pulled.source.play = play
        found = pulled.pull(after=timedelta(minutes=5))
        if found is None:
            pulled.assert_says_why()
        now = pulled.sums()
        for key, sums in pulled.before.items():
            for name, value in sums.items():
                assert now[key].get(name, 0) >= value, (key, name)

    def _bounds_change(self, pulled: Pulled, monkeypatch: pytest.MonkeyPatch) -> None:
        self.adds_only(pulled, self.rebounded())

    def _counter_resets(self, pulled: Pulled, monkeypatch: pytest.MonkeyPatch) -> None:
        self.adds_only(pulled, self.good)
        assert "restarted" in pulled.backend.pulls.first().message
        assert pulled.sums() != pulled.before

    def _counter_vanishes(self, pulled: Pulled, monkeypatch: pytest.MonkeyPatch) -> None:
        self.adds_only(pulled, self.vanished())
        self.recovers(pulled)
