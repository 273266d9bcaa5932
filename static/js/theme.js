// Sets the chosen theme before anything is painted. Loaded in the head, without defer.
(() => {
  try {
    const chosen = localStorage.getItem("phaseline-theme");
    if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
  } catch {
    // Storage may be switched off: the system's theme stays.
  }
})();
