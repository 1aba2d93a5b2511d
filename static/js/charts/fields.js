// Panels of values that runs have once: scatter, parallel coordinates, bars with intervals. Drawn as
// SVG, in which each run is a link.

import { Panel } from "./panel.js";
import { figure, roomy, scale, ticks } from "./scales.js";
import { rasterised, save } from "./saving.js";
import { sentence } from "./source.js";

// Viridis: read as an order in grey and by eyes that see fewer colours.
const RAMP = [[68, 1, 84], [59, 82, 139], [33, 145, 140], [94, 201, 98], [253, 231, 37]];
const part = (share, isDark) => {
  // The end that the ground would swallow is left out.
  const at = (Math.min(Math.max(share, 0), 1) * 0.85 + (isDark ? 0.15 : 0)) * (RAMP.length - 1);
  const [low, high] = [RAMP[Math.floor(at)], RAMP[Math.ceil(at)]];
  return `rgb(${low.map((value, n) => Math.round(value + (high[n] - value) * (at % 1))).join(",")})`;
};

function svg(tag, attributes = {}, ...inside) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) if (value !== null) element.setAttribute(name, value);
  element.append(...inside);
  return element;
}

const shown = (value) => (typeof value === "number" ? figure(value) : value ?? "–");

/** An axis of a field: where a value stands on it, and its ticks. Words stand in their order. */
function axisOf(values, { start, end, log, most }) {
  const there = values.filter((value) => value !== null);
  const isNumber = there.length > 0 && there.every((value) => typeof value === "number");
  if (!isNumber) {
    const words = [...new Set(there.map(String))].sort();
    const at = (value) => (value === null ? null : start + ((words.indexOf(String(value)) + 0.5) / words.length) * (end - start));
    return { at, isNumber, ticks: words.slice(0, 24).map((text) => ({ value: text, text })) };
  }
  const usable = there.filter((value) => !log || value > 0);
  const [low, high] = usable.length ? roomy(Math.min(...usable), Math.max(...usable), log) : [1, 2];
  const line = scale({ from: low, to: high, start, end, log });
  const at = (value) => (value === null || (log && value <= 0) ? null : line.pixel(value));
  return { at, isNumber, low: Math.min(...usable), high: Math.max(...usable), value: line.value, ticks: ticks({ from: low, to: high, log, most }) };
}

class Fields extends Panel {
  constructor(spec, page) {
    super(spec, page);
    this.place.classList.add("of-fields");
    new ResizeObserver(() => { if (this.overview) this.show(); }).observe(this.place);
  }

  named() { return this.spec.fields.map((key) => this.titleOf(key)).join(" · ") || "No field yet"; }

  /** Log axes are a panel's own here: what is on the page's Y is on no axis of these. */
  setting(name) {
    return name.startsWith("log_") ? this.spec.settings[name] ?? false : super.setting(name);
  }

  titleOf(key) {
    return this.page.data.fields.find((field) => field.key === key)?.title ?? key.replace(/^(metric|config)\./, "");
  }

  query(names) {
    const query = new URLSearchParams({ runs: this.page.runs.map(({ number }) => number).join(",") });
    for (const [name, value] of names) query.append(name, value);
    return query;
  }

  async ask(url, names) {
    const answer = await fetch(`${url}?${this.query(names)}`);
    if (!answer.ok) throw new Error(await sentence(answer));
    return answer.json();
  }

  async load() {
    if (this.spec.fields.length < this.constructor.least) { this.say(this.constructor.missing); return; }
    this.overview = await this.ask(this.page.data.urls.values, this.spec.fields.map((key) => ["field", key]));
    this.show();
  }

  /** The runs that are not hidden, with their values. */
  get shown() {
    return this.overview.rows.map(({ run, values }) => ({ run: this.page.byNumber.get(run), values }))
      .filter(({ run }) => run && !run.hidden);
  }

  style(name) { return getComputedStyle(this.place).getPropertyValue(name).trim(); }

  /** An empty picture as large as its place. */
  canvas() {
    const { clientWidth: width, clientHeight: height } = this.place;
    const picture = svg("svg", { width, height, viewBox: `0 0 ${width} ${height}`, role: "group", "font-size": 11,
      "font-family": getComputedStyle(this.place).fontFamily, "aria-label": `${this.title}. Its figures as a table are in its menu.` });
    this.place.replaceChildren(picture);
    return { picture, width, height, ink: this.style("--ink"), muted: this.style("--muted"), line: this.style("--line") };
  }

  text(words, x, y, { anchor = "start", fill = this.style("--muted"), weight = null } = {}) {
    return svg("text", { x, y, "text-anchor": anchor, fill, "font-weight": weight, "dominant-baseline": "middle",
      stroke: this.style("--panel"), "stroke-width": 3, "paint-order": "stroke" }, words);
  }

  /** A run as a link: what is drawn of it, with words for who cannot see it. */
  link(run, words, ...drawn) {
    const link = svg("a", { href: run.url, "aria-label": words }, ...drawn, svg("title", {}, words));
    return link;
  }

  /** Whether the page's ground is dark. */
  isDark() {
    const [red] = this.style("--panel").match(/\d+/g) ?? [255];
    return Number(red) < 128;
  }

  /** The colour of each run by a field: a ramp for numbers, the run colours for words. */
  paintsBy(place) {
    const values = this.shown.map(({ values: own }) => own[place]);
    const { isNumber, low, high } = axisOf(values, { start: 0, end: 1, most: 2 });
    if (!isNumber) {
      const words = [...new Set(values.map(String))].sort();
      return (value) => (value === null ? this.style("--edge") : this.page.colours[words.indexOf(String(value)) % 8]);
    }
    const isDark = this.isDark();
    return (value) => (value === null ? this.style("--edge") : part(high > low ? (value - low) / (high - low) : 0.5, isDark));
  }

  rows() {
    return [["Run", ...this.overview.fields.map(({ title }) => title)],
      ...this.shown.map(({ run, values }) => [run.label, ...values])];
  }

  async picture(kind) {
    const drawing = this.place.querySelector("svg");
    if (!drawing) return;
    const copy = drawing.cloneNode(true);
    copy.setAttribute("xmlns", "http://www.w3.org/2000/svg");
    const text = new XMLSerializer().serializeToString(copy);
    const { clientWidth, clientHeight } = this.place;
    const content = kind === "svg" ? text : await rasterised(text, clientWidth, clientHeight, this.style("--panel"));
    save(content, kind === "svg" ? "image/svg+xml" : "image/png", `${this.title}.${kind}`);
  }
}

export class Scatter extends Fields {
  static least = 2;
  static missing = "Choose two fields, X and Y, and perhaps a third for the colour: Edit, in its menu.";

  named() {
    const [x, y, colour] = this.spec.fields.map((key) => this.titleOf(key));
    return x && y ? `${y} against ${x}${colour ? `, coloured by ${colour}` : ""}` : "No fields yet";
  }

  show() {
    const { picture, width, height, line, muted } = this.canvas();
    const runs = this.shown;
    const column = (place) => runs.map(({ values }) => values[place]);
    const y = axisOf(column(1), { start: height - 34, end: 10, log: this.setting("log_y"), most: Math.max(2, height / 36) });
    const left = Math.min(width / 3, Math.max(...y.ticks.map(({ text }) => text.length), 2) * 6.4 + 14);
    const x = axisOf(column(0), { start: left, end: width - 12, log: this.setting("log_x"), most: Math.max(2, (width - left) / 80) });
    for (const { value, text } of y.ticks) {
      picture.append(svg("path", { d: `M${left} ${y.at(value)}H${width - 12}`, stroke: line }),
        this.text(text.slice(0, 18), left - 6, y.at(value), { anchor: "end" }));
    }
    for (const { value, text } of x.ticks) picture.append(this.text(text.slice(0, 14), x.at(value), height - 24, { anchor: "middle" }));
    const [xTitle, yTitle, colour] = this.overview.fields.map(({ title }) => title);
    picture.append(this.text(xTitle, width - 12, height - 8, { anchor: "end", fill: muted }));
    const paint = colour ? this.paintsBy(2) : null;
    let without = 0;
    for (const { run, values } of runs) {
      const [across, up] = [x.at(values[0]), y.at(values[1])];
      if (across === null || up === null) { without += 1; continue; }
      const words = `${run.label}: ${xTitle} ${shown(values[0])}, ${yTitle} ${shown(values[1])}${colour ? `, ${colour} ${shown(values[2])}` : ""}`;
      const dot = svg("circle", { cx: across.toFixed(1), cy: up.toFixed(1), r: 5, "fill-opacity": 0.85,
        fill: paint ? paint(values[2]) : this.page.colours[run.colour - 1], stroke: this.style("--panel") });
      picture.append(this.link(run, words, dot));
    }
    const words = [`${runs.length - without} runs`];
    if (without) words.push(`${without} without a value${this.setting("log_x") || this.setting("log_y") ? " above zero" : ""}`);
    if (colour) words.push(`colour: ${colour}, ${range(column(2))}`);
    this.foot.textContent = words.join(" · ");
    return { picture, x, y, paint, box: { left, right: width - 12, top: 10, bottom: height - 34 } };
  }
}

const CELL = 12; // pixels
const NEAR = 70;

export class Contour extends Scatter {
  static least = 3;
  static missing = "Choose three fields with numbers, X, Y and what the surface shows: Edit, in its menu.";

  named() {
    const [x, y, surface] = this.spec.fields.map((key) => this.titleOf(key));
    return surface ? `${surface} over ${x} and ${y}` : "No fields yet";
  }

  /** Behind the runs a surface: in each cell the mean of the runs near it, the nearer the more. */
  show() {
    const { picture, x, y, paint, box } = super.show();
    const points = this.shown.map(({ values: [across, up, value] }) => [x.at(across), y.at(up), value])
      .filter(([across, up, value]) => across !== null && up !== null && typeof value === "number");
    const cells = svg("g", { "aria-hidden": "true" });
    for (let left = box.left; left < box.right; left += CELL) {
      for (let top = box.top; top < box.bottom; top += CELL) {
        const value = this.at(points, left + CELL / 2, top + CELL / 2);
        if (value === null) continue;
        cells.append(svg("rect", { x: left, y: top, width: Math.min(CELL, box.right - left), height: Math.min(CELL, box.bottom - top),
          fill: paint(value), "fill-opacity": 0.45 }));
      }
    }
    picture.prepend(cells);
    this.foot.textContent += " · surface: mean of runs nearby";
  }

  at(points, across, up) {
    let sum = 0;
    let norm = 0;
    for (const [x, y, value] of points) {
      const distance = Math.hypot(x - across, y - up);
      if (distance > NEAR) continue;
      const weight = ((NEAR - distance) / (NEAR * (distance + 1))) ** 2;
      sum += weight * value;
      norm += weight;
    }
    return norm > 0 ? sum / norm : null;
  }
}

const range = (values) => {
  const there = values.filter((value) => value !== null);
  if (!there.length) return "no values";
  return there.every((value) => typeof value === "number") ? `${shown(Math.min(...there))} (dark) to ${shown(Math.max(...there))} (light)`
    : [...new Set(there.map(String))].sort().slice(0, 8).join(", ");
};

export class Parallel extends Fields {
  static least = 2;
  static missing = "Choose two fields or more, the last for the colour: Edit, in its menu.";

  show() {
    const { picture, width, height, ink, line } = this.canvas();
    const runs = this.shown;
    const fields = this.overview.fields;
    this.brushes ??= new Map();
    const [top, bottom] = [34, height - 12];
    const across = (n) => 46 + (n * (width - 110)) / (fields.length - 1);
    const axes = fields.map((field, n) => axisOf(runs.map(({ values }) => values[n]),
      { start: bottom, end: top, log: this.setting("log_y") && field.number, most: 6 }));
    const isIn = ({ values }) => [...this.brushes].every(([n, [low, high]]) => {
      const at = axes[n]?.at(values[n] ?? null);
      return at !== null && at !== undefined && at >= low && at <= high;
    });
    const paint = this.paintsBy(fields.length - 1);
    const chosen = runs.filter(isIn);
    for (const row of [...runs.filter((one) => !isIn(one)), ...chosen]) {
      const points = row.values.map((value, n) => [across(n), axes[n].at(value)]).filter(([, y]) => y !== null);
      if (points.length < 2) continue;
      const words = `${row.run.label}: ${fields.map(({ title }, n) => `${title} ${shown(row.values[n])}`).join(", ")}`;
      const path = svg("path", { d: `M${points.map(([x, y]) => `${x.toFixed(1)} ${y.toFixed(1)}`).join("L")}`, fill: "none",
        stroke: paint(row.values.at(-1)), "stroke-width": 1.6, "stroke-opacity": isIn(row) ? 0.9 : 0.1 });
      picture.append(isIn(row) ? this.link(row.run, words, path) : path);
    }
    axes.forEach((axis, n) => picture.append(...this.axis(axis, n, { x: across(n), top, bottom, ink, line, title: fields[n].title })));
    this.foot.textContent = `${chosen.length} of ${runs.length} runs${this.brushes.size ? "; double-click an axis to take its range away" : "; drag along an axis to choose a range"} · colour: ${fields.at(-1).title}, ${range(runs.map(({ values }) => values.at(-1)))}`;
  }

  axis(axis, n, { x, top, bottom, ink, line, title }) {
    const brush = this.brushes.get(n);
    const hit = svg("rect", { x: x - 12, y: top - 4, width: 24, height: bottom - top + 8, fill: "transparent", tabindex: 0, role: "slider",
      "aria-label": `${title}: up and down choose a fifth of its range, Escape all of it`, "aria-orientation": "vertical",
      "aria-valuenow": brush ? Math.round((bottom - brush[0]) / (bottom - top) * 100) : 100, "aria-valuemin": 0, "aria-valuemax": 100 });
    hit.style.cursor = "ns-resize";
    hit.addEventListener("pointerdown", (event) => this.brush(event, n, hit));
    hit.addEventListener("dblclick", () => { this.brushes.delete(n); this.show(); });
    hit.addEventListener("keydown", (event) => this.typed(event, n, top, bottom));
    return [
      svg("path", { d: `M${x} ${top}V${bottom}`, stroke: line }),
      this.text(title.length > 18 ? `…${title.slice(-17)}` : title, x, 10, { anchor: "middle", fill: ink, weight: 600 }),
      ...axis.ticks.map(({ value, text }) => this.text(text.slice(0, 10), x - 5, axis.at(value), { anchor: "end" })),
      ...(brush ? [svg("rect", { x: x - 6, y: brush[0], width: 12, height: brush[1] - brush[0], fill: ink, "fill-opacity": 0.25 })] : []),
      hit,
    ];
  }

  brush(event, n, hit) {
    const { top } = this.place.getBoundingClientRect();
    const start = event.clientY - top;
    hit.setPointerCapture(event.pointerId);
    const end = (last) => {
      const ends = [start, last.clientY - top].sort((a, b) => a - b);
      if (ends[1] - ends[0] > 4) this.brushes.set(n, ends);
      this.show();
    };
    hit.addEventListener("pointerup", end, { once: true });
  }

  typed(event, n, top, bottom) {
    const fifth = (bottom - top) / 5;
    const [low] = this.brushes.get(n) ?? [event.key === "ArrowUp" ? bottom : top - fifth];
    const to = { ArrowUp: low - fifth, ArrowDown: low + fifth }[event.key];
    if (event.key === "Escape") this.brushes.delete(n);
    else if (to === undefined) return;
    else this.brushes.set(n, [Math.min(Math.max(to, top), bottom - fifth), Math.min(Math.max(to, top), bottom - fifth) + fifth]);
    event.preventDefault();
    event.stopPropagation();
    this.show();
    this.place.querySelectorAll("[role=slider]")[n].focus();
    this.page.speak(this.foot.textContent);
  }
}

export class Bars extends Fields {
  static least = 1;
  static missing = "Choose one field: Edit, in its menu.";

  named() {
    const [field] = this.spec.fields;
    return field ? this.titleOf(field) : "No field yet";
  }

  async load() {
    if (!this.spec.fields.length) { this.say(Bars.missing); return; }
    const group = this.setting("group");
    this.grouped = group.length > 0;
    const names = [["field", this.spec.fields[0]], ["group", (this.grouped ? group : ["number"]).join(",")]];
    this.overview = await this.ask(this.page.data.urls.bars, names);
    this.show();
  }

  get shown() {
    return this.overview.bars.filter(({ runs }) => this.grouped || !this.page.byNumber.get(runs[0])?.hidden);
  }

  show() {
    const { picture, width, height, ink, line } = this.canvas();
    const bars = this.shown;
    if (!bars.length) { this.say("None of these runs has a number there."); return; }
    const ends = bars.flatMap(({ mean, low, high }) => [mean, low ?? mean, high ?? mean]);
    const left = Math.min(width * 0.4, Math.max(...bars.map((bar) => this.label(bar).length)) * 6.2 + 12);
    const [from, to] = [Math.min(0, ...ends), Math.max(0, ...ends)];
    const x = scale({ from, to: to === from ? from + 1 : to, start: left, end: width - 76 });
    const size = Math.max(14, Math.min(28, (height - 20) / bars.length));
    picture.setAttribute("height", Math.max(height, bars.length * size + 20));
    picture.style.height = `${Math.max(height, bars.length * size + 20)}px`;
    this.place.style.overflowY = bars.length * size + 20 > height ? "auto" : "";
    bars.forEach((bar, n) => {
      const middle = 10 + (n + 0.5) * size;
      const [start, end] = [x.pixel(0), x.pixel(bar.mean)].sort((a, b) => a - b);
      const first = this.page.byNumber.get(bar.runs[0]);
      const colour = this.grouped ? this.page.colours[n % 8] : this.page.colours[first.colour - 1];
      const drawn = [
        this.text(this.label(bar), left - 6, middle, { anchor: "end", fill: ink }),
        svg("rect", { x: start, y: middle - size * 0.32, width: Math.max(end - start, 1), height: size * 0.64, fill: colour, "fill-opacity": 0.75 }),
        this.text(figure(bar.mean, 4), width - 6, middle, { anchor: "end", fill: ink }),
      ];
      if (bar.low !== null) {
        const [low, high] = [x.pixel(bar.low), x.pixel(bar.high)];
        drawn.push(svg("path", { d: `M${low} ${middle}H${high}M${low} ${middle - 4}v8M${high} ${middle - 4}v8`, stroke: ink, "stroke-width": 1.5 }));
      }
      picture.append(svg("g", {}, ...drawn, svg("title", {}, this.words(bar))));
    });
    picture.append(svg("path", { d: `M${x.pixel(0)} 6V${10 + bars.length * size}`, stroke: line }));
    this.foot.textContent = this.grouped ? "mean of the runs of a group with its 95 % interval (t); groups whose intervals overlap may not differ"
      : "one bar a run; group by a setting to see means with intervals";
  }

  label(bar) {
    const words = this.grouped ? `${bar.label} (${bar.n})` : this.page.byNumber.get(bar.runs[0])?.label ?? bar.label;
    return words.length > 34 ? `${words.slice(0, 33)}…` : words;
  }

  words(bar) {
    const interval = bar.low === null ? "" : `, 95 % interval ${figure(bar.low)} to ${figure(bar.high)}`;
    return `${this.label(bar)}: ${figure(bar.mean)}${interval}; runs ${bar.runs.join(", ")}`;
  }

  rows() {
    return [["Group", "Runs", "Mean", "Low", "High"], ...this.shown.map((bar) => [this.label(bar), bar.n, bar.mean, bar.low, bar.high])];
  }
}

export class Importance extends Fields {
  static missing = "Choose the field that settings may matter for: Edit, in its menu.";

  named() {
    const [field] = this.spec.fields;
    return field ? `What matters for ${this.titleOf(field)}` : "No field yet";
  }

  async load() {
    if (!this.spec.fields.length) { this.say(Importance.missing); return; }
    this.overview = await this.ask(this.page.data.urls.importance, [["field", this.spec.fields[0]]]);
    this.show();
  }

  show() {
    const { rows, note, method, count, explained } = this.overview;
    if (!rows.length) { this.say(note); this.foot.textContent = ""; return; }
    const { picture, width, height, ink, muted } = this.canvas();
    const size = Math.max(16, Math.min(28, (height - 12) / rows.length));
    const left = Math.min(width * 0.4, Math.max(...rows.map(({ title }) => title.length)) * 6.4 + 12);
    const most = Math.max(...rows.map(({ share }) => share)) || 1;
    const high = Math.max(height, rows.length * size + 12);
    picture.setAttribute("height", high);
    picture.style.height = `${high}px`;
    this.place.style.overflowY = high > height ? "auto" : "";
    rows.forEach(({ title, share, trend }, n) => {
      const middle = 6 + (n + 0.5) * size;
      const way = trend === null ? "" : Math.abs(trend) < 0.2 ? "" : trend > 0 ? " ↑" : " ↓";
      const words = `${title}: ${(share * 100).toFixed(0)} % of what matters${trend === null ? "" : `, rank correlation ${figure(trend, 2)}`}`;
      picture.append(svg("g", {}, this.text(title, left - 6, middle, { anchor: "end", fill: ink }),
        svg("rect", { x: left, y: middle - size * 0.3, width: Math.max((share / most) * (width - left - 70), 1), height: size * 0.6,
          fill: note ? muted : this.style("--accent"), "fill-opacity": note ? 0.5 : 0.85 }),
        this.text(`${(share * 100).toFixed(0)} %${way}`, width - 6, middle, { anchor: "end", fill: ink }), svg("title", {}, words)));
    });
    this.foot.textContent = [note, `${method}, ${count} runs, explains ${(explained * 100).toFixed(0)} % of the variance`].filter(Boolean).join(" · ");
    this.foot.title = this.foot.textContent;
    this.foot.classList.toggle("warned", Boolean(note));
  }

  rows() {
    return [["Setting", "Share", "Rank correlation"], ...this.overview.rows.map(({ title, share, trend }) => [title, share, trend])];
  }
}
