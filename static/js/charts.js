// Draws <figure data-spec-id="..."> from the JSON script of that id, in the page's theme, as SVG. The chart library is
// loaded only where there is a chart to draw. `ast: true` interprets expressions, so that no eval is needed (CSP).
const here = document.currentScript ?? document.querySelector("script[data-chart-bundle]");
const bundle = here?.dataset.chartBundle;
const configUrl = here?.dataset.chartConfig;
const drawn = new Map();
let parts = null;

function load() {
  parts ??= Promise.all([
    fetch(configUrl).then((answer) => answer.json()),
    window.vegaEmbed ?? new Promise((resolve, reject) => {
      const script = document.createElement("script");
      script.src = bundle;
      script.onload = resolve;
      script.onerror = () => reject(new Error("The chart library did not load."));
      document.head.append(script);
    }),
  ]).then(([config]) => config);
  return parts;
}

function theme() {
  const chosen = document.documentElement.dataset.theme;
  if (chosen) return chosen;
  return matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
}

function withTokens(value, tokens) {
  if (typeof value === "string") return value.startsWith("$") ? (tokens[value.slice(1)] ?? value) : value;
  if (Array.isArray(value)) return value.map((item) => withTokens(item, tokens));
  if (value && typeof value === "object") {
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, withTokens(item, tokens)]));
  }
  return value;
}

// Colours go in as custom properties, so that a page printed from the dark theme comes out in the light one. Ramps are
// interpolated by Vega and stay literal.
const VARIABLES = { idle: "var(--accent-mid)" };

function tokenVariables(tokens) {
  return Object.fromEntries(Object.keys(tokens).map((name) => [name, VARIABLES[name] ?? `var(--${name})`]));
}

function withVariables(light, dark, names, key = "") {
  if (["ramp", "heatmap", "ordinal", "diverging"].includes(key)) return null;
  if (typeof light === "string") return names.get(`${light} ${dark}`) ?? null;
  if (!light || typeof light !== "object") return null;
  return Object.entries(light).map(([name, value]) => [name, withVariables(value, dark?.[name], names, name)]);
}

function configured(config, look) {
  const names = new Map(
    Object.entries(config.tokens.light).map(([name, light]) => [`${light} ${config.tokens.dark[name]}`, `var(--${name})`]),
  );
  const merge = (value, replaced) => {
    if (typeof replaced === "string") return replaced;
    if (!Array.isArray(replaced)) return value;
    const pairs = replaced.map(([name, inner]) => [name, merge(value[name], inner)]);
    return Array.isArray(value) ? pairs.map(([, inner]) => inner) : Object.fromEntries(pairs);
  };
  return merge(config[look], withVariables(config.light, config.dark, names));
}

// Vega-Lite writes a moment as `datetime(ms)`; Vega's interpreter reads its one argument as a year, and every point
// falls on one place. The number itself is the same moment.
function withoutMoments(spec) {
  return JSON.parse(JSON.stringify(spec).replace(/datetime\((-?\d+)\)/g, "$1"));
}

// How the page's language writes figures and months; without it, as in English.
const localForms = JSON.parse(document.getElementById("chart-locale")?.textContent ?? "{}");

async function draw(figure, look) {
  const source = document.getElementById(figure.dataset.specId);
  const config = await load();
  if (!source || !figure.isConnected) return;
  const spec = withTokens(JSON.parse(source.textContent), tokenVariables(config.tokens[look]));
  const canvas = figure.querySelector(".canvas");
  drawn.get(figure)?.finalize();
  // Entries of a legend stand in one line until told otherwise, and run out of a narrow figure.
  const theming = configured(config, look);
  const legend = { ...theming.legend, columns: Math.max(1, Math.floor(canvas.clientWidth / 150)) };
  const result = await window.vegaEmbed(canvas, spec, {
    ast: true,
    patch: withoutMoments,
    renderer: "svg",
    actions: false,
    defaultStyle: false,
    tooltip: { disableDefaultStyle: true, theme: "look" },
    config: { ...theming, legend },
    ...(localForms.number && { formatLocale: localForms.number, timeFormatLocale: localForms.time }),
  });
  drawn.set(figure, result);
  canvas.querySelector("svg")?.setAttribute("aria-hidden", "true");
  figure.dataset.drawn = look;
}

async function drawAll(root = document) {
  const look = theme();
  for (const [figure, result] of drawn) {
    if (!figure.isConnected) {
      result.finalize();
      drawn.delete(figure);
    }
  }
  for (const figure of root.querySelectorAll("figure[data-spec-id]")) {
    if (figure.dataset.drawn === look) continue;
    try {
      await draw(figure, look);
    } catch (error) {
      figure.dataset.drawn = look;
      figure.querySelector(".canvas").textContent = document.getElementById("messages")?.dataset.noDrawing ?? "";
      console.error(error);
    }
  }
}

if (bundle) {
  drawAll();
  document.addEventListener("phaseline:theme", () => drawAll());
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => drawAll());
  document.addEventListener("htmx:afterSettle", () => drawAll());
}
