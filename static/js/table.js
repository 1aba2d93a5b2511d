// The run table: what is selected stands in the address and goes to the compare page.

const place = () => document.querySelector("[data-runs-table]");
const address = () => new URL(location.href);
const chosen = () => new Set((address().searchParams.get("select") ?? "").split(",").filter(Boolean));

function show() {
  const table = place();
  if (!table) return;
  const numbers = chosen();
  for (const box of table.querySelectorAll("[data-select]")) {
    box.checked = numbers.has(box.value);
    box.closest("tr").setAttribute("aria-selected", String(box.checked));
  }
  const button = table.querySelector("[data-compare]");
  button.disabled = numbers.size === 0;
  button.querySelector("[data-count]").textContent = numbers.size ? String(numbers.size) : "";
  // Another page, order or column keeps what is selected.
  for (const link of document.querySelectorAll("#runs-table th a, .pager a")) {
    const to = new URL(link.href);
    if (numbers.size) to.searchParams.set("select", [...numbers].join(","));
    else to.searchParams.delete("select");
    link.href = to;
  }
}

document.addEventListener("change", (event) => {
  if (!event.target.matches("[data-select]")) return;
  const numbers = chosen();
  if (event.target.checked) numbers.add(event.target.value);
  else numbers.delete(event.target.value);
  const to = address();
  if (numbers.size) to.searchParams.set("select", [...numbers].join(","));
  else to.searchParams.delete("select");
  history.replaceState(history.state, "", to);
  show();
});

document.addEventListener("submit", (event) => {
  if (!event.target.matches("[data-runs-table]")) return;
  event.preventDefault();
  const to = new URL(event.target.action, location.href);
  to.searchParams.set("runs", [...chosen()].join(","));
  location.assign(to);
});

async function renew() {
  if (document.hidden) return;
  const answer = await fetch(location.href);
  if (!answer.ok) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const rows = page.querySelector("#runs-table tbody");
  const old = document.querySelector("#runs-table tbody");
  if (!rows || !old) return;
  // Only what changed is replaced, so that the focus and the pointer keep their row.
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

show();
if (place()?.hasAttribute("data-live")) setInterval(renew, 5000);
