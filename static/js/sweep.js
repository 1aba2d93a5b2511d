// The page of a sweep: best value, parallel coordinates and front from the trials on the page; while
// the sweep runs, what has changed is fetched and put in place.

import { refresh } from "./charts.js";
import * as parallel from "./parallel.js";

const EVERY_MS = 5000;
const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const read = (place = document) => JSON.parse(place.querySelector("#sweep-data")?.textContent ?? "null");

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
        marker: { size: x.length > 200 ? 4 : 8, color: data.trials.map((trial) => css(`--run-${trial.colour}`)) },
        hovertemplate: "%{y:.5g}<br>%{text}<extra></extra>" },
    ],
    layout: layout(sides("trial", { dtick: x.length < 12 ? 1 : undefined }), sides(data.objectives[0].title, { exponentformat: "SI" })),
  };
}

/** An objective in few letters: its metric, and whether low or high is good. */
const named = ({ title, goal }) => {
  const metric = title.split(", ")[0];
  return `${metric.length > 22 ? `…${metric.slice(-21)}` : metric} (${goal === "minimize" ? "low" : "high"} is good)`;
};

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
    layout: layout(sides(named(data.objectives[0])), sides(named(data.objectives[1]))),
  };
}

/** How good each trial is by the first objective, from 0 to 1. */
export function goodness(data) {
  const values = data.trials.map((trial) => trial.values[0]);
  const [low, high] = [Math.min(...values), Math.max(...values)];
  return values.map((value) => {
    const share = low === high ? 1 : (value - low) / (high - low);
    return data.objectives[0].goal === "minimize" ? 1 - share : share;
  });
}

function drawParallel(place, data) {
  const axes = [
    ...data.parameters.map(({ key, log, list }, i) => parallel.axis(key, data.trials.map((trial) => trial.params[i]), { log, list })),
    ...data.objectives.map(({ title }, i) => parallel.axis(title, data.trials.map((trial) => trial.values[i]))),
  ];
  const names = data.trials.map((trial) => [`trial ${trial.number}`, ...data.parameters.map(({ key }, i) => `${key} ${JSON.stringify(trial.params[i])}`),
    ...data.objectives.map(({ title }, i) => `${title} ${trial.values[i]}`)].join("\n"));
  parallel.draw(place, { axes, good: goodness(data), names });
}

const KINDS = { history, front };

function draw() {
  const data = read();
  if (!data?.trials.length) return;
  for (const place of document.querySelectorAll("[data-sweep-chart]")) {
    if (place.dataset.sweepChart === "parallel") drawParallel(place, data);
    else if (window.Plotly) {
      if (!place.classList.contains("js-plotly-plot")) place.replaceChildren();
      const drawn = KINDS[place.dataset.sweepChart](data);
      window.Plotly.react(place, drawn.traces, drawn.layout, { responsive: true, displayModeBar: false, displaylogo: false });
    }
  }
}

let shownTrials = JSON.stringify(read());

/** Put what has changed in place: a piece where somebody is waits until they have left it. */
function put(page) {
  for (const piece of document.querySelectorAll("[data-piece]")) {
    const fresh = page.getElementById(piece.id);
    if (!fresh || piece.outerHTML === fresh.outerHTML || piece.contains(document.activeElement)) continue;
    const scrolled = piece.scrollTop;
    const placed = document.adoptNode(fresh);
    piece.replaceWith(placed);
    placed.scrollTop = scrolled;
  }
}

async function renew() {
  if (!document.getElementById("sweep-head")?.hasAttribute("data-live")) return;
  if (!document.hidden && !document.querySelector("dialog[open]")) {
    const answer = await fetch(location.href).catch(() => null);
    if (answer?.ok) {
      put(new DOMParser().parseFromString(await answer.text(), "text/html"));
      const now = JSON.stringify(read());
      if (now !== shownTrials) { shownTrials = now; draw(); }
      refresh();
    }
  }
  setTimeout(renew, EVERY_MS);
}

draw();
addEventListener("load", draw); // Plotly is deferred: it may come after this module.
setTimeout(renew, EVERY_MS);
new ResizeObserver(() => requestAnimationFrame(draw)).observe(document.querySelector(".sweep-charts"));
new MutationObserver(draw).observe(document.documentElement, { attributeFilter: ["data-theme"] });
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
