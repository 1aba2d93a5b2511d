// Figures that programs log: Plotly's data, drawn by our own copy of Plotly and by nothing it brings.

let loading = null;

/** Load Plotly once; it is large, and only figures need it here. */
function plotly(address) {
  if (window.Plotly) return Promise.resolve(window.Plotly);
  loading ??= new Promise((done, failed) => {
    const script = document.createElement("script");
    script.src = address;
    script.onload = () => done(window.Plotly);
    script.onerror = () => { loading = null; failed(new Error("Plotly could not be loaded. Reload the page to try again.")); };
    document.body.append(script);
  });
  return loading;
}

// Drawn by WebGL through code that it makes as it runs, which our pages do not allow. Some have a twin.
const TWINS = { scattergl: "scatter", scatterpolargl: "scatterpolar", heatmapgl: "heatmap", histogram2dgl: "histogram2d" };
const NEEDS_CODE = /^(scatter3d|surface|mesh3d|cone|streamtube|volume|isosurface|splom|parcoords|.*gl|.*mapbox|.*map|choropleth|scattergeo)$/;

const toRgb = (colour) => {
  const pen = document.createElement("canvas").getContext("2d");
  pen.fillStyle = colour;
  return pen.fillStyle;
};

/** Draw the figure at `url` in `place`; say why where that is not possible. */
export async function drawFigure(place, url, address) {
  const say = (words) => {
    const line = Object.assign(document.createElement("p"), { className: "muted small", textContent: `${words} ` });
    line.append(Object.assign(document.createElement("a"), { href: url, textContent: "Its data" }));
    place.replaceChildren(line);
  };
  try {
    const answer = await fetch(url);
    if (!answer.ok) { say(answer.status === 410 ? await answer.text() : "The figure could not be loaded."); return; }
    const { data, layout } = await answer.json();
    const traces = data.map((trace) => ({ ...trace, type: TWINS[trace.type] ?? trace.type }));
    const odd = traces.find(({ type }) => NEEDS_CODE.test(type ?? ""));
    if (odd) { say(`A trace of the kind ${odd.type} is not drawn here: it needs code or maps that our pages do not load.`); return; }
    const Plotly = await plotly(address);
    place.replaceChildren();
    const style = getComputedStyle(place);
    const ink = toRgb(style.getPropertyValue("--ink").trim());
    const line = toRgb(style.getPropertyValue("--line").trim());
    const side = { gridcolor: line, zerolinecolor: line };
    await Plotly.newPlot(place, traces, {
      ...layout, autosize: true, width: undefined, height: undefined,
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      font: { ...layout.font, color: ink }, xaxis: { ...side, ...layout.xaxis }, yaxis: { ...side, ...layout.yaxis },
      margin: { l: 48, r: 12, t: layout.title ? 40 : 12, b: 40, ...layout.margin },
      // A picture in it may come from nowhere but the figure itself.
      images: (layout.images ?? []).filter(({ source }) => /^data:image\/(png|jpeg);base64,/.test(String(source))),
    }, { displaylogo: false, responsive: true, showSendToCloud: false, plotlyServerURL: "" });
  } catch (error) {
    say(`The figure could not be drawn: ${error.message}`);
  }
}
