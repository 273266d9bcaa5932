"""Three people who do the same by what they see: with JavaScript, without it, and by the keyboard alone.

A walk is written once, in roles and names of controls as a screen reader says them. The keyboard's walker never clicks
and never sets the focus: it tabs, and at each stop checks that the focus is visible, inside the window, not behind the
bar, and that the way from stop to stop is the way of reading.
"""

from __future__ import annotations

from datetime import date
from typing import Any

from playwright.sync_api import Locator, Page, expect

# More stops than any page of the walk has: who has not arrived by then goes round in a circle.
MOST_STOPS = 400


class Walker:
    """By mouse; waits for what it is to see, as a person does."""

    def __init__(self, page: Page) -> None:
        self.page = page

    def open(self, address: str) -> None:
        """Types an address into the browser's own bar."""
        answer = self.page.goto(address)
        assert answer is not None
        assert answer.ok, address

    def find(self, role: Any, name: str) -> Locator:
        """The first control of this role with exactly this name."""
        return self.page.get_by_role(role, name=name, exact=True).first

    def field(self, label: str) -> Locator:
        """The first field with exactly this label, '(optional)' aside."""
        return (
            self.page.get_by_label(label, exact=True)
            .or_(self.page.get_by_label(f"{label} (optional)", exact=True))
            .first
        )

    def press(self, role: Any, name: str) -> None:
        """A link, button, or the head of a fold."""
        self.find(role, name).click()

    def unfold(self, words: str) -> None:
        """Opens what stands below a head."""
        self.page.locator("summary", has_text=words).first.click()

    def write(self, label: str, text: str) -> None:
        self.field(label).fill(text)

    def day(self, label: str, on: date) -> None:
        self.field(label).fill(on.isoformat())

    def choose(self, label: str, option: str) -> None:
        """An option of a list, by its whole text."""
        self.field(label).select_option(label=option)

    def pick(self, name: str) -> None:
        """One of several round buttons."""
        self.page.get_by_role("radio", name=name).check()

    def submit(self, name: str) -> None:
        """The button that ends a form."""
        self.press("button", name)

    def sees(self, words: str) -> None:
        """Waits until the words stand on the page, visible."""
        expect(self.page.locator("body")).to_contain_text(words, use_inner_text=True)

    def reads(self, words: str) -> bool:
        return words in self.page.inner_text("body")


# What there is to know about the place of the focus, in one question to the browser.
STOP = """(target) => {
  const el = document.activeElement;
  if (!el || el === document.body || el.id === "main") return {arrived: false, nowhere: true};
  const box = el.getBoundingClientRect();
  const view = {top: Math.max(box.top, 0), left: Math.max(box.left, 0),
                bottom: Math.min(box.bottom, innerHeight), right: Math.min(box.right, innerWidth)};
  const x = (view.left + view.right) / 2, y = (view.top + view.bottom) / 2;
  const top = document.elementFromPoint(x, y);
  const bar = document.querySelector("header.bar");
  const look = getComputedStyle(el);
  const where = target ? el.compareDocumentPosition(target) : 0;
  const last = window.lastStop;
  const inBar = bar && bar.contains(el);
  const here = {el, top: box.top + scrollY, bottom: box.bottom + scrollY, left: box.left, right: box.right};
  const title = (it) => it.getAttribute("aria-label") || it.innerText || it.name || it.id;
  const says = (it) => `${it.tagName} ${title(it)}`.slice(0, 90);
  let order = "";
  if (last && last.el.isConnected && !inBar && el !== last.el && !(bar && bar.contains(last.el))) {
    const after = last.el.compareDocumentPosition(el) & Node.DOCUMENT_POSITION_FOLLOWING;
    const inside = last.el.contains(el) || el.contains(last.el);
    if (!inside && after && here.bottom <= last.top && here.left < last.right && here.right > last.left)
      order = `${says(el)} stands above ${says(last.el)}, and comes after it`;
  }
  window.lastStop = here;
  window.hadPlace = true;
  return {
    arrived: el === target,
    is_before: Boolean(where & Node.DOCUMENT_POSITION_FOLLOWING),
    is_after: Boolean(where & Node.DOCUMENT_POSITION_PRECEDING),
    says: says(el), order,
    name: el.name || "", kind: el.type || "",
    // The calendar button inside a date field has the browser's own ring, which no page can ask about.
    ring: el.type === "date" || look.outlineStyle !== "none" && parseFloat(look.outlineWidth) >= 2,
    seen: view.bottom - view.top >= 1 && view.right - view.left >= 1,
    covered: Boolean(bar && !inBar && top && bar.contains(top)),
  };
}"""


class KeyboardWalker(Walker):
    """By the keyboard alone: Tab, Shift+Tab, Enter, Space, arrows in a list, and typing."""

    def __init__(self, page: Page) -> None:
        super().__init__(page)
        self.stops = 0

    def _look(self, target: Any) -> dict[str, Any]:
        stop = self.page.evaluate(STOP, target)
        if stop.get("nowhere"):
            return stop
        self.stops += 1
        assert stop["ring"], f"no ring around {stop['says']} on {self.page.url}"
        assert stop["seen"], f"outside the window: {stop['says']} on {self.page.url}"
        assert not stop["covered"], f"behind the bar: {stop['says']} on {self.page.url}"
        assert not stop["order"], f"{stop['order']} on {self.page.url}"
        return stop

    def go_to(self, target: Locator) -> None:
        """Tabs until the focus is on the target; backwards where it lies before."""
        target.wait_for()
        handle = target.element_handle()
        stop = self.page.evaluate(STOP, handle)
        if stop.get("arrived"):
            return
        if stop.get("nowhere"):
            self._begin(handle)
        key = "Shift+Tab" if stop.get("is_after") else "Tab"
        for _ in range(MOST_STOPS):
            self.page.keyboard.press(key)
            stop = self._look(handle)
            if stop["arrived"]:
                break
            key = "Shift+Tab" if stop.get("is_after") else "Tab"
        else:
            raise AssertionError(f"{MOST_STOPS} stops and not there: {target} on {self.page.url}")
        if key == "Shift+Tab" and stop["kind"] == "date":
            # From behind one arrives at the field's last part; from before, at its first.
            while self._look(handle)["arrived"]:
                self.page.keyboard.press("Shift+Tab")
            self.page.keyboard.press("Tab")

    def _begin(self, handle: Any) -> None:
        """A fresh page is begun with its skip link; where a part was changed in place, the place is not lost."""
        assert not self.page.evaluate("window.hadPlace"), f"the focus is lost on {self.page.url}"
        if self.page.evaluate("Boolean(location.hash)") or not self.page.evaluate(
            "(it) => document.getElementById('main').contains(it)", handle
        ):
            return
        self.page.keyboard.press("Tab")
        assert self._look(handle)["says"].endswith("Skip to the page")
        self.page.keyboard.press("Enter")
        self.page.wait_for_function("document.activeElement.id === 'main'")

    def press(self, role: Any, name: str) -> None:
        self.go_to(self.find(role, name))
        self.page.keyboard.press("Enter")

    def unfold(self, words: str) -> None:
        self.go_to(self.page.locator("summary", has_text=words).first)
        self.page.keyboard.press("Space")

    def write(self, label: str, text: str) -> None:
        self.go_to(self.field(label))
        self.page.keyboard.press("Control+a")
        self.page.keyboard.type(text)

    def day(self, label: str, on: date) -> None:
        self.go_to(self.field(label))
        self.page.keyboard.type(f"{on:%m%d%Y}")
        assert self.field(label).input_value() == on.isoformat(), label

    def choose(self, label: str, option: str) -> None:
        field = self.field(label)
        self.go_to(field)
        wanted, key = field.evaluate(
            """(it, text) => {
              const at = [...it.options].findIndex((item) => item.text.trim() === text);
              return [at, at < it.selectedIndex ? "ArrowUp" : "ArrowDown"];
            }""",
            option,
        )
        assert wanted >= 0, f"no {option} in {label}"
        for _ in range(MOST_STOPS):
            if field.evaluate("(it) => it.selectedIndex") == wanted:
                return
            self.page.keyboard.press(key)
        raise AssertionError(f"{option} is not reached in {label}")

    def pick(self, name: str) -> None:
        wanted = self.page.get_by_role("radio", name=name)
        group = self.page.locator(f"input[type=radio][name={wanted.get_attribute('name')}]")
        self.go_to(group.and_(self.page.locator(":checked")).or_(group.first).first)
        self.page.keyboard.press("Space")
        for _ in range(group.count()):
            if wanted.is_checked():
                return
            self.page.keyboard.press("ArrowDown")
        assert wanted.is_checked(), name
