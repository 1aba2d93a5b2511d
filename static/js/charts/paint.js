// Painting a chart of lines with a pen: a canvas's context, or one that writes SVG.

import { roomy, scale, ticks } from "./scales.js";

const DASHES = { solid: [], dash: [7, 4], dot: [2, 3], dashdot: [8, 3, 2, 3] };
const BELOW = 20;
// 8 colours and 4 dashes: more lines cannot be told apart, and dashes only make them restless.
export const MOST_DASHED = 32;
// With more lines than these, the extremes of each and its points behind a smoothed one would cover
// the others: only the line under the pointer has them.
export const MOST_BANDS = 12;

/** The first index at which an ascending array reaches a value. */
export function reach(array, value) {
  let low = 0;
  let high = array.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (array[middle] < value) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The indices of a line that are in view, with one more on each side. */
const part = (line, from, to) => [Math.max(0, reach(line.x, from) - 1), Math.min(line.x.length, reach(line.x, to) + 2)];

/** The x that the lines span together; on a log axis what is above zero. */
export function span(lines, log) {
  let low = Infinity;
  let high = -Infinity;
  for (const { x } of lines) {
    if (!x.length) continue;
    const first = log ? x[reach(x, Number.MIN_VALUE)] : x[0];
    if (first < low) low = first;
    if (x[x.length - 1] > high) high = x[x.length - 1];
  }
  return high >= low ? [low, high] : null;
}

/** The range of values in view, or null. With `clip`, of nine tenths of them; `loose` bands (what is
    computed of few runs may reach anywhere) widen it to three times what the lines need at most. */
export function heights(lines, [from, to], { log, clip, bands, loose }) {
  let low = Infinity;
  let high = -Infinity;
  const middle = [];
  const isShown = (value) => Number.isFinite(value) && (!log || value > 0);
  const take = (value) => {
    if (!isShown(value)) return;
    if (value < low) low = value;
    if (value > high) high = value;
  };
  for (const line of lines) {
    const [start, end] = part(line, from, to);
    if (!bands && !clip) for (const i of line.spikes) if (i >= start && i < end) { take(line.low[i]); take(line.high[i]); }
    for (let i = start; i < end; i += 1) {
      const inside = line.x[i] >= from && line.x[i] <= to;
      if (inside) {
        take(line.drawn[i]);
        if (clip && isShown(line.drawn[i])) middle.push(line.drawn[i]);
        if (bands && !loose) { take(line.low[i]); take(line.high[i]); }
      }
      // Where the line to the next point crosses an edge, it is in view there.
      if (i + 1 >= end) continue;
      for (const edge of [from, to]) {
        if ((line.x[i] - edge) * (line.x[i + 1] - edge) >= 0) continue;
        take(line.drawn[i] + (line.drawn[i + 1] - line.drawn[i]) * ((edge - line.x[i]) / (line.x[i + 1] - line.x[i])));
      }
    }
  }
  if (clip && middle.length > 20) {
    const sorted = Float64Array.from(middle).sort();
    [low, high] = [sorted[Math.floor(sorted.length * 0.05)], sorted[Math.ceil(sorted.length * 0.95) - 1]];
  }
  if (bands && loose && !log && low <= high) [low, high] = widened(lines, [from, to], low, high);
  return low <= high ? roomy(low, high, log) : null;
}

function widened(lines, [from, to], low, high) {
  let [least, most] = [low, high];
  for (const line of lines) {
    const [start, end] = part(line, from, to);
    for (let i = start; i < end; i += 1) {
      if (line.low[i] < least) least = line.low[i];
      if (line.high[i] > most) most = line.high[i];
    }
  }
  return [Math.max(least, low - (high - low)), Math.min(most, high + (high - low))];
}

/** Where things are: the scales and the frame of a view. */
export function frame(pen, view) {
  const { width, height, xaxis, yaxis } = view;
  const down = height - BELOW - (xaxis.title ? 14 : 0);
  const rows = ticks({ ...yaxis, most: Math.max(2, Math.floor(down / 32)) });
  const left = Math.ceil(Math.max(...rows.map(({ text }) => pen.measureText(text).width), 16)) + 10;
  const columns = ticks({ ...xaxis, most: Math.max(2, Math.floor((width - left) / 78)) });
  const box = { left, top: 6, right: width - 10, bottom: down };
  return {
    box, rows, columns,
    x: scale({ ...xaxis, start: box.left, end: box.right }),
    y: scale({ ...yaxis, start: box.bottom, end: box.top }),
  };
}

function axes(pen, view, { box, rows, columns, x, y }) {
  pen.lineWidth = 1;
  pen.strokeStyle = view.styles.line;
  pen.fillStyle = view.styles.muted;
  pen.font = view.styles.font;
  pen.setLineDash([]);
  pen.beginPath();
  for (const { value } of rows) {
    const at = Math.round(y.pixel(value)) + 0.5;
    pen.moveTo(box.left, at);
    pen.lineTo(box.right, at);
  }
  pen.moveTo(box.left + 0.5, box.top);
  pen.lineTo(box.left + 0.5, box.bottom);
  for (const { value } of columns) {
    const at = Math.round(x.pixel(value)) + 0.5;
    pen.moveTo(at, box.bottom);
    pen.lineTo(at, box.bottom + 4);
  }
  pen.stroke();
  pen.textBaseline = "middle";
  pen.textAlign = "right";
  for (const { value, text } of rows) pen.fillText(text, box.left - 6, y.pixel(value));
  pen.textBaseline = "top";
  let free = -Infinity;
  for (const { value, text } of columns) {
    const half = pen.measureText(text).width / 2;
    const at = Math.min(Math.max(x.pixel(value), half), view.width - half);
    if (at - half < free) continue;
    pen.textAlign = "center";
    pen.fillText(text, at, box.bottom + 6);
    free = at + half + 8;
  }
  if (view.xaxis.title) {
    pen.textAlign = "right";
    pen.fillText(view.xaxis.title, box.right, box.bottom + 20);
  }
}

/** Where a point's extremes lie far beyond what is usual for its line: those are drawn although the
    bands of many lines are not, so that no spike is averaged away. */
export function spikes(line) {
  if (line.low === line.mean) return [];
  const widths = Float64Array.from(line.mean, (mean, i) => Math.max(line.high[i] - mean, mean - line.low[i]) || 0);
  const usual = Float64Array.from(widths).sort()[Math.floor(widths.length / 2)];
  const far = [];
  for (let i = 0; i < widths.length; i += 1) if (widths[i] > 6 * usual && widths[i] > 0) far.push(i);
  return far.length > widths.length / 10 ? [] : far;
}

function peaks(pen, line, { x, y, box }, [start, end]) {
  pen.beginPath();
  for (const i of line.spikes) {
    if (i < start || i >= end || (x.log && line.x[i] <= 0)) continue;
    const across = x.pixel(line.x[i]);
    pen.moveTo(across, y.log && line.low[i] <= 0 ? box.bottom : y.pixel(line.low[i]));
    pen.lineTo(across, y.log && line.high[i] <= 0 ? box.bottom : y.pixel(line.high[i]));
  }
  pen.stroke();
}

/** The path of one line; what has no value breaks it. */
function trace(pen, line, values, { x, y }, [start, end]) {
  let on = false;
  pen.beginPath();
  for (let i = start; i < end; i += 1) {
    const value = values[i];
    if (!Number.isFinite(value) || (y.log && value <= 0) || (x.log && line.x[i] <= 0)) { on = false; continue; }
    if (on) pen.lineTo(x.pixel(line.x[i]), y.pixel(value));
    else pen.moveTo(x.pixel(line.x[i]), y.pixel(value));
    on = true;
  }
  pen.stroke();
}

/** The area between a line's extremes. */
function band(pen, line, { x, y, box }, [start, end]) {
  const shown = (i) => Number.isFinite(line.low[i]) && Number.isFinite(line.high[i]) && (!x.log || line.x[i] > 0);
  const floor = (value) => (y.log && value <= 0 ? box.bottom : y.pixel(value));
  for (let i = start; i < end;) {
    if (!shown(i)) { i += 1; continue; }
    let last = i;
    while (last + 1 < end && shown(last + 1)) last += 1;
    pen.beginPath();
    pen.moveTo(x.pixel(line.x[i]), floor(line.low[i]));
    for (let k = i + 1; k <= last; k += 1) pen.lineTo(x.pixel(line.x[k]), floor(line.low[k]));
    for (let k = last; k >= i; k -= 1) pen.lineTo(x.pixel(line.x[k]), floor(line.high[k]));
    pen.closePath();
    pen.fill();
    i = last + 1;
  }
}

function single(pen, line, values, { x, y }) {
  for (let i = 0; i < values.length; i += 1) {
    if (!Number.isFinite(values[i])) continue;
    pen.beginPath();
    pen.arc(x.pixel(line.x[i]), y.pixel(values[i]), 2.5, 0, Math.PI * 2);
    pen.fill();
  }
}

/** Crosses where values are not finite, at the height of the last finite value before. */
function crosses(pen, line, { x, y, box }) {
  pen.setLineDash([]);
  pen.lineWidth = 1.5;
  pen.beginPath();
  let before = -Infinity;
  for (const place of line.marks.x) {
    let i = Math.min(reach(line.x, place), line.x.length - 1);
    while (i > 0 && !Number.isFinite(line.drawn[i])) i -= 1;
    const value = line.drawn[i];
    const across = x.pixel(place);
    const up = Number.isFinite(value) && !(y.log && value <= 0) ? y.pixel(value) : box.bottom - 8;
    if (across < box.left || across > box.right || across - before < 7) continue;
    before = across;
    const down = Math.min(Math.max(up, box.top + 5), box.bottom - 5);
    pen.moveTo(across - 4, down - 4);
    pen.lineTo(across + 4, down + 4);
    pen.moveTo(across - 4, down + 4);
    pen.lineTo(across + 4, down - 4);
  }
  pen.stroke();
}

/** One line as it is drawn: its points as logged are faint behind what is smoothed. */
export function paintLine(pen, line, place, view, { bold = false, bands = false } = {}) {
  const within = part(line, view.xaxis.from, view.xaxis.to);
  pen.strokeStyle = line.colour;
  pen.fillStyle = line.colour;
  pen.setLineDash([]);
  if (bands && line.low !== line.mean) {
    pen.globalAlpha = 0.16;
    band(pen, line, place, within);
  } else if (line.spikes.length) {
    pen.globalAlpha = 0.7;
    pen.lineWidth = 1;
    peaks(pen, line, place, within);
  }
  if (line.drawn !== line.mean && (bold || view.lines.length <= MOST_BANDS)) {
    pen.globalAlpha = 0.28;
    pen.lineWidth = 1;
    trace(pen, line, line.mean, place, within);
  }
  pen.globalAlpha = 1;
  pen.lineWidth = bold ? 3 : view.lines.length > 30 ? 1 : 1.6;
  pen.setLineDash(view.lines.length > MOST_DASHED && !bold ? [] : DASHES[line.dash] ?? []);
  trace(pen, line, line.drawn, place, within);
  if (line.x.length < 3) single(pen, line, line.drawn, place);
}

/** The whole chart. */
export function paint(pen, view) {
  pen.font = view.styles.font;
  const place = frame(pen, view);
  axes(pen, view, place);
  pen.save();
  pen.beginPath();
  pen.rect(place.box.left, place.box.top - 2, place.box.right - place.box.left, place.box.bottom - place.box.top + 3);
  pen.clip();
  for (const line of view.lines) paintLine(pen, line, place, view, { bands: view.bands });
  pen.strokeStyle = view.styles.ink;
  for (const line of view.lines) if (line.marks) crosses(pen, line, place);
  pen.restore();
  return place;
}
