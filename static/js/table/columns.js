// Columns: their widths and pinned places, and the picker's search and order.

const sheet = new CSSStyleSheet();
document.adoptedStyleSheets = [...document.adoptedStyleSheets, sheet];

/** Give columns the widths of the address, and pinned ones their place beside the name. */
export function arrange() {
  const heads = [...document.querySelectorAll("#runs-table th")];
  const rules = [];
  heads.forEach((head, i) => {
    const width = Number(head.dataset.width);
    if (width) {
      rules.push(`#runs-table :is(th, td):nth-child(${i + 1}) { width: ${width}px; min-width: ${width}px; max-width: ${width}px; }`);
    }
  });
  sheet.replaceSync(`@media (min-width: 40.01rem) { ${rules.join(" ")} }`);
  let left = 0;
  heads.forEach((head, i) => {
    const stays = i < 2 || head.hasAttribute("data-pinned");
    if (stays && i >= 2) {
      rules.push(
        `#runs-table :is(th, td):nth-child(${i + 1}) { position: sticky; left: ${left}px; z-index: 2; background: var(--ground); }`,
        `#runs-table th:nth-child(${i + 1}) { z-index: 4; }`,
      );
    }
    if (stays) left += head.getBoundingClientRect().width;
  });
  sheet.replaceSync(`@media (min-width: 40.01rem) { ${rules.join(" ")} }`);
  pick();
}

const fold = (text) => text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();

function filter(picker) {
  const words = fold(picker.querySelector("[data-picker-search]").value).split(/\s+/).filter(Boolean);
  const varying = picker.querySelector("[data-picker-varying]").checked;
  for (const row of picker.querySelectorAll("[data-picker-offered] li")) {
    const fits = words.every((word) => fold(row.dataset.title).includes(word));
    row.hidden = !fits || (varying && !row.hasAttribute("data-varies"));
  }
}

document.addEventListener("htmx:afterSwap", pick);

/** Give the picker what it needs scripts for: the search, and an order for what is shown. */
function pick() {
  const picker = document.querySelector("[data-picker]");
  if (!picker || picker.dataset.ready) return;
  picker.dataset.ready = "yes";
  const list = picker.querySelector("[data-picker-chosen]");
  const shown = (row) => {
    for (const [sign, words] of [["↑", "earlier"], ["↓", "later"]]) {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = sign;
      button.setAttribute("aria-label", `Show ${row.dataset.title} ${words}`);
      button.addEventListener("click", () => {
        if (sign === "↑") row.previousElementSibling?.before(row);
        else row.nextElementSibling?.after(row);
        button.focus();
      });
      row.append(button);
    }
  };
  for (const row of list.children) shown(row);
  picker.addEventListener("input", () => filter(picker));
  picker.addEventListener("change", (event) => {
    const row = event.target.closest("[data-picker-offered] li");
    if (!row || !event.target.checked) return;
    list.append(row);
    shown(row);
    row.querySelector("input").focus();
  });
}
