// The page of a sweep: best value, parallel coordinates and front from the trials on the page; while
// the sweep runs, what has changed is fetched and put in place.

import { refresh } from "./charts.js";

const EVERY_MS = 5000;
const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const read = (place = document) => JSON.parse(place.querySelector("#sweep-data")?.textContent ?? "null");
// Cividis: the same to colour-blind eyes, light to dark.
const SCALE = "Cividis";

function sides(title, more = {}) {
  return { title: { text: title }, gridcolor: css("--line"), zerolinecolor: css("--line"), linecolor: css("--line"),
    automargin: true, ...more };
}

function layout(xaxis, yaxis) {
  return {
    margin: { l: 56, r: 12, t: 12, b: 44 }, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    font: { color: css("--ink"), family: getComputedStyle(document.body).fontFamily, size: 12 },
    hoverlabel: { bgcolor: css("--panel"), bordercolor: css("--line"), font: { color: css("--ink") } },
    showlegend: false, dragmode: false, xaxis, yaxis,
  };
}

const said = (data) => (trial) => [`trial ${trial.number}`,
  ...data.parameters.map(({ key }, i) => `${key} ${JSON.stringify(trial.params[i])}`)].join("<br>");

/** Each trial's value, and the best so far as a line of steps. */
export function history(data) {
  const down = data.objectives[0].goal === "minimize";
  let best = null;
  const line = data.trials.map(({ values: [value] }) => {
    best = best === null ? value : down ? Math.min(best, value) : Math.max(best, value);
    return best;
  });
  const x = data.trials.map((trial) => trial.number);
  return {
    traces: [
      { x, y: line, mode: "lines", line: { shape: "hv", color: css("--accent"), width: 2 }, hoverinfo: "skip" },
      { x, y: data.trials.map((trial) => trial.values[0]), mode: "markers", text: data.trials.map(said(data)),
        marker: { size: 8, color: data.trials.map((trial) => css(`--run-${trial.colour}`)) },
        hovertemplate: "%{y:.5g}<br>%{text}<extra></extra>" },
    ],
    layout: layout(sides("trial", { dtick: x.length < 12 ? 1 : undefined }), sides(data.objectives[0].title, { exponentformat: "SI" })),
  };
}

/** Two objectives against each other; what no other beats is filled and joined. */
export function front(data) {
  const points = (trials) => ({ x: trials.map((t) => t.values[0]), y: trials.map((t) => t.values[1]), text: trials.map(said(data)) });
  const best = data.trials.filter((trial) => trial.best).sort((a, b) => a.values[0] - b.values[0]);
  const hovertemplate = "%{x:.5g}, %{y:.5g}<br>%{text}<extra></extra>";
  return {
    traces: [
      { ...points(data.trials), mode: "markers", hovertemplate, marker: { size: 8, color: css("--muted"), symbol: "circle-open" } },
      { ...points(best), mode: "lines+markers", hovertemplate, line: { color: css("--accent"), dash: "dot", width: 1 },
        marker: { size: 10, color: css("--accent") } },
    ],
    layout: layout(sides(`${data.objectives[0].goal} ${data.objectives[0].title}`), sides(`${data.objectives[1].goal} ${data.objectives[1].title}`)),
  };
}

/** One axis of the parallel coordinates: numbers, orders of magnitude, or the values of a list. */
export function axis(label, values, { log = false, list = false } = {}) {
  const numbers = values.every((value) => typeof value === "number");
  if (!numbers || (list && new Set(values).size <= 12)) {
    const kinds = [...new Set(values)].sort((a, b) => (numbers ? a - b : String(a).localeCompare(String(b))));
    return { label, values: values.map((value) => kinds.indexOf(value)), tickvals: kinds.map((_, i) => i),
      ticktext: kinds.map((kind) => (typeof kind === "string" ? kind : JSON.stringify(kind))), range: [-0.3, kinds.length - 0.7] };
  }
  if (!log) return { label, values };
  const exponents = values.map(Math.log10);
  const [low, high] = [Math.floor(Math.min(...exponents)), Math.ceil(Math.max(...exponents))];
  const ticks = Array.from({ length: high - low + 1 }, (_, i) => low + i);
  return { label, values: exponents, range: [low, high], tickvals: ticks, ticktext: ticks.map((tick) => Number(`1e${tick}`).toPrecision(1)) };
}

export function parallel(data) {
  const values = data.trials.map((trial) => trial.values[0]);
  const dimensions = [
    ...data.parameters.map(({ key, log, list }, i) => axis(key, data.trials.map((trial) => trial.params[i]), { log, list })),
    ...data.objectives.map(({ title }, i) => axis(title, data.trials.map((trial) => trial.values[i]))),
  ];
  const ink = css("--ink");
  return {
    traces: [{ type: "parcoords", dimensions, labelfont: { color: ink, size: 12 }, tickfont: { color: ink, size: 11 },
      rangefont: { color: "rgba(0,0,0,0)" },
      line: { color: values, colorscale: SCALE, reversescale: data.objectives[0].goal === "minimize", showscale: false } }],
    layout: { ...layout({}, {}), margin: { l: 64, r: 48, t: 48, b: 20 } },
  };
}

const KINDS = { history, front, parallel };

function draw() {
  const data = read();
  if (!data || !window.Plotly) return;
  for (const place of document.querySelectorAll("[data-sweep-chart]")) {
    if (!data.trials.length) continue;
    if (!place.classList.contains("js-plotly-plot")) place.replaceChildren();
    const drawn = KINDS[place.dataset.sweepChart](data);
    window.Plotly.react(place, drawn.traces, drawn.layout, { responsive: true, displayModeBar: false, displaylogo: false });
  }
}

let shownTrials = JSON.stringify(read());

/** Put what has changed in place; a row where somebody is keeps its focus. */
async function renew() {
  const live = document.getElementById("sweep-live");
  if (!live?.hasAttribute("data-live")) return;
  if (!document.hidden && !document.querySelector("dialog[open]") && !live.contains(document.activeElement)) {
    const answer = await fetch(location.href).catch(() => null);
    if (answer?.ok) {
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const fresh = page.getElementById("sweep-live");
      if (fresh) {
        if (fresh.outerHTML !== live.outerHTML) live.replaceWith(document.adoptNode(fresh));
        document.querySelector(".head .actions")?.replaceChildren(...(page.querySelector(".head .actions")?.childNodes ?? []));
        const now = JSON.stringify(read());
        if (now !== shownTrials) { shownTrials = now; draw(); }
        refresh();
      }
    }
  }
  setTimeout(renew, EVERY_MS);
}

draw();
addEventListener("load", draw); // Plotly is deferred: it may come after this module.
setTimeout(renew, EVERY_MS);
new MutationObserver(draw).observe(document.documentElement, { attributeFilter: ["data-theme"] });
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
