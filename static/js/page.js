// What every page has: theme buttons, copy buttons, messages from htmx, menus that close. All of it works without, too.
const KEY = "phaseline-theme";

function setTheme(choice) {
  const root = document.documentElement;
  if (choice === "system") delete root.dataset.theme;
  else root.dataset.theme = choice;
  try {
    if (choice === "system") localStorage.removeItem(KEY);
    else localStorage.setItem(KEY, choice);
  } catch {
    // Not kept for the next page, but set on this one.
  }
  markTheme();
  document.dispatchEvent(new CustomEvent("phaseline:theme"));
}

function markTheme() {
  const now = document.documentElement.dataset.theme ?? "system";
  for (const button of document.querySelectorAll("[data-theme-choice]")) {
    button.setAttribute("aria-pressed", String(button.dataset.themeChoice === now));
  }
}

// What is said here, in the language of the page.
const words = () => document.getElementById("messages")?.dataset ?? {};

function say(text, tone = "green") {
  const place = document.getElementById("messages");
  if (!place) return;
  const line = document.createElement("p");
  line.className = "message";
  line.dataset.tone = tone;
  line.textContent = text;
  place.replaceChildren(line);
  clearLater(line);
}

async function copyText(text) {
  if (navigator.clipboard && window.isSecureContext) {
    await navigator.clipboard.writeText(text);
    return;
  }
  // Plain http on another host than localhost has no clipboard API.
  const area = document.createElement("textarea");
  area.value = text;
  area.className = "visually-hidden";
  document.body.append(area);
  area.select();
  document.execCommand("copy");
  area.remove();
}

// Good news leaves by itself; what went wrong stays until something else is said.
const SHOWN_MS = 8000;

function clearLater(line) {
  if (line.dataset.tone === "green") setTimeout(() => line.remove(), SHOWN_MS);
}

// After a part was swapped, whoever works by keyboard goes on where they were: at what opened the form, else in the part.
function keepPlace(event) {
  const place = document.getElementById(event.detail.target?.id ?? "");
  if (!place || (document.activeElement && document.activeElement !== document.body)) return;
  const path = (event.detail.pathInfo?.requestPath ?? "").split("?")[0];
  const opener = [...place.querySelectorAll("a[href]")].find((link) => link.getAttribute("href") === path);
  if (!opener) place.tabIndex = -1;
  (opener ?? place).focus({ preventScroll: true });
}

function prepare(root) {
  for (const hidden of root.querySelectorAll("[data-needs-script], [data-copy-button]")) hidden.hidden = false;
  markTheme();
}

document.addEventListener("click", async (event) => {
  const theme = event.target.closest("[data-theme-choice]");
  if (theme) setTheme(theme.dataset.themeChoice);

  const copy = event.target.closest("[data-copy-button]");
  if (copy) {
    const label = copy.textContent;
    await copyText(copy.closest("[data-copy]").querySelector("code").textContent);
    copy.textContent = words().copied;
    say(words().copied);
    setTimeout(() => { copy.textContent = label; }, 2000);
  }

  for (const open of document.querySelectorAll("details.usermenu[open], details.confirm[open]")) {
    if (!open.contains(event.target)) open.open = false;
  }
});

document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  for (const open of document.querySelectorAll("details.usermenu[open], details.confirm[open]")) {
    open.open = false;
    open.querySelector("summary").focus();
  }
});

document.addEventListener("change", (event) => {
  // A filter applies itself when htmx does not do it already; the button stays for those without script.
  const form = event.target.closest("form[data-autosubmit]");
  if (form && !form.hasAttribute("hx-get")) form.requestSubmit();
});

// A second press while the first is on its way would do it twice. htmx keeps its own forms from that.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (event.defaultPrevented || form.method !== "post" || form.hasAttribute("hx-post")) return;
  if (form.dataset.sent) event.preventDefault();
  form.dataset.sent = "1";
});
window.addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("form[data-sent]")) delete form.dataset.sent;
});

document.addEventListener("htmx:afterSettle", keepPlace);
document.addEventListener("phaseline:message", (event) => say(event.detail.text, event.detail.tone));
document.addEventListener("htmx:responseError", (event) => {
  const status = event.detail.xhr.status;
  say(
    status === 403 ? words().refused : `${words().failed} (${status})`,
    "red",
  );
});
document.addEventListener("htmx:sendError", () => say(words().unreachable, "red"));
document.addEventListener("htmx:load", (event) => prepare(event.detail.elt));
prepare(document);
for (const line of document.querySelectorAll("#messages .message")) clearLater(line);
