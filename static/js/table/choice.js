// Which runs are chosen: their numbers stand in the address, so that they stay while one pages,
// sorts and searches, and a link has them too.

let lastBox = null;

const place = () => document.querySelector("[data-runs-table]");
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
  const boxes = [...table.querySelectorAll("[data-select]")];
  for (const box of boxes) {
    box.checked = numbers.has(box.value);
    box.closest("tr").setAttribute("aria-selected", String(box.checked));
  }
  const page = table.querySelector("[data-select-page]");
  const here = boxes.filter((box) => box.checked).length;
  page.checked = here > 0 && here === boxes.length;
  page.indeterminate = here > 0 && here < boxes.length;
  const button = table.querySelector("[data-compare]");
  button.disabled = numbers.size === 0;
  button.querySelector("[data-count]").textContent = numbers.size ? String(numbers.size) : "";
  const words = table.querySelector("[data-chosen]");
  words.hidden = numbers.size === 0;
  words.textContent = `${numbers.size} chosen of `;
  table.querySelector("#runs-count").prepend(words);
  table.querySelector("[data-clear]").hidden = numbers.size === 0;
  for (const act of table.querySelectorAll("[data-act]")) act.hidden = numbers.size === 0;
  for (const link of document.querySelectorAll("[data-file]")) {
    const to = new URL(link.href);
    if (numbers.size) to.searchParams.set("select", [...numbers].join(","));
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
      for (const one of place().querySelectorAll("[data-select]")) {
        if (box.checked) numbers.add(one.value);
        else numbers.delete(one.value);
      }
      store(numbers);
    }
    if (!box.matches("[data-select]")) return;
    const numbers = chosen();
    const boxes = [...place().querySelectorAll("[data-select]")];
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
  });
  document.addEventListener("submit", (event) => {
    if (!event.target.matches("[data-runs-table]")) return;
    event.preventDefault();
    const to = new URL(event.target.action, location.href);
    to.searchParams.set("runs", [...chosen()].join(","));
    location.assign(to);
  });
}
