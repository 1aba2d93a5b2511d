// Fragments that are fetched again and again (a run's samples while it trains) are merged by key
// instead of swapped: rows that did not change stay as they are, and what sounds goes on sounding.
//
//   <div data-keyed="run-samples"> <section data-key data-version>…<div data-part>…</div></section> </div>

function mergeRow(old, fresh) {
  if (old.dataset.version === fresh.dataset.version) return;
  old.dataset.version = fresh.dataset.version;
  const list = fresh.querySelector("clip-player > ol.clips");
  const player = old.querySelector("clip-player");
  if (player && list) {
    player.querySelector(":scope > ol.clips")?.replaceWith(list);
    player.setClips(list);
  }
  for (const part of fresh.querySelectorAll("[data-part]")) {
    const place = old.querySelector(`[data-part="${part.dataset.part}"]`);
    const open = place?.querySelector("details")?.open;
    place?.replaceWith(part);
    const details = part.querySelector("details");
    if (details && open) details.open = true;
  }
}

export function merge(home, fresh) {
  const rows = new Map([...home.querySelectorAll(":scope > [data-key]")].map((row) => [row.dataset.key, row]));
  let before = null;
  for (const row of [...fresh.children]) {
    const old = rows.get(row.dataset.key);
    if (old) {
      rows.delete(row.dataset.key);
      mergeRow(old, row);
      before = old;
    } else {
      // Only new nodes are put in: moving one would restart nothing, but would lose the focus.
      if (before) before.after(row);
      else home.prepend(row);
      before = row;
    }
  }
  for (const row of rows.values()) row.remove();
}

export function watchFragments() {
  document.addEventListener("htmx:beforeSwap", (event) => {
    const { detail } = event;
    if (!detail.shouldSwap || !detail.xhr?.responseText.includes("data-keyed")) return;
    const page = new DOMParser().parseFromString(detail.xhr.responseText, "text/html");
    const fresh = page.querySelector("[data-keyed]");
    const home = fresh && document.querySelector(`[data-keyed="${CSS.escape(fresh.dataset.keyed)}"]`);
    if (!home) return;
    merge(home, fresh);
    detail.shouldSwap = false;
  });
}
