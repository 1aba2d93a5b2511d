// Charts of metrics: mean line with its min/max envelope, drawn by Plotly from curves as JSON.
// The figures stand in a table behind each chart. Colours come from the design tokens.

const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const faint = (colour) => `color-mix(in srgb, ${colour} 18%, transparent)`;
const toRgba = (colour) => {
  // Plotly reads rgb() and hex, not color-mix: a canvas turns any colour into numbers.
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = 1;
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  pen.fillStyle = colour;
  pen.fillRect(0, 0, 1, 1);
  const [r, g, b, a] = pen.getImageData(0, 0, 1, 1).data;
  return `rgba(${r},${g},${b},${(a / 255).toFixed(2)})`;
};

/** Exponential moving average without the pull to zero at the start; gaps stay gaps. */
export function smooth(values, weight) {
  let sum = 0;
  let norm = 0;
  return values.map((value) => {
    if (value === null) return null;
    sum = sum * weight + (1 - weight) * value;
    norm = norm * weight + (1 - weight);
    return sum / norm;
  });
}

/** The x values: steps, or seconds since the curve's first point. */
export const along = (curve, axis) =>
  axis === "time" ? curve.times.map((time) => (time - curve.times[0])) : curve.steps;

function traces(curves, { axis, weight }) {
  const drawn = [];
  for (const curve of curves) {
    const x = along(curve, axis);
    const colour = toRgba(css(`--run-${curve.colour}`));
    const wide = curve.minimum.some((low, i) => low !== curve.maximum[i]);
    if (wide || weight > 0) {
      const shared = { x, mode: "lines", hoverinfo: "skip", showlegend: false, line: { width: 0 }, connectgaps: false };
      drawn.push({ ...shared, y: wide ? curve.minimum : curve.mean });
      drawn.push({ ...shared, y: wide ? curve.maximum : curve.mean, fill: wide ? "tonexty" : "none",
        fillcolor: toRgba(faint(colour)), line: { width: wide ? 0 : 1, color: toRgba(faint(colour)) } });
    }
    drawn.push({
      x, y: weight > 0 ? smooth(curve.mean, weight) : curve.mean, name: curve.label, connectgaps: false,
      mode: x.length < 3 ? "lines+markers" : "lines", line: { color: colour, width: 2, dash: curve.dash },
      hovertemplate: "%{y:.5g}<extra>%{fullData.name}</extra>",
    });
    inherited(curve, axis, colour, drawn);
    marks(curve, x, drawn);
    // What a newer attempt has logged again; the legend shows it.
    for (const old of curve.replaced ?? []) {
      drawn.push({
        x: along(old, axis), y: old.mean, name: `attempt ${old.attempt}, replaced`, visible: "legendonly",
        connectgaps: false, mode: old.steps.length < 3 ? "lines+markers" : "lines",
        line: { color: colour, width: 1, dash: "dot" }, hovertemplate: "%{y:.5g}<extra>%{fullData.name}</extra>",
      });
    }
  }
  return drawn;
}

/** What a fork has of the runs behind it: faint, up to where it begins. */
function inherited(curve, axis, colour, drawn) {
  if (axis === "time") return; // their time is another one
  const parts = curve.inherited ?? [];
  parts.forEach((part, i) => {
    const next = parts[i + 1] ?? curve;
    const joined = next.steps.length > 0;
    drawn.push({
      x: joined ? [...part.steps, next.steps[0]] : part.steps, y: joined ? [...part.mean, next.mean[0]] : part.mean,
      name: `run ${part.run}, before the fork`, connectgaps: false, mode: part.steps.length < 2 ? "lines+markers" : "lines",
      line: { color: toRgba(`color-mix(in srgb, ${colour} 45%, transparent)`), width: 2 },
      hovertemplate: "%{y:.5g}<extra>%{fullData.name}</extra>",
    });
  });
}

/** Mark where values are NaN or infinite: at the height of the last finite one before. */
function marks(curve, x, drawn) {
  const at = [...curve.nonfinite.keys()].filter((i) => curve.nonfinite[i]);
  if (!at.length) return;
  const height = (i) => {
    const before = curve.mean.slice(0, i + 1).findLast((value) => value !== null);
    return before ?? curve.mean.find((value) => value !== null) ?? 0;
  };
  drawn.push({
    x: at.map((i) => x[i]), y: at.map(height), mode: "markers", showlegend: false, name: curve.label,
    marker: { symbol: "x", size: 10, color: toRgba(css("--ink")) },
    text: at.map((i) => `${curve.nonfinite[i]} not finite`), hovertemplate: "%{text}<extra>%{fullData.name}</extra>",
  });
}

function layout(name, { axis, log }, several, low) {
  const ink = toRgba(css("--ink"));
  const line = toRgba(css("--line"));
  const side = { gridcolor: line, zerolinecolor: line, linecolor: line, automargin: true };
  return {
    margin: { l: 56, r: 12, t: 12, b: 44 }, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    font: { color: ink, family: getComputedStyle(document.body).fontFamily, size: 12 }, hovermode: "x unified",
    hoverlabel: { bgcolor: toRgba(css("--panel")), bordercolor: line, font: { color: ink } },
    showlegend: several, legend: { traceorder: "normal", orientation: "h", y: 1.02, yanchor: "bottom", x: 0 },
    // Dragging zooms steps or seconds alone: the values always fill the height. A finger scrolls the page.
    dragmode: matchMedia("(pointer: coarse)").matches ? false : "zoom",
    xaxis: { ...side, title: { text: axis === "time" ? "seconds since its first point" : "step" }, uirevision: axis },
    yaxis: { ...side, fixedrange: true, title: low ? undefined : { text: name }, type: log ? "log" : "linear", exponentformat: "SI" }, uirevision: "kept",
  };
}

/** The y range of what the traces show between two x, with some room; null where that is nothing.
    On a log axis what is not above zero is not shown, and the range is in powers of ten. */
export function fitted(drawn, [from, to], log) {
  const [left, right] = [Math.min(from, to), Math.max(from, to)];
  const scaled = (value) => (log ? Math.log10(value) : value);
  const isShown = (value) => Number.isFinite(value) && (!log || value > 0);
  let low = Infinity;
  let high = -Infinity;
  const take = (value) => {
    low = Math.min(low, value);
    high = Math.max(high, value);
  };
  for (const { x, y, mode, visible } of drawn) {
    if (visible === "legendonly" || visible === false) continue;
    for (let i = 0; i < x.length; i += 1) {
      if (!isShown(y[i])) continue;
      const here = scaled(y[i]);
      if (x[i] >= left && x[i] <= right) take(here);
      if (mode === "markers" || i + 1 >= x.length || !isShown(y[i + 1])) continue;
      // Where the line to the next point crosses an edge, it is in view there.
      const there = scaled(y[i + 1]);
      for (const edge of [left, right]) {
        if ((x[i] - edge) * (x[i + 1] - edge) < 0) {
          take(here + (there - here) * ((edge - x[i]) / (x[i + 1] - x[i])));
        }
      }
    }
  }
  if (low > high) return null;
  const room = (high - low) * 0.06 || (log ? 0.1 : Math.abs(high) * 0.06 || 1);
  return [low - room, high + room];
}

function table(box, curves) {
  const out = document.createElement("table");
  out.className = "table";
  const head = out.createTHead().insertRow();
  for (const word of ["Run", "Step", "Mean", "Min", "Max", "Points"]) {
    const cell = document.createElement("th");
    cell.textContent = word;
    head.append(cell);
  }
  const body = out.createTBody();
  const shown = (value) => (value === null ? "not finite" : Number(value.toPrecision(5)).toString());
  for (const curve of curves) {
    const stride = Math.max(1, Math.ceil(curve.steps.length / 100));
    for (let i = 0; i < curve.steps.length; i += stride) {
      const row = body.insertRow();
      for (const text of [curve.label, curve.steps[i], shown(curve.mean[i]), shown(curve.minimum[i]),
        shown(curve.maximum[i]), curve.count[i]]) row.insertCell().textContent = text;
    }
  }
  box.replaceChildren(out);
}

class Chart {
  constructor(figure) {
    this.figure = figure;
    this.plot = figure.querySelector("[data-chart-plot]");
    this.curves = [];
    this.drawn = false;
    const address = new URLSearchParams(location.hash.slice(1).startsWith("chart&") ? location.hash.slice(7) : "");
    this.options = { log: address.get("log") === "1", axis: address.get("axis") === "time" ? "time" : "step",
      weight: Math.min(0.99, Number(address.get("smooth")) || 0) };
    const [log, range, axis] = ["log", "smooth", "axis"].map((n) => figure.querySelector(`[data-chart-${n}]`));
    log.checked = this.options.log;
    range.value = this.options.weight;
    axis.value = this.options.axis;
    figure.addEventListener("input", () => {
      this.options = { log: log.checked, axis: axis.value, weight: Number(range.value) };
      const { log: l, axis: a, weight } = this.options;
      history.replaceState(history.state, "", `#chart&log=${l ? 1 : 0}&axis=${a}&smooth=${weight}`);
      this.draw();
    });
    this.reset = figure.querySelector("[data-chart-reset]");
    this.reset.addEventListener("click", () => {
      axis.focus();
      window.Plotly.relayout(this.plot, { "xaxis.autorange": true });
    });
    figure.querySelector("[data-chart-details]").addEventListener("toggle", () => this.tabulate());
  }

  async load() {
    if (this.loading) { this.again = true; return; }
    this.loading = true;
    try {
      const { url, name, runs, run, colour, dash } = this.figure.dataset;
      const query = new URLSearchParams({ name });
      if (runs) query.set("runs", runs);
      const answer = await fetch(`${url}?${query}`, { headers: { Accept: "application/json" } });
      if (!answer.ok) throw new Error(`error ${answer.status}`);
      const { curves } = await answer.json();
      this.curves = curves.filter((curve) => curve.steps.length || curve.inherited?.length)
        .map((curve) => (runs ? curve : { ...curve, colour, dash, label: `run ${run}` }));
      this.draw();
    } catch (error) {
      this.say(`The curve could not be loaded (${error.message}). Reload the page to try again.`);
    } finally {
      this.loading = false;
      if (this.again) { this.again = false; this.load(); }
    }
  }

  say(sentence) {
    if (this.drawn) return;
    const line = document.createElement("p");
    line.className = "muted";
    line.textContent = sentence;
    this.plot.replaceChildren(line);
  }

  draw() {
    if (!this.curves.length) { this.say("Nothing was logged under this name yet."); return; }
    if (!window.Plotly) { this.say("The chart cannot be drawn here; its figures are in the table below."); this.tabulate(); return; }
    const first = !this.drawn;
    if (first) this.plot.replaceChildren();
    this.drawn = true;
    window.Plotly.react(this.plot, traces(this.curves, this.options),
      layout(this.figure.dataset.name, this.options,
        this.curves.length > 1 || this.curves.some((curve) => curve.replaced?.length || curve.inherited?.length), this.plot.classList.contains("low")),
      { responsive: true, displaylogo: false, displayModeBar: false, showTips: false, doubleClick: "autosize" });
    if (first) {
      this.plot.on("plotly_relayout", () => this.shown());
      this.plot.on("plotly_restyle", () => this.shown()); // the legend shows or hides a curve
    }
    this.shown();
    this.tabulate();
  }

  /** Where a part is shown, the way back stands beside the chart: Plotly's own note covers it. */
  shown() {
    this.reset.hidden = this.plot.layout.xaxis.autorange !== false;
    this.fit();
  }

  /** The values in view fill the height, also where a part of the steps is shown. */
  fit() {
    const { xaxis, yaxis } = this.plot.layout;
    const range = xaxis.autorange === false ? fitted(this.plot.data, xaxis.range, this.options.log) : null;
    const old = yaxis.autorange === false ? this.range : null;
    if (String(range) === String(old)) return; // its own change comes back here
    this.range = range;
    window.Plotly.relayout(this.plot, range ? { "yaxis.range": range } : { "yaxis.autorange": true });
  }

  tabulate() {
    if (this.figure.querySelector("[data-chart-details]").open) {
      table(this.figure.querySelector("[data-chart-table]"), this.curves);
    }
  }
}

const charts = [];

/** Draw again what is on the screen: the run has logged more. */
export function refresh() {
  for (const chart of charts) if (chart.seen) chart.load();
}

const watcher = new IntersectionObserver((entries) => {
  for (const { isIntersecting, target } of entries) {
    const chart = charts.find((one) => one.figure === target);
    const first = isIntersecting && !chart.seen;
    chart.seen = isIntersecting || chart.seen;
    if (first) chart.load();
  }
}, { rootMargin: "300px" });

/** Take on the charts below this place that are not known yet. */
export function adopt(place) {
  for (const figure of place.querySelectorAll("[data-chart]")) {
    if (charts.some((chart) => chart.figure === figure)) continue;
    charts.push(new Chart(figure));
    watcher.observe(figure);
  }
}

adopt(document);

// Light or dark may change while the page is open.
const recolour = () => charts.forEach((chart) => chart.drawn && chart.draw());
new MutationObserver(recolour).observe(document.documentElement, { attributeFilter: ["data-theme"] });
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", recolour);
