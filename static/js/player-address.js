// Which player, which clip, where, which loop: kept behind the # of the address, so it can be sent.

export function readAddress() {
  const said = new URLSearchParams(location.hash.slice(1));
  const player = said.get("player");
  if (!player) return null;
  const [start, end] = (said.get("loop") ?? "").split("-").map(Number);
  return {
    player,
    clip: said.get("clip"),
    at: Number(said.get("at")) || 0,
    loop: end > start ? { start, end } : null,
  };
}

export function writeAddress({ player, clip, at, loop }) {
  if (!player) return;
  const said = new URLSearchParams({ player, clip, at: at.toFixed(2) });
  if (loop) said.set("loop", `${loop.start.toFixed(2)}-${loop.end.toFixed(2)}`);
  history.replaceState(history.state, "", `#${said}`);
}

// A redirect keeps what stands behind the #: what a form opens would carry the place of this page's
// player. A form that its script sends leaves the page where it is, and the address with it.
export function watchForms() {
  document.addEventListener("submit", (event) => {
    if (event.defaultPrevented || event.target.method !== "post" || !readAddress()) return;
    history.replaceState(history.state, "", location.pathname + location.search);
  });
}
