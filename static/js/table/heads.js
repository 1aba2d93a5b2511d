// The heads of columns: a menu, a grip at the edge that sets the width, dragging that moves them.

import { here } from "./go.js";
import { popover } from "./popover.js";

const FORMATS = { "": "Four digits", 3: "Three digits", 6: "Six digits", fixed: "Two decimals", percent: "Per cent",
  scientific: "Powers of ten", exact: "All digits" };
const SUMMARIES = { "": "Last value", ".min": "Least value", ".max": "Greatest value", ".count": "Number of points" };
const NUMBERS = ["number", "duration", "money"];
const MIN = 48;
const MAX = 800;

const heads = () => [...document.querySelectorAll("#runs-table th[data-key]")];
const keys = () => heads().map((head) => head.dataset.key).filter((key) => key !== "name");

/** The address with these columns and what each has; pinned ones come first. */
function withColumns(order, change = {}) {
  const to = here();
  for (const name of ["col", "pin", "width", "as", "best"]) to.searchParams.delete(name);
  const known = new Map(heads().map((head) => [head.dataset.key, { ...head.dataset, pinned: head.hasAttribute("data-pinned") }]));
  const facts = (key) => ({ ...(known.get(key) ?? {}), ...(change[key] ?? {}) });
  const sorted = [...order.filter((key) => facts(key).pinned), ...order.filter((key) => !facts(key).pinned)];
  for (const key of sorted) {
    const { pinned, width, format, bestIs } = facts(key);
    to.searchParams.append("col", key);
    if (pinned) to.searchParams.append("pin", key);
    if (width) to.searchParams.append("width", `${key}:${width}`);
    if (format) to.searchParams.append("as", `${key}:${format}`);
    if (bestIs) to.searchParams.append("best", `${key}:${bestIs}`);
  }
  return to;
}

function sorted(sort) {
  const to = here();
  to.searchParams.set("sort", sort);
  return to;
}

function moved(key, before) {
  const order = keys().filter((one) => one !== key);
  order.splice(before === null ? order.length : order.indexOf(before), 0, key);
  return withColumns(order);
}

function items(head, go) {
  const { key, kind, format = "", bestIs = "" } = head.dataset;
  const pinned = head.hasAttribute("data-pinned");
  const order = keys();
  const at = order.indexOf(key);
  const all = [
    { words: "Sort upwards", act: () => go(sorted(key)) },
    { words: "Sort downwards", act: () => go(sorted(`-${key}`)) },
  ];
  if (key === "name") return all;
  all.push(null);
  if (at > 0) all.push({ words: "Move left", act: () => go(moved(key, order[at - 1])) });
  if (at < order.length - 1) all.push({ words: "Move right", act: () => go(moved(key, order[at + 2] ?? null)) });
  all.push(
    { words: pinned ? "Let it scroll" : "Keep in sight", act: () => go(withColumns(order, { [key]: { pinned: !pinned } })) },
    { words: "Hide", act: () => go(withColumns(order.filter((one) => one !== key))) },
    { words: "Narrower", act: () => go(withColumns(order, { [key]: { width: Math.max(MIN, Math.round(head.offsetWidth * 0.8)) } })) },
    { words: "Wider", act: () => go(withColumns(order, { [key]: { width: Math.min(MAX, Math.round(head.offsetWidth * 1.25)) } })) },
  );
  if (head.dataset.width) all.push({ words: "As wide as its content", act: () => go(withColumns(order, { [key]: { width: "" } })) });
  if (/^(metric|curve)\./.test(key)) all.push(null, ...summaries(key, order, go));
  if (NUMBERS.includes(kind) || key.startsWith("config.")) {
    all.push(null,
      ...[["min", "Less is better"], ["max", "More is better"]].map(([which, words]) => ({
        words, pressed: bestIs === which,
        act: () => go(withColumns(order, { [key]: { bestIs: bestIs === which ? "" : which } })),
      })),
      null,
      ...Object.entries(FORMATS).map(([name, words]) => ({
        words, pressed: format === name, act: () => go(withColumns(order, { [key]: { format: name } })),
      })));
  }
  return all;
}

/** Which of a metric's figures the column shows, or its curve. */
function summaries(key, order, go) {
  const ending = Object.keys(SUMMARIES).find((end) => end && key.startsWith("metric.") && key.endsWith(end)) ?? "";
  const name = key.slice(key.indexOf(".") + 1, ending ? -ending.length : undefined);
  const choices = [...Object.entries(SUMMARIES).map(([end, words]) => [`metric.${name}${end}`, words]), [`curve.${name}`, "Its curve"]];
  return choices.map(([other, words]) => ({
    words, pressed: other === key, act: () => go(withColumns(order.map((one) => (one === key ? other : one)))),
  }));
}

function dress(head) {
  if (head.querySelector(".head-menu")) return;
  const button = document.createElement("button");
  button.type = "button";
  button.className = "head-menu";
  button.textContent = "▾";
  button.setAttribute("aria-label", `Column ${head.textContent.trim()}`);
  button.setAttribute("aria-haspopup", "menu");
  head.append(button);
  const grip = document.createElement("span");
  grip.className = "head-grip";
  head.append(grip);
  head.draggable = head.dataset.key !== "name";
}

function resize(grip, start, go) {
  const head = grip.parentElement;
  const width = head.offsetWidth;
  grip.setPointerCapture(start.pointerId);
  const at = (event) => Math.round(Math.min(MAX, Math.max(MIN, width + event.clientX - start.clientX)));
  const move = (event) => { head.style.minWidth = head.style.maxWidth = `${at(event)}px`; };
  grip.addEventListener("pointermove", move);
  grip.addEventListener("pointerup", (event) => {
    grip.removeEventListener("pointermove", move);
    if (Math.abs(event.clientX - start.clientX) > 2) go(withColumns(keys(), { [head.dataset.key]: { width: at(event) } }));
  }, { once: true });
}

export function watchHeads(go) {
  let dragged = "";
  const over = (event) => event.target.closest?.("#runs-table th[data-key]");
  new MutationObserver(() => heads().forEach(dress)).observe(document.getElementById("content"), { childList: true, subtree: true });
  heads().forEach(dress);
  document.addEventListener("click", (event) => {
    const button = event.target.closest(".head-menu");
    if (button) popover(button, button.getAttribute("aria-label"), items(button.parentElement, go));
  });
  document.addEventListener("pointerdown", (event) => {
    if (event.target.matches(".head-grip")) { event.preventDefault(); resize(event.target, event, go); }
  });
  document.addEventListener("dragstart", (event) => { dragged = over(event)?.dataset.key ?? ""; });
  document.addEventListener("dragover", (event) => {
    const head = over(event);
    for (const one of heads()) delete one.dataset.drop;
    if (!dragged || !head || head.dataset.key === "name") return;
    event.preventDefault();
    head.dataset.drop = "before";
  });
  document.addEventListener("drop", (event) => {
    const head = over(event);
    if (!dragged || !head || head.dataset.key === dragged || head.dataset.key === "name") return;
    event.preventDefault();
    go(moved(dragged, head.dataset.key));
  });
  document.addEventListener("dragend", () => { dragged = ""; for (const one of heads()) delete one.dataset.drop; });
}
