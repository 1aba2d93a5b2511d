// Rows of tabs and links that do not fit beside each other: they fade where they have more, and the
// chosen one is in sight.

const ROWS = ".tabs, .subnav > div, .bar nav";

function fade(row) {
  const before = row.scrollLeft > 1;
  const after = row.scrollLeft + row.clientWidth < row.scrollWidth - 1;
  row.dataset.fades = [before && "before", after && "after"].filter(Boolean).join(" ");
}

const watcher = new ResizeObserver((entries) => entries.forEach(({ target }) => fade(target)));
for (const row of document.querySelectorAll(ROWS)) {
  const chosen = row.querySelector("[aria-current]");
  const past = chosen ? chosen.getBoundingClientRect().right - row.getBoundingClientRect().right + 48 : 0;
  if (past > 0) row.scrollLeft += past;
  row.addEventListener("scroll", () => fade(row), { passive: true });
  watcher.observe(row);
}
