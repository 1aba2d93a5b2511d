// A panel of histograms over steps: a heat map for each run, with the distribution of the step beside.

import { make } from "./items.js";
import { Stepped } from "./media.js";
import { scale, ticks } from "./scales.js";
import { nearest } from "./stepper.js";

const MOST_RUNS = 8;
// Room for the words of an axis, in pixels.
const LEFT = 52;
const BELOW = 18;

export class Histogram extends Stepped {
  constructor(spec, page) {
    super(spec, page);
    new ResizeObserver(() => { if (this.overview) this.draw(); }).observe(this.place);
  }

  async load() {
    if (!this.spec.names.length) { this.say("Choose the histograms that this panel shows: Edit, in its menu."); return; }
    const { runs } = await this.ask(this.page.data.urls.histograms, this.query());
    this.overview = runs;
    this.page.stepper.add(runs.flatMap(({ columns }) => columns.map(({ step }) => step)));
    this.show();
  }

  /** The runs that have some and are not hidden. */
  get shown() {
    return this.overview.map((own) => ({ ...own, of: this.page.byNumber.get(own.run) }))
      .filter(({ of, columns, withheld }) => of && !of.hidden && (columns.length || withheld));
  }

  show() {
    const all = this.shown;
    if (!all.length) { this.say("None of the runs that are shown has logged this."); this.foot.textContent = ""; return; }
    const runs = all.slice(0, MOST_RUNS);
    this.parts = runs.map((own) => {
      const part = make("div", { class: "heat" }, this.header(own.of, own.columns.length ? this.stepOf(own) : null));
      if (own.withheld) { part.append(make("p", { class: "silent small" }, own.withheld)); return { part }; }
      const map = make("canvas", { role: "img", "aria-label": `${this.title} of ${own.of.label} over ${own.columns.length} steps; figures are in the menu` });
      const beside = make("canvas", { role: "img", "aria-label": "The distribution at this step" });
      map.addEventListener("click", (event) => this.clicked(own, event));
      part.append(map, beside);
      return { part, map, beside, own };
    });
    this.place.replaceChildren(...this.parts.map(({ part }) => part));
    for (const { part } of this.parts) part.style.height = `${100 / this.parts.length}%`;
    for (const { part } of this.parts) part.style.gridTemplateRows = "auto minmax(0, 1fr)";
    const [low, high, clipped] = this.range(runs);
    Object.assign(this, { low, high });
    const odd = runs.reduce((sum, { columns }) => sum + columns.reduce((own, { nan, above, below }) => own + nan + above + below, 0), 0);
    this.foot.textContent = [odd ? `${odd.toLocaleString("en-GB")} values are not finite` : "", clipped ? "the axis spans most of the values" : "",
      all.length > runs.length ? `${all.length - runs.length} more runs: hide some to see them` : ""].filter(Boolean).join(" · ");
    this.foot.classList.toggle("warned", odd > 0);
    this.draw();
  }

  stepOf(own) { return nearest(own.columns.map(({ step }) => step), this.page.stepper.wanted(own.of)); }

  /** The values that all maps span: one blow-up does not flatten all others. */
  range(runs) {
    const columns = runs.flatMap((own) => own.columns);
    const lows = columns.map(({ edges }) => edges[0]).sort((a, b) => a - b);
    const highs = columns.map(({ edges }) => edges.at(-1)).sort((a, b) => a - b);
    if (!columns.length) return [0, 1, false];
    const [least, most] = [lows[0], highs.at(-1)];
    const [low, high] = [lows[Math.floor(lows.length * 0.02)], highs[Math.ceil(highs.length * 0.98) - 1]];
    return (most - least) > 3 * (high - low) && high > low ? [low, high, true] : [least, most, false];
  }

  draw() { for (const part of this.parts ?? []) if (part.map) { this.heat(part); this.distribution(part); } }

  /** A pen on a canvas as large as it is shown. */
  pen(canvas) {
    const ratio = devicePixelRatio || 1;
    const { clientWidth: width, clientHeight: height } = canvas;
    Object.assign(canvas, { width: Math.round(width * ratio), height: Math.round(height * ratio) });
    const pen = canvas.getContext("2d");
    pen.scale(ratio, ratio);
    const style = getComputedStyle(this.place);
    pen.font = `11px ${style.fontFamily}`;
    pen.textBaseline = "middle";
    const colour = (name) => style.getPropertyValue(name).trim();
    return { pen, width, height, muted: colour("--muted"), line: colour("--line"), ink: colour("--ink") };
  }

  heat({ map, own }) {
    const { pen, width, height, muted, line, ink } = this.pen(map);
    const { columns } = own;
    const bottom = height - BELOW;
    const up = scale({ from: this.low, to: this.high, start: bottom, end: 4 });
    const steps = columns.map(({ step }) => step);
    const along = scale({ from: steps[0], to: steps.at(-1), start: LEFT, end: width - 6 });
    const edge = (n) => (n <= 0 ? LEFT : n >= steps.length ? width - 6 : (along.pixel(steps[n - 1]) + along.pixel(steps[n])) / 2);
    pen.fillStyle = this.page.colours[own.of.colour - 1];
    pen.save();
    pen.beginPath();
    pen.rect(LEFT, 0, width - LEFT, bottom);
    pen.clip();
    columns.forEach(({ counts, edges }, n) => {
      const [left, right] = [edge(n), edge(n + 1)];
      const densities = counts.map((count, bin) => count / (edges[bin + 1] - edges[bin]));
      const most = Math.max(...densities) || 1;
      densities.forEach((density, bin) => {
        if (!density) return;
        // The root shows what is rare.
        pen.globalAlpha = Math.sqrt(density / most);
        const [top, low] = [up.pixel(edges[bin + 1]), up.pixel(edges[bin])];
        pen.fillRect(left, top, Math.max(right - left, 1) + 0.3, Math.max(low - top, 0.5) + 0.3);
      });
    });
    pen.restore();
    pen.globalAlpha = 1;
    pen.fillStyle = muted;
    pen.textAlign = "right";
    for (const { value, text } of ticks({ from: this.low, to: this.high, most: Math.max(2, bottom / 36) })) pen.fillText(text, LEFT - 5, up.pixel(value));
    pen.textAlign = "center";
    for (const { value, text } of ticks({ from: steps[0], to: steps.at(-1), most: Math.max(2, width / 90) })) {
      pen.fillText(text, Math.min(Math.max(along.pixel(value), LEFT + 8), width - 16), height - BELOW / 2);
    }
    pen.strokeStyle = line;
    pen.strokeRect(LEFT + 0.5, 0.5, width - LEFT - 6, bottom - 1);
    const at = steps.length > 1 ? along.pixel(this.stepOf(own)) : (LEFT + width) / 2;
    pen.strokeStyle = ink;
    pen.beginPath();
    pen.moveTo(at, 0);
    pen.lineTo(at, bottom);
    pen.stroke();
    own.along = along;
  }

  distribution({ beside, own }) {
    const { pen, width, height } = this.pen(beside);
    const { counts, edges } = own.columns.find(({ step }) => step === this.stepOf(own));
    const up = scale({ from: this.low, to: this.high, start: height - BELOW, end: 4 });
    const densities = counts.map((count, bin) => count / (edges[bin + 1] - edges[bin]));
    const most = Math.max(...densities) || 1;
    pen.fillStyle = this.page.colours[own.of.colour - 1];
    densities.forEach((density, bin) => {
      const [top, low] = [up.pixel(edges[bin + 1]), up.pixel(edges[bin])];
      if (low > 0 && top < height - BELOW) pen.fillRect(0, top, (density / most) * (width - 4), Math.max(low - top, 0.5) + 0.2);
    });
  }

  /** A click on the map goes to its step. */
  clicked(own, event) {
    if (!own.along) return;
    const step = nearest(own.columns.map((column) => column.step), own.along.value(event.offsetX));
    this.page.stepper.go(step);
  }

  rows() {
    return [["Run", "Step", "From", "To", "Count"], ...this.shown.flatMap((own) => own.columns.flatMap(({ step, counts, edges }) =>
      counts.map((count, bin) => [own.of.label, step, edges[bin], edges[bin + 1], count])))];
  }

  async picture() {
    const maps = (this.parts ?? []).filter(({ map }) => map);
    if (!maps.length) return;
    const whole = document.createElement("canvas");
    whole.width = Math.max(...maps.map(({ map, beside }) => map.width + beside.width));
    whole.height = maps.reduce((sum, { map }) => sum + map.height, 0);
    const pen = whole.getContext("2d");
    pen.fillStyle = getComputedStyle(this.place).getPropertyValue("--panel").trim();
    pen.fillRect(0, 0, whole.width, whole.height);
    let top = 0;
    for (const { map, beside } of maps) {
      pen.drawImage(map, 0, top);
      pen.drawImage(beside, map.width, top);
      top += map.height;
    }
    const { save } = await import("./saving.js");
    whole.toBlob((blob) => save(blob, "image/png", `${this.title}.png`), "image/png");
  }
}

