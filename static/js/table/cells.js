// A cell, clicked or by Enter: only runs with this value, all but those, or copy it.

import { here } from "./go.js";
import { popover } from "./popover.js";

const NUMBERS = ["number", "duration", "money"];
const NOTHING = "–";
// As experiments/run_table/query/writing.py: a quotation mark inside is doubled.
const quoted = (text) => `"${text.replaceAll('"', '""')}"`;

const valueOf = (cell) =>
  cell.dataset.v ?? cell.querySelector(".state")?.dataset.state ?? cell.querySelector("time")?.dateTime ?? cell.textContent.trim();

/** What a run with the value of this cell fits; empty where no query says it. */
export function term(head, cell) {
  const value = valueOf(cell);
  const { key, kind, named: field } = head.dataset;
  if (key === "name") return "";
  if (kind === "list" || kind === "curve") return "";
  if (!cell.dataset.v && value === NOTHING) return `${field} is None`;
  if (kind === "time") return `${field} == ${quoted(value.slice(0, 10))}`;
  if (value === "NaN") return `${field} == nan`;
  const bare = NUMBERS.includes(kind) || (kind === "any" && /^(-?[\d.]+(e[+-]?\d+)?|true|false)$/i.test(value));
  return `${field} == ${bare ? value.replaceAll(",", "") : quoted(value)}`;
}

function narrowed(text) {
  const to = here();
  const before = to.searchParams.get("q")?.trim() ?? "";
  const alone = / or /i.test(` ${before} `) ? `(${before})` : before;
  to.searchParams.set("q", before ? `${alone} and ${text}` : text);
  return to;
}

export function watchCells(go) {
  document.addEventListener("pointerover", (event) => {
    const time = event.target.closest?.("#runs-table time");
    if (time && !time.title) time.title = `${time.dateTime.replace("T", " ").replace("Z", "")} UTC`;
  });
  document.addEventListener("click", (event) => {
    const cell = event.target.closest("#runs-table tbody td:not(.tick, .name)");
    if (!cell || event.target.closest("a, input, button, label") || String(getSelection())) return;
    const head = cell.closest("table").tHead.rows[0].cells[cell.cellIndex];
    const chip = event.target.closest(".chip");
    const text = chip ? `${quoted(chip.textContent.trim())} in run.tags` : term(head, cell);
    if (!text) return;
    const value = chip?.textContent ?? valueOf(cell);
    // A measured number is hardly met again: at most or at least this is what one asks.
    const measured = NUMBERS.includes(head.dataset.kind) && text.includes(" == ") && !text.endsWith("nan");
    popover(cell, "This value", [
      ...(measured
        ? ["<=", ">="].map((sign) => ({ words: sign === "<=" ? "Only at most this" : "Only at least this",
          act: () => go(narrowed(text.replace(" == ", ` ${sign} `))) }))
        : [{ words: "Only runs with this", act: () => go(narrowed(text)) },
          { words: "Only runs without", act: () => go(narrowed(`not (${text})`)) }]),
      { words: "Copy the value", act: () => navigator.clipboard?.writeText(value.trim()) },
    ], text);
  });
}
