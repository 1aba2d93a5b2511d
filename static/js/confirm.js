// A question before an act, in the page's own words: on the button, data-confirm says what follows,
// data-confirm-act names the act, data-confirm-keep the way out. Without a script the act is done.

/** Ask; true if the act was chosen. Escape and the way out are the same. */
export function ask({ act, what, keep = "Leave it as it is" }) {
  const dialog = document.createElement("dialog");
  const part = (tag, text, more = {}) => Object.assign(document.createElement(tag), { textContent: text, ...more });
  const buttons = part("div", "", { className: "row" });
  const stay = part("button", keep, { type: "button", className: "button", autofocus: true });
  const go = part("button", act, { type: "button", className: "button danger primary" });
  const title = part("h2", `${act}?`, { id: "confirm-title" });
  const text = part("p", what, { id: "confirm-text" });
  dialog.className = "ask";
  dialog.setAttribute("aria-labelledby", title.id);
  dialog.setAttribute("aria-describedby", text.id);
  buttons.append(go, stay);
  dialog.append(title, text, buttons);
  document.body.append(dialog);
  return new Promise((answer) => {
    go.addEventListener("click", () => dialog.close("yes"));
    stay.addEventListener("click", () => dialog.close());
    // The focus goes back to where it was: the browser does that.
    dialog.addEventListener("close", () => { dialog.remove(); answer(dialog.returnValue === "yes"); });
    dialog.showModal();
  });
}

let agreed = null;

/** Hold a form back until the question is answered. */
export async function confirmFirst(event) {
  const button = event.submitter;
  if (!button?.dataset.confirm || agreed === button) return;
  event.preventDefault();
  const { confirm: what, confirmAct: act, confirmKeep: keep } = button.dataset;
  if (!(await ask({ act, what, keep })) || !button.isConnected) return;
  agreed = button;
  event.target.requestSubmit(button);
  agreed = null;
}
