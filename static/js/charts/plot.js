// A chart of lines on a canvas: zoomed by dragging, moved with Shift, read with the pointer or the
// arrow keys. It knows lines and axes; panels know what they mean.

import { figure, said } from "./scales.js";
import { heights, MOST_BANDS, paint, paintLine, reach, span, spikes } from "./paint.js";
import { smooth } from "./smoothing.js";
import { SvgPen } from "./svg.js";

const LISTED = 10;
const css = (name, element) => getComputedStyle(element).getPropertyValue(name).trim();

export class Plot {
  /** `box` is empty; `told` is called: zoomed(range or null), pointed(x or null), spoken(sentence). */
  constructor(box, told) {
    Object.assign(this, { box, told, lines: [], range: null, at: null, options: { x: {}, y: {} } });
    this.canvas = document.createElement("canvas");
    this.over = document.createElement("canvas");
    this.note = document.createElement("div");
    this.note.className = "chart-note";
    this.note.hidden = true;
    this.box.replaceChildren(this.canvas, this.over, this.note);
    this.box.tabIndex = 0;
    new ResizeObserver(() => this.draw()).observe(this.box);
    this.listen();
  }

  /** Show lines: {label, colour, dash, x, mean, low, high, count, marks}; options as panels have them. */
  set(lines, options) {
    this.options = options;
    this.lines = lines.map((line) => ({ ...line, drawn: smooth(line.mean, options.smooth, options.amount), spikes: spikes(line) }));
    this.draw();
  }

  zoom(range) {
    this.range = range;
    this.draw();
  }

  /** Draw in the next frame, once for all changes before it. */
  draw() {
    this.due ??= requestAnimationFrame(() => { this.due = null; this.drawNow(); });
  }

  view(width, height) {
    const { x, y, clip } = this.options;
    const whole = span(this.lines, x.log);
    if (!whole) return null;
    let [from, to] = this.range ?? whole;
    if (to <= from) [from, to] = [from - (Math.abs(from) || 1) * 0.01, to + (Math.abs(to) || 1) * 0.01];
    const shaded = this.lines.length <= MOST_BANDS || this.options.bands === true;
    const bands = this.options.bands !== false && shaded;
    // Smoothing is for the course of a curve: its extremes are shown, but do not set the height.
    const range = heights(this.lines, [from, to], { log: y.log, clip, bands: bands && (this.options.smooth === "none" || this.options.bands), loose: this.options.loose })
      ?? (y.log ? [0.1, 10] : [0, 1]);
    return {
      width, height, lines: this.lines, bands, styles: this.styles(),
      xaxis: { from, to, log: x.log, kind: x.kind, title: x.title }, yaxis: { from: range[0], to: range[1], log: y.log },
    };
  }

  styles() {
    const family = getComputedStyle(this.box).fontFamily;
    return { ink: css("--ink", this.box), line: css("--line", this.box), muted: css("--muted", this.box), font: `11px ${family}` };
  }

  drawNow() {
    const { clientWidth: width, clientHeight: height } = this.box;
    if (!width || !height) return;
    const dots = devicePixelRatio || 1;
    for (const canvas of [this.canvas, this.over]) {
      if (canvas.width !== Math.round(width * dots) || canvas.height !== Math.round(height * dots)) {
        canvas.width = Math.round(width * dots);
        canvas.height = Math.round(height * dots);
      }
    }
    const pen = this.canvas.getContext("2d");
    pen.setTransform(dots, 0, 0, dots, 0, 0);
    pen.clearRect(0, 0, width, height);
    this.now = this.view(width, height);
    this.place = this.now && paint(pen, this.now);
    this.drawOver();
  }

  /** The crosshair, and the line under the pointer above all others. */
  drawOver() {
    const pen = this.over.getContext("2d");
    const dots = devicePixelRatio || 1;
    pen.setTransform(dots, 0, 0, dots, 0, 0);
    pen.clearRect(0, 0, this.over.width, this.over.height);
    if (!this.place) return;
    const { box, x } = this.place;
    pen.save();
    pen.beginPath();
    pen.rect(box.left, box.top - 2, box.right - box.left, box.bottom - box.top + 3);
    pen.clip();
    if (this.nearest && this.lines.length > 8) {
      // The others step back.
      pen.fillStyle = css("--panel", this.box);
      pen.globalAlpha = 0.6;
      pen.fillRect(box.left + 1, box.top, box.right - box.left, box.bottom - box.top);
    }
    if (this.nearest) paintLine(pen, this.nearest, this.place, this.now, { bold: true, bands: true });
    pen.setLineDash([]);
    pen.globalAlpha = 1;
    if (this.at !== null) {
      pen.strokeStyle = this.now.styles.muted;
      pen.lineWidth = 1;
      pen.beginPath();
      const across = Math.round(x.pixel(this.at)) + 0.5;
      pen.moveTo(across, box.top);
      pen.lineTo(across, box.bottom);
      pen.stroke();
    }
    if (this.drag?.range) {
      pen.fillStyle = this.now.styles.ink;
      pen.globalAlpha = 0.12;
      const [from, to] = this.drag.range.map((value) => x.pixel(value));
      pen.fillRect(from, box.top, to - from, box.bottom - box.top);
      pen.globalAlpha = 1;
    }
    pen.restore();
  }

  /** Put the crosshair at an x; null takes it away. The line named is drawn above the others. */
  point(at, line = null) {
    this.at = at;
    this.nearest = line;
    if (at === null) this.note.hidden = true;
    this.overDue ??= requestAnimationFrame(() => { this.overDue = null; this.drawOver(); });
  }

  /** What each line has at an x: the nearest of its points. */
  values(at) {
    return this.lines.filter(({ x }) => x.length && at >= x[0] - this.pixelWidth() * 4 && at <= x[x.length - 1] + this.pixelWidth() * 4).map((line) => {
      const after = Math.min(reach(line.x, at), line.x.length - 1);
      const index = after > 0 && at - line.x[after - 1] < line.x[after] - at ? after - 1 : after;
      return { line, index, value: line.drawn[index] };
    }).filter(({ value }) => Number.isFinite(value));
  }

  pixelWidth() {
    const { x, box } = this.place;
    return (x.value(box.right) - x.value(box.left)) / (box.right - box.left);
  }

  listen() {
    this.box.addEventListener("pointermove", (event) => this.moved(event));
    this.box.addEventListener("pointerleave", () => { if (!this.drag) this.leave(); });
    this.box.addEventListener("pointerdown", (event) => this.pressed(event));
    this.box.addEventListener("pointerup", (event) => this.released(event));
    this.box.addEventListener("pointercancel", () => { this.drag = null; this.leave(); });
    this.box.addEventListener("dblclick", () => this.told.zoomed(null));
    this.box.addEventListener("wheel", (event) => this.turned(event), { passive: false });
    this.box.addEventListener("keydown", (event) => this.typed(event));
    this.box.addEventListener("blur", () => this.leave());
  }

  leave() {
    this.point(null);
    this.told.pointed(null);
  }

  xOf(event) {
    const { box, x } = this.place;
    const across = event.clientX - this.box.getBoundingClientRect().left;
    return x.value(Math.min(Math.max(across, box.left), box.right));
  }

  pressed(event) {
    if (!this.place || event.button > 1 || event.pointerType === "touch") return;
    this.box.setPointerCapture(event.pointerId);
    const moves = event.shiftKey || event.button === 1;
    const { from, to } = this.now.xaxis;
    this.drag = { start: event.clientX, from: this.xOf(event), range: null, moves, was: [from, to] };
    this.box.dataset.drag = moves ? "move" : "zoom";
  }

  moved(event) {
    if (!this.place) return;
    if (this.drag?.moves) {
      this.shift(this.drag.was, this.drag.start - event.clientX);
    } else if (this.drag) {
      const to = this.xOf(event);
      const far = Math.abs(event.clientX - this.drag.start) > 4;
      this.drag.range = far ? [Math.min(this.drag.from, to), Math.max(this.drag.from, to)] : null;
    }
    this.hover(event);
  }

  released() {
    const { drag } = this;
    this.drag = null;
    delete this.box.dataset.drag;
    if (drag?.range && drag.range[1] > drag.range[0]) this.told.zoomed(drag.range);
    else if (drag?.moves) this.told.zoomed(this.range);
    this.drawOver();
  }

  /** Show the range that lies some pixels further right. */
  shift([from, to], pixels) {
    const { x, box } = this.place;
    const share = pixels / (box.right - box.left);
    if (x.log) {
      const factor = (to / from) ** share;
      this.zoom([from * factor, to * factor]);
    } else {
      this.zoom([from + (to - from) * share, to + (to - from) * share]);
    }
  }

  turned(event) {
    if (!this.place) return;
    const { from, to } = this.now.xaxis;
    if (event.ctrlKey || event.metaKey) {
      event.preventDefault();
      this.scaled(this.xOf(event), Math.exp(Math.max(-60, Math.min(60, event.deltaY)) / 150));
    } else if (Math.abs(event.deltaX) > Math.abs(event.deltaY) || event.shiftKey) {
      event.preventDefault();
      this.shift([from, to], event.deltaX || event.deltaY);
      this.told.zoomed(this.range);
    }
  }

  /** Zoom by a factor around an x. */
  scaled(around, factor) {
    const { from, to, log } = this.now.xaxis;
    const ends = log ? [around * (from / around) ** factor, around * (to / around) ** factor]
      : [around + (from - around) * factor, around + (to - around) * factor];
    this.told.zoomed(ends);
  }

  hover(event) {
    const at = this.xOf(event);
    const inside = this.box.getBoundingClientRect();
    this.read(at, event.clientY - inside.top);
    const left = event.clientX - inside.left;
    this.note.style.left = left < inside.width / 2 ? `${left + 14}px` : "auto";
    this.note.style.right = left < inside.width / 2 ? "auto" : `${inside.width - left + 14}px`;
  }

  /** Read the values at an x; of many lines those around a height. */
  read(at, height = null) {
    const values = this.values(at);
    const far = ({ value }) => (height === null ? 0 : Math.abs(this.place.y.pixel(value) - height));
    const near = [...values].sort((a, b) => far(a) - far(b));
    const first = near[0] ?? null;
    const shown = near.slice(0, LISTED).sort((a, b) => b.value - a.value);
    // The crosshair stands at a point of the nearest line, not between two.
    if (first) at = first.line.x[first.index];
    this.point(at, values.length > 1 && first && height !== null && far(first) < 40 ? first.line : null);
    this.tell(at, shown, values.length, first?.line);
    this.told.pointed(at);
    return shown;
  }

  tell(at, shown, all, nearest) {
    const head = document.createElement("strong");
    head.textContent = said(at, this.options.x.kind);
    const rows = shown.map(({ line, index, value }) => {
      const row = document.createElement("div");
      const mark = document.createElement("span");
      mark.className = "chart-mark";
      mark.style.background = line.colour;
      const name = document.createElement("span");
      name.textContent = line.label;
      const [low, high] = [line.low[index], line.high[index]];
      const figures = document.createElement("b");
      figures.textContent = figure(value);
      const more = document.createElement("small");
      if (low !== high) more.textContent = `${figure(low, 4)} to ${figure(high, 4)}`;
      row.append(mark, name, figures, more);
      row.classList.toggle("near", line === nearest);
      return row;
    });
    if (all > shown.length) {
      const rest = document.createElement("small");
      rest.textContent = `and ${all - shown.length} more; point at a line to see it`;
      rows.push(rest);
    }
    this.note.replaceChildren(head, ...rows);
    this.note.hidden = !shown.length;
  }

  typed(event) {
    if (!this.place) return;
    const { from, to } = this.now.xaxis;
    const step = (to - from) / 50;
    const acts = {
      ArrowLeft: () => this.walk(-step, event.shiftKey), ArrowRight: () => this.walk(step, event.shiftKey),
      Home: () => this.walkTo(from), End: () => this.walkTo(to),
      "+": () => this.scaled(this.at ?? (from + to) / 2, 0.5), "=": () => this.scaled(this.at ?? (from + to) / 2, 0.5),
      "-": () => this.scaled(this.at ?? (from + to) / 2, 2), 0: () => this.told.zoomed(null),
    };
    if (!acts[event.key] || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    event.stopPropagation();
    acts[event.key]();
  }

  walk(by, moves) {
    const { from, to } = this.now.xaxis;
    if (moves) {
      this.zoom([from + by * 5, to + by * 5]);
      this.told.zoomed(this.range);
    } else {
      this.walkTo(Math.min(to, Math.max(from, (this.at ?? (by > 0 ? from : to)) + by)));
    }
  }

  walkTo(at) {
    const shown = this.read(at);
    this.note.style.left = "auto";
    this.note.style.right = "10px";
    const words = shown.slice(0, 5).map(({ line, value }) => `${line.label} ${figure(value)}`);
    this.told.spoken(`${said(at, this.options.x.kind)}: ${words.join("; ")}`);
  }

  /** The picture as SVG, with a legend below it. */
  svg(title) {
    const { clientWidth: width, clientHeight: height } = this.box;
    const legend = this.lines.slice(0, 40);
    const pen = new SvgPen(width, height + 26 + Math.ceil(legend.length / 2) * 16);
    this.paintWhole(pen, width, height, title, legend);
    return pen.toString();
  }

  /** The picture as PNG, twice as fine as the screen. */
  png(title) {
    const { clientWidth: width, clientHeight: height } = this.box;
    const legend = this.lines.slice(0, 40);
    const canvas = document.createElement("canvas");
    const whole = height + 26 + Math.ceil(legend.length / 2) * 16;
    canvas.width = width * 2;
    canvas.height = whole * 2;
    const pen = canvas.getContext("2d");
    pen.setTransform(2, 0, 0, 2, 0, 0);
    pen.fillStyle = css("--panel", this.box);
    pen.fillRect(0, 0, width, whole);
    this.paintWhole(pen, width, height, title, legend);
    return new Promise((done) => { canvas.toBlob(done, "image/png"); });
  }

  paintWhole(pen, width, height, title, legend) {
    const view = this.view(width, height);
    if (!view) return;
    paint(pen, view);
    const { ink, font } = view.styles;
    pen.globalAlpha = 1;
    pen.textAlign = "left";
    pen.textBaseline = "middle";
    pen.fillStyle = ink;
    pen.font = font;
    pen.fillText(title, 8, height + 12);
    legend.forEach((line, n) => {
      const across = 8 + (n % 2) * (width / 2);
      const down = height + 30 + Math.floor(n / 2) * 16;
      pen.fillStyle = line.colour;
      pen.fillRect(across, down - 2, 14, 3);
      pen.fillStyle = ink;
      pen.fillText(line.label, across + 20, down);
    });
  }
}
