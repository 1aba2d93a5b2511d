// Parallel coordinates as SVG: one axis for each setting, one line for each run. Plotly's own needs
// WebGL and evaluates strings, which the content security policy forbids.

const NS = "http://www.w3.org/2000/svg";
const ROOM = { top: 26, bottom: 22, side: 56 };
// Cividis, from dark to light: the same to colour-blind eyes. On dark ground its dark end is left out.
const CIVIDIS = ["#00224e", "#123570", "#3b496c", "#575d6d", "#707173", "#8a8678", "#a59c74", "#c3b369", "#e1cc55", "#fee838"];

const part = (tag, attributes, text = "") => {
  const node = document.createElementNS(NS, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.textContent = text;
  return node;
};
const short = (value) => {
  if (typeof value !== "number") return String(value);
  const size = Math.abs(value);
  return value && (size < 1e-3 || size >= 1e6) ? value.toExponential(2) : Number(value.toPrecision(4)).toString();
};
const fewest = (text, most) => (text.length > most ? `${text.slice(0, most - 1)}…` : text);

/** One axis: where each value lies (0 at the foot, 1 at the head), and its marks. */
export function axis(label, values, { log = false, list = false } = {}) {
  const numbers = values.every((value) => typeof value === "number" && Number.isFinite(value));
  if (!numbers || (list && new Set(values).size <= 12)) {
    const kinds = [...new Set(values.map((value) => JSON.stringify(value)))]
      .sort((a, b) => (numbers ? a - b : a.localeCompare(b)));
    const at = (i) => (kinds.length === 1 ? 0.5 : i / (kinds.length - 1));
    return { label, places: values.map((value) => at(kinds.indexOf(JSON.stringify(value)))),
      marks: kinds.map((kind, i) => [at(i), short(JSON.parse(kind))]) };
  }
  const scaled = log && values.every((value) => value > 0) ? Math.log10 : (value) => value;
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const [from, to] = [scaled(low), scaled(high)];
  const at = (value) => (from === to ? 0.5 : (scaled(value) - from) / (to - from));
  const middle = scaled === Math.log10 ? 10 ** ((from + to) / 2) : (from + to) / 2;
  return { label, places: values.map(at), marks: from === to ? [[0.5, short(low)]] : [[0, short(low)], [0.5, short(middle)], [1, short(high)]] };
}

/** Whether the page is dark: its ground is a registered colour, so it is read as rgb(). */
function isDark() {
  const ground = getComputedStyle(document.documentElement).getPropertyValue("--ground");
  return (ground.match(/\d+/g) ?? [255]).slice(0, 3).every((number) => Number(number) < 128);
}

/** The colour of a share from bad (0) to good (1). */
function shade(share, dark) {
  const from = dark ? 0.35 : 0;
  const to = dark ? 1 : 0.85;
  // Good is what stands out: bright on dark, dark on light.
  const place = dark ? from + share * (to - from) : to - share * (to - from);
  return CIVIDIS[Math.round(place * (CIVIDIS.length - 1))];
}

/**
 * Draw into `place`: `axes` as axis() makes them, `good` a share for each line, `names` what a line
 * says when it is pointed at.
 */
export function draw(place, { axes, good, names }) {
  const width = Math.max(place.clientWidth, 240);
  const height = Math.max(place.clientHeight, 160);
  const dark = isDark();
  const x = (i) => (axes.length === 1 ? width / 2 : ROOM.side + (i * (width - 2 * ROOM.side)) / (axes.length - 1));
  const y = (share) => ROOM.top + (1 - share) * (height - ROOM.top - ROOM.bottom);
  const svg = part("svg", { viewBox: `0 0 ${width} ${height}`, width: "100%", height: "100%", class: "parallel" });
  // Of many lines each is fainter, so that where they gather is seen.
  svg.style.setProperty("--opacity", Math.min(0.85, Math.max(0.15, 60 / good.length)).toFixed(2));
  // The best last, on top.
  for (const n of good.map((_, i) => i).sort((a, b) => good[a] - good[b])) {
    const points = axes.map(({ places }, i) => `${x(i).toFixed(1)},${y(places[n]).toFixed(1)}`).join(" ");
    const line = part("polyline", { points, stroke: shade(good[n], dark) });
    line.append(part("title", {}, names[n]));
    svg.append(line);
  }
  const letters = Math.max(4, Math.floor((width - 2 * ROOM.side) / Math.max(axes.length - 1, 1) / 7));
  axes.forEach(({ label, marks }, i) => {
    svg.append(part("line", { x1: x(i), x2: x(i), y1: y(0), y2: y(1) }));
    const title = part("text", { x: x(i), y: 12, "text-anchor": "middle", class: "name" }, fewest(label, letters));
    title.append(part("title", {}, label));
    svg.append(title);
    for (const [share, words] of marks) {
      const first = i === 0;
      svg.append(part("text", { x: x(i) + (first ? -6 : 6), y: y(share) + 4, "text-anchor": first ? "end" : "start" }, fewest(words, 8)));
    }
  });
  place.replaceChildren(svg);
}
