// Which runs are chosen: their numbers stand in the address, so that they stay while one pages,
// sorts and searches, and a link has them too.

let lastBox = null;

const place = () => document.querySelector("[data-runs-table]");
const ALL = "all";
export const chosen = () =>
  new Set((new URL(location.href).searchParams.get("select") ?? "").split(",").filter(Boolean));

function store(numbers) {
  const to = new URL(location.href);
  if (numbers.size) to.searchParams.set("select", [...numbers].join(","));
  else to.searchParams.delete("select");
  history.replaceState(history.state, "", to);
  show();
}

/** Show what is chosen: the boxes, the bar below, and files that have these runs alone. */
export function show() {
  const table = place();
  if (!table) return;
  const numbers = chosen();
  const all = numbers.has(ALL);
  const count = all ? Number(table.querySelector("[data-all]").dataset.count) : numbers.size;
  const boxes = [...table.querySelectorAll("[data-select]")];
  for (const box of boxes) {
    box.checked = all || numbers.has(box.value);
    box.closest("tr").setAttribute("aria-selected", String(box.checked));
  }
  const page = table.querySelector("[data-select-page]");
  const here = boxes.filter((box) => box.checked).length;
  page.checked = here > 0 && here === boxes.length;
  page.indeterminate = here > 0 && here < boxes.length;
  const button = table.querySelector("[data-compare]");
  button.disabled = count === 0 || all;
  button.querySelector("[data-count]").textContent = count && !all ? String(count) : "";
  const words = table.querySelector("[data-chosen]");
  words.hidden = count === 0;
  words.textContent = `${all ? "all" : count} chosen of `;
  table.querySelector("#runs-count").prepend(words);
  table.querySelector("[data-clear]").hidden = count === 0;
  // Where more are found than this page shows, all of them can be chosen at once.
  const more = table.querySelector("[data-all]");
  more.hidden = all || here < boxes.length || Number(more.dataset.count) <= boxes.length;
  for (const act of table.querySelectorAll("[data-act]")) act.hidden = count === 0;
  for (const link of document.querySelectorAll("[data-file]")) {
    const to = new URL(link.href);
    if (numbers.size && !all) to.searchParams.set("select", [...numbers].join(","));
    else to.searchParams.delete("select");
    link.href = to;
  }
}

export function watchChoice() {
  let shift = false;
  document.addEventListener("click", (event) => { shift = event.shiftKey; }, true);
  document.addEventListener("change", (event) => {
    const box = event.target;
    if (box.matches("[data-select-page]")) {
      const numbers = chosen();
      numbers.delete(ALL);
      for (const one of place().querySelectorAll("[data-select]")) {
        if (box.checked) numbers.add(one.value);
        else numbers.delete(one.value);
      }
      store(numbers);
    }
    if (!box.matches("[data-select]")) return;
    const boxes = [...place().querySelectorAll("[data-select]")];
    // Of all that are found, without one: those of this page.
    const numbers = chosen().has(ALL) ? new Set(boxes.map((one) => one.value)) : chosen();
    const from = shift && lastBox?.isConnected ? boxes.indexOf(lastBox) : boxes.indexOf(box);
    const to = boxes.indexOf(box);
    for (const one of boxes.slice(Math.min(from, to), Math.max(from, to) + 1)) {
      if (box.checked) numbers.add(one.value);
      else numbers.delete(one.value);
    }
    lastBox = box;
    store(numbers);
  });
  document.addEventListener("click", (event) => {
    if (event.target.closest("[data-clear]")) store(new Set());
    if (event.target.closest("[data-all]")) store(new Set([ALL]));
  });
  document.addEventListener("submit", (event) => {
    if (!event.target.matches("[data-runs-table]")) return;
    event.preventDefault();
    const act = event.submitter?.matches("[data-act]");
    const to = new URL(act ? event.submitter.formAction : event.target.action, location.href);
    const numbers = chosen();
    if (numbers.has(ALL)) {
      const { query, count, archived } = event.target.querySelector("[data-all]").dataset;
      // Nothing typed is a query too: it finds every run.
      to.searchParams.set("q", query);
      to.searchParams.set("count", count);
      if (archived !== undefined) to.searchParams.set("archived", "1");
    } else {
      to.searchParams.set(act ? "numbers" : "runs", [...numbers].join(","));
    }
    location.assign(to);
  });
}
