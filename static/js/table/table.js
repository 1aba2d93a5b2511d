// The run table. Its whole state stands in the address: every change is a link that is followed
// without loading the page anew, and what is chosen is kept beside it.

import { arrange } from "./columns.js";
import { watchCells } from "./cells.js";
import { watchQuery } from "./complete.js";
import { watchHeads } from "./heads.js";
import { show, watchChoice } from "./choice.js";
import { go, watchLinks } from "./go.js";

const RENEW_MS = 5000;
const place = () => document.querySelector("[data-runs-table]");

function dress() {
  arrange();
  show();
}

/** Replace only what has changed in the rows, so that the focus and the pointer keep theirs. */
async function renew() {
  const address = place()?.dataset.live;
  if (document.hidden || !address) return;
  const answer = await fetch(address).catch(() => null);
  // Another table may have come meanwhile.
  if (address !== place()?.dataset.live) return;
  if (!answer?.ok) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const rows = page.querySelector("#runs-table tbody");
  const old = document.querySelector("#runs-table tbody");
  if (!rows || !old) return;
  const known = new Map([...old.rows].map((row) => [row.id, row]));
  const kept = [...rows.rows].map((row) => {
    const before = known.get(row.id);
    if (!before) return row;
    [...row.cells].forEach((cell, i) => {
      const shown = before.cells[i];
      if (i > 0 && shown && shown.outerHTML !== cell.outerHTML && !shown.contains(document.activeElement)) {
        shown.replaceWith(cell);
      }
    });
    return before;
  });
  if (kept.some((row, i) => old.rows[i] !== row) || kept.length !== old.rows.length) {
    const focused = document.activeElement;
    old.replaceChildren(...kept);
    if (focused && old.contains(focused)) focused.focus();
  }
  show();
}

watchLinks(dress);
watchChoice();
watchHeads(go);
watchCells(go);
watchQuery();
dress();
setInterval(renew, RENEW_MS);
