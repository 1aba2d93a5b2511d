// The grid of panels: sections, places and sizes, by pointer and by keyboard.

const COLUMNS = 12;
const ROW = 48; // a row of the grid with its gap, in pixels

export class Grid {
  constructor(place, page) {
    Object.assign(this, { place, page, sections: new Map() });
    this.watcher = new IntersectionObserver((entries) => {
      for (const { isIntersecting, target } of entries) {
        if (!isIntersecting || target.panel.seen) continue;
        target.panel.seen = true;
        target.panel.refresh();
      }
    }, { rootMargin: "300px" });
    place.addEventListener("pointerdown", (event) => this.pressed(event));
    place.addEventListener("keydown", (event) => this.typed(event));
  }

  /** Show these panels in sections, in their order. */
  show(panels, folded) {
    this.place.replaceChildren();
    this.sections.clear();
    for (const panel of panels) this.add(panel, folded);
  }

  add(panel, folded = [], first = false) {
    const place = this.section(panel.spec.section, folded);
    if (first) place.prepend(panel.element);
    else place.append(panel.element);
    panel.head.textContent = panel.title;
    this.watcher.observe(panel.element);
  }

  section(name, folded = []) {
    if (!this.sections.has(name)) {
      const part = document.getElementById("section-template").content.firstElementChild.cloneNode(true);
      const panels = part.querySelector("[data-panels]");
      const button = part.querySelector("[data-fold]");
      part.dataset.name = name;
      button.textContent = name || "Panels";
      const fold = (isFolded) => {
        panels.hidden = isFolded;
        button.setAttribute("aria-expanded", String(!isFolded));
      };
      fold(folded.includes(name));
      button.addEventListener("click", () => { fold(!panels.hidden); this.page.changed(); });
      // What a person adds stands above what the page began with.
      if (name) this.place.append(part);
      else this.place.prepend(part);
      this.sections.set(name, panels);
    }
    return this.sections.get(name);
  }

  get folded() {
    return [...this.sections].filter(([, panels]) => panels.hidden).map(([name]) => name);
  }

  /** The panels in the order of the page. */
  get panels() {
    return [...this.place.querySelectorAll(".panel")].map((element) => element.panel);
  }

  remove(panel) {
    const next = panel.element.nextElementSibling ?? panel.element.previousElementSibling;
    this.watcher.unobserve(panel.element);
    const section = panel.element.closest(".panel-section");
    panel.element.remove();
    if (!section.querySelector(".panel")) {
      this.sections.delete(section.dataset.name);
      section.remove();
    }
    (next ?? document.querySelector("[data-add-panel]"))?.focus();
  }

  pressed(event) {
    const grip = event.target.closest("[data-grip]");
    const corner = event.target.closest("[data-corner]");
    const element = (grip ?? corner)?.closest(".panel");
    if (!element || event.button) return;
    event.preventDefault();
    grip?.focus();
    const move = grip ? this.moving(element) : this.resizing(element, event);
    const target = grip ?? corner;
    target.setPointerCapture(event.pointerId);
    const end = () => {
      target.removeEventListener("pointermove", move);
      element.classList.remove("moving");
      this.page.changed();
    };
    target.addEventListener("pointermove", move);
    target.addEventListener("pointerup", end, { once: true });
    target.addEventListener("pointercancel", end, { once: true });
  }

  /** Put the panel before or after the one under the pointer, also in another section. */
  moving(element) {
    element.classList.add("moving");
    return (event) => {
      const under = document.elementFromPoint(event.clientX, event.clientY);
      const other = under?.closest(".panel");
      const section = under?.closest(".panel-section");
      if (other && other !== element) {
        const { left, width } = other.getBoundingClientRect();
        if (event.clientX < left + width / 2) other.before(element);
        else other.after(element);
      } else if (!other && section && !section.contains(element)) {
        section.querySelector("[data-panels]").append(element);
      }
      element.panel.spec.section = element.closest(".panel-section").dataset.name;
    };
  }

  resizing(element, start) {
    const { spec } = element.panel;
    const column = element.parentElement.clientWidth / COLUMNS;
    const [width, height] = [spec.width, spec.height];
    return (event) => {
      this.size(element.panel, width + Math.round((event.clientX - start.clientX) / column),
        height + Math.round((event.clientY - start.clientY) / ROW));
    };
  }

  size(panel, width, height) {
    panel.spec.width = Math.min(COLUMNS, Math.max(2, width));
    panel.spec.height = Math.min(20, Math.max(3, height));
    panel.resized();
  }

  typed(event) {
    const grip = event.target.closest("[data-grip]");
    const by = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (!grip || !by) return;
    event.preventDefault();
    event.stopPropagation();
    const element = grip.closest(".panel");
    const { panel } = element;
    if (event.shiftKey) {
      this.size(panel, panel.spec.width + by[0], panel.spec.height + by[1]);
      this.page.speak(`${panel.title}: ${panel.spec.width} of 12 columns wide, ${panel.spec.height} rows high`);
    } else {
      this.step(element, by);
      const all = this.panels;
      this.page.speak(`${panel.title}: place ${all.indexOf(panel) + 1} of ${all.length}`);
    }
    grip.focus();
    this.page.changed();
  }

  /** Move by one place; up and down by a section. */
  step(element, [across, down]) {
    if (across < 0) element.previousElementSibling?.before(element);
    if (across > 0) element.nextElementSibling?.after(element);
    if (down) {
      const own = element.closest(".panel-section");
      const other = down > 0 ? own.nextElementSibling : own.previousElementSibling;
      if (!other?.matches(".panel-section")) return;
      if (down > 0) other.querySelector("[data-panels]").prepend(element);
      else other.querySelector("[data-panels]").append(element);
      element.panel.spec.section = other.dataset.name;
    }
  }
}
