// Writing a report: blocks are put in at the cursor, and what is not saved is not left by accident.

const form = document.querySelector("[data-report-form]");
const text = document.querySelector("[data-report-text]");
const insert = document.querySelector("[data-insert]");

/** Put a block on lines of its own where the cursor is; the page's preview hears of it. */
function put(block) {
  const { value, selectionStart, selectionEnd } = text;
  const before = value.slice(0, selectionStart);
  const gap = !before || before.endsWith("\n\n") ? "" : before.endsWith("\n") ? "\n" : "\n\n";
  text.focus();
  text.setRangeText(`${gap}${block}\n`, selectionStart, selectionEnd, "end");
  text.dispatchEvent(new Event("input", { bubbles: true }));
}

if (form && text) {
  insert.hidden = false;
  insert.addEventListener("click", ({ target }) => {
    const { block } = target.dataset;
    if (!block) return;
    insert.querySelector("details").open = false;
    put(block);
  });
  let changed = false;
  form.addEventListener("input", () => { changed = true; });
  form.addEventListener("submit", () => { changed = false; });
  addEventListener("beforeunload", (event) => { if (changed) event.preventDefault(); });
}
