// A small menu at a place on the page: one at a time, closed by Escape, a click elsewhere, a choice.

let open = null;
let opener = null;

export function close() {
  open?.remove();
  opener?.setAttribute("aria-expanded", "false");
  open = null;
}

/** Open a menu below `anchor`. Items are {words, act, pressed} or null for a line between. */
export function popover(anchor, title, items, heading) {
  close();
  opener = anchor;
  anchor.setAttribute("aria-expanded", "true");
  open = document.createElement("div");
  open.className = "popover";
  open.setAttribute("role", "menu");
  open.setAttribute("aria-label", title);
  if (heading) {
    const line = document.createElement("code");
    line.textContent = heading;
    open.append(line);
  }
  for (const item of items) {
    if (!item) { open.append(document.createElement("hr")); continue; }
    const button = document.createElement("button");
    button.type = "button";
    button.setAttribute("role", "menuitem");
    button.textContent = item.words;
    if (item.pressed !== undefined) button.setAttribute("aria-pressed", String(item.pressed));
    button.addEventListener("click", () => { const back = opener; close(); back?.focus?.({ preventScroll: true }); item.act(); });
    open.append(button);
  }
  document.body.append(open);
  const box = anchor.getBoundingClientRect();
  open.style.left = `${Math.max(8, Math.min(box.left, innerWidth - open.offsetWidth - 8))}px`;
  const below = box.bottom + open.offsetHeight + 8 < innerHeight;
  open.style.top = `${below ? box.bottom + 2 : Math.max(8, box.top - open.offsetHeight - 2)}px`;
  open.querySelector("button")?.focus();
}

document.addEventListener("pointerdown", (event) => {
  if (open && !open.contains(event.target) && !opener?.contains(event.target)) close();
});
document.addEventListener("keydown", (event) => {
  if (!open) return;
  const buttons = [...open.querySelectorAll("button")];
  const at = buttons.indexOf(document.activeElement);
  const moves = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: buttons.length - 1 };
  if (event.key === "Escape") { const back = opener; close(); back?.focus?.(); event.preventDefault(); event.stopPropagation(); }
  if (event.key in moves) { buttons.at(moves[event.key] % buttons.length)?.focus(); event.preventDefault(); }
}, true);
