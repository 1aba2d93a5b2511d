// Waveforms on canvas: stored peaks, the playhead, the loop region, and the time under a pointer.

function colour(element, name) {
  return getComputedStyle(element).getPropertyValue(name).trim() || "#888";
}

// `view`: {peaks, gain, full, duration, total, position, loop, active}; times in seconds, gain in dB,
// `full` is the amplitude that fills the height: one for the row, so that its clips compare.
export function drawWave(canvas, view) {
  const ratio = window.devicePixelRatio || 1;
  const width = Math.round(canvas.clientWidth * ratio);
  const height = Math.round(canvas.clientHeight * ratio);
  if (width === 0 || height === 0) return;
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  const pen = canvas.getContext("2d");
  const total = view.total || 1;
  const across = (seconds) => (seconds / total) * width;
  pen.clearRect(0, 0, width, height);
  if (view.loop) {
    pen.fillStyle = colour(canvas, "--accent-wash");
    pen.fillRect(across(view.loop.start), 0, across(view.loop.end - view.loop.start), height);
  }
  pen.fillStyle = colour(canvas, "--line");
  pen.fillRect(0, Math.floor(height / 2), width, Math.max(1, Math.round(ratio)));
  drawPeaks(pen, view, { width: across(view.duration), height, canvas });
  pen.fillStyle = colour(canvas, "--ink");
  const head = Math.min(width - 2 * ratio, across(view.position));
  pen.fillRect(head, 0, Math.max(1, 1.5 * ratio), height);
}

// The largest amplitude of a clip as it is played.
export function loudest({ peaks, gain }) {
  const top = peaks.reduce((most, [low, high]) => Math.max(most, -low, high), 0);
  return (top / 127) * 10 ** (gain / 20);
}

function drawPeaks(pen, view, { width, height, canvas }) {
  // What is drawn is what is heard: the stored gain is in it.
  const scale = (10 ** (view.gain / 20) / 127 / view.full) * (height / 2) * 0.95;
  const step = width / (view.peaks.length || 1);
  pen.fillStyle = colour(canvas, view.active ? "--accent" : "--edge");
  view.peaks.forEach(([low, high], index) => {
    const top = Math.max(0, height / 2 - high * scale);
    const bottom = Math.min(height, height / 2 - low * scale);
    pen.fillRect(index * step, top, Math.max(1, step - 0.5), Math.max(1, bottom - top));
  });
}

// A click seeks, a drag marks a region. `total()` gives the seconds that the canvas stands for.
export function watchPointer(canvas, { total, onseek, ondrag, ondropped }) {
  let from = null;
  let moved = false;
  const seconds = (event) => {
    const box = canvas.getBoundingClientRect();
    const share = (event.clientX - box.left) / box.width;
    return Math.min(1, Math.max(0, share)) * total();
  };
  canvas.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    from = { x: event.clientX, at: seconds(event) };
    moved = false;
    canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (from === null) return;
    moved ||= Math.abs(event.clientX - from.x) > 4;
    const at = seconds(event);
    if (moved) ondrag({ start: Math.min(from.at, at), end: Math.max(from.at, at) });
  });
  canvas.addEventListener("pointerup", (event) => {
    if (from === null) return;
    if (moved) ondropped();
    else onseek(seconds(event));
    from = null;
  });
  canvas.addEventListener("pointercancel", () => {
    from = null;
  });
}
