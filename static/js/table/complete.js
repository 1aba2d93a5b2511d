// Completion of the query line: what the server says fits at the cursor, in a list below it that the
// arrows go through. The line stays a plain field: without a script it is sent as it is.

const WAIT_MS = 120;
const SHOWN = 12;

let list = null;
let options = [];
let range = { start: 0, end: 0 };
let chosen = -1;
let asked = 0;
let timer = 0;

const field = () => document.getElementById("query");

function close() {
  list?.remove();
  list = null;
  options = [];
  chosen = -1;
  const input = field();
  input?.setAttribute("aria-expanded", "false");
  input?.removeAttribute("aria-activedescendant");
}

function mark(at) {
  chosen = at;
  [...list.children].forEach((row, i) => row.setAttribute("aria-selected", String(i === at)));
  const row = list.children[at];
  row?.scrollIntoView({ block: "nearest" });
  if (row) field().setAttribute("aria-activedescendant", row.id);
  else field().removeAttribute("aria-activedescendant");
}

function insert(option) {
  const input = field();
  input.setRangeText(option.text, range.start, range.end, "end");
  close();
  input.focus();
  ask();
}

function draw() {
  list?.remove();
  if (!options.length) { close(); return; }
  const input = field();
  list = document.createElement("ul");
  list.id = "query-options";
  list.className = "completions";
  list.setAttribute("role", "listbox");
  list.setAttribute("aria-label", "What may stand here");
  options.forEach((option, i) => {
    const row = document.createElement("li");
    row.id = `query-option-${i}`;
    row.setAttribute("role", "option");
    const text = document.createElement("span");
    text.textContent = option.text;
    const detail = document.createElement("span");
    detail.className = "muted";
    detail.textContent = option.detail;
    row.append(text, detail);
    row.addEventListener("pointerdown", (event) => { event.preventDefault(); insert(option); });
    list.append(row);
  });
  input.after(list);
  input.setAttribute("aria-expanded", "true");
  mark(-1);
}

async function ask() {
  const input = field();
  const mine = (asked += 1);
  const query = new URLSearchParams({ q: input.value, at: input.selectionStart });
  const answer = await fetch(`${input.dataset.complete}?${query}`, { headers: { Accept: "application/json" } }).catch(() => null);
  if (mine !== asked || !answer?.ok || document.activeElement !== field()) return;
  const found = await answer.json();
  if (mine !== asked) return;
  range = found;
  const typed = input.value.slice(found.start, found.end);
  options = found.options.filter((option) => option.text !== typed).slice(0, SHOWN);
  draw();
}

/** Offer what fits while somebody types in the query line. */
export function watchQuery() {
  document.addEventListener("input", (event) => {
    if (event.target !== field()) return;
    clearTimeout(timer);
    timer = setTimeout(ask, WAIT_MS);
  });
  document.addEventListener("focusout", (event) => { if (event.target === field()) close(); });
  document.addEventListener("submit", () => { asked += 1; clearTimeout(timer); close(); });
  document.addEventListener("keydown", (event) => {
    if (event.target !== field()) return;
    if (event.key === " " && event.ctrlKey) { event.preventDefault(); ask(); return; }
    if (!list) return;
    const moves = { ArrowDown: chosen + 1, ArrowUp: chosen < 0 ? options.length - 1 : chosen - 1 };
    if (event.key in moves) {
      event.preventDefault();
      mark(moves[event.key] >= options.length ? -1 : moves[event.key]);
    } else if (event.key === "Escape") {
      event.preventDefault();
      event.stopPropagation();
      close();
    } else if ((event.key === "Enter" || event.key === "Tab") && chosen >= 0) {
      event.preventDefault();
      insert(options[chosen]);
    }
  });
}
