// A pen that writes SVG: the part of a canvas's context that charts draw with.

const escaped = (text) => String(text).replace(/[&<>"]/g, (sign) => `&#${sign.charCodeAt(0)};`);
const ANCHORS = { left: "start", right: "end", center: "middle" };
const LINES = { top: "text-before-edge", middle: "central", alphabetic: "alphabetic", bottom: "text-after-edge" };
const at = (value) => Number(value.toFixed(2));

export class SvgPen {
  constructor(width, height) {
    Object.assign(this, { width, height, strokeStyle: "#000", fillStyle: "#000", lineWidth: 1, globalAlpha: 1,
      font: "12px sans-serif", textAlign: "left", textBaseline: "alphabetic", parts: [], path: "", dash: [], stack: [],
      groups: 0, clips: 0 });
  }

  save() { this.stack.push([this.groups, { ...this, stack: null, parts: null }]); }

  restore() {
    const [groups, before] = this.stack.pop();
    while (this.groups > groups) { this.parts.push("</g>"); this.groups -= 1; }
    for (const name of ["strokeStyle", "fillStyle", "lineWidth", "globalAlpha", "font", "textAlign", "textBaseline", "dash"]) {
      this[name] = before[name];
    }
  }

  beginPath() { this.path = ""; }
  moveTo(x, y) { this.path += `M${at(x)} ${at(y)}`; }
  lineTo(x, y) { this.path += `L${at(x)} ${at(y)}`; }
  closePath() { this.path += "Z"; }
  rect(x, y, w, h) { this.path += `M${at(x)} ${at(y)}h${at(w)}v${at(h)}h${at(-w)}Z`; }
  arc(x, y, r) { this.path += `M${at(x - r)} ${at(y)}a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0Z`; }
  setLineDash(dash) { this.dash = dash; }
  measureText(text) { return { width: String(text).length * 6.4 }; }

  clip() {
    this.clips += 1;
    this.parts.push(`<clipPath id="c${this.clips}"><path d="${this.path}"/></clipPath><g clip-path="url(#c${this.clips})">`);
    this.groups += 1;
  }

  stroke() {
    const dash = this.dash.length ? ` stroke-dasharray="${this.dash.join(" ")}"` : "";
    this.parts.push(`<path d="${this.path}" fill="none" stroke="${escaped(this.strokeStyle)}" stroke-width="${this.lineWidth}" stroke-opacity="${this.globalAlpha}" stroke-linejoin="round"${dash}/>`);
  }

  fill() { this.parts.push(`<path d="${this.path}" fill="${escaped(this.fillStyle)}" fill-opacity="${this.globalAlpha}"/>`); }

  fillRect(x, y, w, h) { this.beginPath(); this.rect(x, y, w, h); this.fill(); }

  clearRect() {}

  fillText(text, x, y) {
    const [, size, family] = this.font.match(/([\d.]+)px (.*)/) ?? [null, "12", "sans-serif"];
    this.parts.push(`<text x="${at(x)}" y="${at(y)}" font-size="${size}" font-family="${escaped(family)}" fill="${escaped(this.fillStyle)}" text-anchor="${ANCHORS[this.textAlign] ?? "start"}" dominant-baseline="${LINES[this.textBaseline] ?? "alphabetic"}">${escaped(text)}</text>`);
  }

  toString() {
    return `<svg xmlns="http://www.w3.org/2000/svg" width="${this.width}" height="${this.height}" viewBox="0 0 ${this.width} ${this.height}">${this.parts.join("")}</svg>\n`;
  }
}
