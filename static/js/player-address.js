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
