// Following a link of the table: fetch the page, put its table and tools in place of these.

const PARTS = ["[data-runs-view]", "[data-toolbar]"];
let dressed = () => {};
let latest = 0;

/** Show the table of an address; `push` makes it a step that the browser can go back from. */
export async function go(url, push = true) {
  const mine = (latest += 1);
  const focus = document.activeElement?.id;
  const answer = await fetch(url, { headers: { Accept: "text/html" } }).catch(() => null);
  if (mine !== latest) return;
  if (!answer?.ok || answer.redirected) { location.assign(url); return; }
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  if (mine !== latest) return;
  if (PARTS.some((part) => !page.querySelector(part))) { location.assign(url); return; }
  const scrolled = document.getElementById("runs-table")?.scrollLeft ?? 0;
  for (const part of PARTS) {
    const fresh = document.adoptNode(page.querySelector(part));
    document.querySelector(part).replaceWith(fresh);
    window.htmx?.process(fresh);
  }
  if (push) history.pushState(null, "", url);
  dressed();
  const box = document.getElementById("runs-table");
  if (box) box.scrollLeft = scrolled;
  if (focus) document.getElementById(focus)?.focus({ preventScroll: true });
}

/** The address as it is now, without the page: another order or query begins at the first. */
export function here() {
  const url = new URL(location.href);
  url.searchParams.delete("page");
  return url;
}

export function watchLinks(dress) {
  dressed = dress;
  document.addEventListener("click", (event) => {
    const link = event.target.closest("#runs-table th a, .pager a, [data-toolbar] a.chip, [data-views] a, [data-runs-view] .terms a, a[data-go]");
    if (!link || event.metaKey || event.ctrlKey || event.shiftKey || event.button) return;
    const to = new URL(link.href);
    const chosen = new URL(location.href).searchParams.get("select");
    if (chosen) to.searchParams.set("select", chosen);
    event.preventDefault();
    go(to);
  });
  document.addEventListener("submit", (event) => {
    if (!event.target.matches("#query-form, [data-picker]")) return;
    event.preventDefault();
    const to = new URL(event.target.action || location.href, location.href);
    to.search = String(new URLSearchParams(new FormData(event.target)));
    const chosen = new URL(location.href).searchParams.get("select");
    if (chosen) to.searchParams.set("select", chosen);
    go(to);
  });
  addEventListener("popstate", () => go(location.href, false));
}
