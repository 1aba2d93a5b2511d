// One thing that a run has logged, as an element: a picture, text, table, figure, matrix, clip.

import { drawFigure } from "./figure.js";
import { figure } from "./scales.js";

const MOST_ROWS = 200;

export function make(tag, attributes = {}, ...inside) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...inside.filter((part) => part !== null && part !== undefined));
  return element;
}

/** The item as a figure with its caption; `page` has the address of Plotly. */
export function render(item, page) {
  const card = make("figure", { class: "media-card", "data-kind": item.kind });
  if (item.withheld) {
    card.append(make("p", { class: "silent" }, item.withheld));
    return card;
  }
  card.append(...(KINDS[item.kind] ?? unknown)(item, page));
  if (item.caption && item.kind !== "clip") card.append(make("figcaption", { class: "wrap small" }, item.caption));
  return card;
}

const KINDS = {
  image: ({ url, small, caption, name, content }) => [
    make("a", { href: url }, make("img", { src: small, alt: caption || name, width: content.width, height: content.height })),
  ],
  text: ({ content, html }) => {
    if (!html) return [make("pre", { class: "media-text" }, content.text)];
    const prose = make("div", { class: "prose" });
    // Written by the portal, which has escaped what was sent.
    prose.innerHTML = html;
    return [prose];
  },
  histogram: ({ content }) => bars(content),
  confusion: ({ content }) => [make("div", { class: "scroll" }, matrix(content)),
    make("p", { class: "muted small" }, "Rows: true class. Columns: predicted.")],
  table: (item) => {
    const place = make("div", { class: "scroll media-table" }, make("p", { class: "muted small" }, `${item.content.rows.toLocaleString("en-GB")} rows…`));
    table(item, place);
    return [place];
  },
  figure: (item, page) => {
    const place = make("div", { class: "media-figure" }, make("p", { class: "muted small" }, "Loading the figure…"));
    // Plotly measures its place, which has to stand on the page first.
    requestAnimationFrame(() => drawFigure(place, item.url, page.data.urls.plotly));
    return [place];
  },
  clip: (item) => clip(item),
};

const unknown = ({ kind }) => [make("p", { class: "muted small" }, `This page does not know the kind ${kind}.`)];

function bars({ counts, edges, nan, above, below }) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const span = edges.at(-1) - edges[0];
  const densities = counts.map((count, n) => count / (edges[n + 1] - edges[n]));
  const most = Math.max(...densities) || 1;
  for (const [name, value] of [["class", "media-bars"], ["viewBox", "0 0 320 96"], ["preserveAspectRatio", "none"], ["role", "img"],
    ["aria-label", `Histogram from ${figure(edges[0])} to ${figure(edges.at(-1))}`]]) svg.setAttribute(name, value);
  counts.forEach((count, n) => {
    const rect = document.createElementNS(svg.namespaceURI, "rect");
    const high = (densities[n] / most) * 96;
    for (const [name, value] of [["x", ((edges[n] - edges[0]) / span) * 320], ["y", 96 - high],
      ["width", ((edges[n + 1] - edges[n]) / span) * 320], ["height", high]]) rect.setAttribute(name, value.toFixed(2));
    svg.append(rect);
  });
  const odd = nan || above || below ? make("p", { class: "small warned" }, `Not finite: ${nan} NaN, ${above} ∞, ${below} −∞`) : null;
  return [svg, make("p", { class: "media-ends muted small" }, make("span", {}, figure(edges[0])), make("span", {}, figure(edges.at(-1)))), odd].filter(Boolean);
}

function matrix({ labels, counts }) {
  const grid = make("table", { class: "media-confusion" });
  const head = grid.createTHead().insertRow();
  head.append(make("th"), ...labels.map((label) => make("th", { scope: "col" }, label)));
  const body = grid.createTBody();
  counts.forEach((row, n) => {
    const sum = row.reduce((total, count) => total + count, 0) || 1;
    const line = body.insertRow();
    line.append(make("th", { scope: "row" }, labels[n]), ...row.map((count) => {
      const cell = make("td", {}, figure(count));
      cell.style.setProperty("--share", (count / sum).toFixed(3));
      return cell;
    }));
  });
  return grid;
}

async function table({ url }, place) {
  const answer = await fetch(url).catch(() => null);
  if (!answer?.ok) { place.textContent = answer?.status === 410 ? await answer.text() : "The table could not be loaded."; return; }
  const { columns, rows, left_out: leftOut } = await answer.json();
  const grid = make("table", { class: "table" });
  grid.createTHead().insertRow().append(...columns.map((name) => make("th", { scope: "col" }, name)));
  const body = grid.createTBody();
  for (const row of rows.slice(0, MOST_ROWS)) {
    body.insertRow().append(...row.map((cell) => make("td", { class: typeof cell === "number" ? "num" : null },
      typeof cell === "number" ? figure(cell) : cell === null ? "–" : String(cell))));
  }
  const more = rows.length > MOST_ROWS
    ? make("p", { class: "muted small" }, `The first ${MOST_ROWS} of ${rows.length.toLocaleString("en-GB")} rows; `, make("a", { href: url }, "its file"), " has all.") : null;
  const lost = leftOut ? make("p", { class: "small warned" }, `${leftOut.toLocaleString("en-GB")} rows were not logged.`) : null;
  place.replaceChildren(...[grid, more, lost].filter(Boolean));
}

/** The one player of all pages, below the clip's spectrogram. */
function clip(item) {
  import("../player.js");
  const label = item.caption || item.name;
  const one = make("li", { "data-id": item.id, "data-label": label, "data-src": item.url, "data-gain": item.gain,
    "data-duration": item.duration, "data-peaks": item.peaks }, make("a", { href: item.url }, label));
  const player = make("clip-player", { "data-name": `media-${item.id}`, "data-label": label, "data-compact": "", "data-preload": "none" },
    make("ol", { class: "clips" }, one));
  return [
    make("a", { href: item.page }, make("img", { src: item.picture, alt: `Spectrogram of ${label}`, loading: "lazy", width: 480, height: 96 })),
    player,
    make("figcaption", { class: "wrap small" }, [label, item.credits].filter(Boolean).join(". ")),
  ];
}
