// The media of a run: its slider, and figures drawn. The tab works without: a number and two links.

import { drawFigure } from "./charts/figure.js";
import { freshPage, onTab } from "./run-tabs.js";

function drawFigures(place) {
  const plotly = place.closest("[data-plotly]") ?? place.querySelector("[data-plotly]");
  for (const figure of place.querySelectorAll("[data-figure]:not([data-drawn])")) {
    figure.dataset.drawn = "";
    drawFigure(figure, figure.dataset.figure, plotly.dataset.plotly);
  }
}

let newest = 0;

/** Show another step in place of this one; the address says which. */
async function go(step) {
  newest += 1;
  const mine = newest;
  const address = new URL(location.href);
  address.searchParams.set("step", step);
  const page = await freshPage(address.pathname + address.search);
  const fresh = page?.getElementById("media");
  const bar = page?.querySelector(".media-bar nav");
  if (mine !== newest) return;
  if (!fresh) { location.assign(address); return; }
  history.replaceState(history.state, "", address);
  document.getElementById("media").replaceWith(document.adoptNode(fresh));
  document.querySelector(".media-bar nav")?.replaceWith(document.adoptNode(bar));
  drawFigures(fresh);
}

onTab((tab) => {
  drawFigures(tab);
  const bar = tab.querySelector("[data-media-steps]");
  if (!bar) return;
  const steps = bar.dataset.mediaSteps.split(",").map(Number);
  const slider = bar.querySelector("[data-media-slider]");
  const number = bar.querySelector('input[name="step"]');
  slider.hidden = steps.length < 2;
  slider.value = Math.max(0, steps.indexOf(Number(number.value)));
  let due = 0;
  slider.addEventListener("input", () => {
    const step = steps[Number(slider.value)];
    number.value = step;
    slider.setAttribute("aria-valuetext", `step ${step}`);
    clearTimeout(due);
    due = setTimeout(() => go(step), 120);
  });
  // What the page writes anew while the run is open has its figures to draw.
  new MutationObserver(() => drawFigures(tab)).observe(tab, { childList: true });
});
