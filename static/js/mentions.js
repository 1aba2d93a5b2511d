// Completes a half-written @name in a comment, with people who may see what it is about. Typing goes
// on as it was where nobody fits, and everything works without this: the names stand in a list too.
let open = null;

function close() {
  if (!open) return;
  open.box.remove();
  open.field.removeAttribute("aria-controls");
  open.field.removeAttribute("aria-activedescendant");
  open = null;
}

// The part of the word at the caret that begins with an @, where it is a name in the making.
function half(field) {
  const before = field.value.slice(0, field.selectionStart);
  const match = /(?:^|[^\w@/.+-])@([\w.+-]{0,40})$/.exec(before);
  return match && { text: match[1], from: before.length - match[1].length };
}

function choose(index) {
  open.index = (index + open.items.length) % open.items.length;
  open.items.forEach((item, place) => item.setAttribute("aria-selected", String(place === open.index)));
  open.field.setAttribute("aria-activedescendant", open.items[open.index].id);
}

function insert(item) {
  const { field, from } = open;
  field.setRangeText(`${item.dataset.name} `, from, field.selectionStart, "end");
  close();
  field.focus();
}

function show(field, from, people) {
  close();
  if (!people.length) return;
  const box = document.createElement("ul");
  box.className = "mention-list";
  box.id = "mention-list";
  box.setAttribute("role", "listbox");
  box.setAttribute("aria-label", "People who can be named");
  const items = people.map((person, place) => {
    const item = document.createElement("li");
    item.id = `mention-${place}`;
    item.setAttribute("role", "option");
    item.dataset.name = person.username;
    const name = document.createElement("span");
    name.textContent = person.name;
    name.className = "muted";
    item.append(`@${person.username}`, name);
    item.addEventListener("pointerdown", (event) => {
      event.preventDefault();
      insert(item);
    });
    box.append(item);
    return item;
  });
  field.parentElement.append(box);
  box.style.top = `${field.offsetTop + field.offsetHeight}px`;
  field.setAttribute("aria-controls", box.id);
  open = { field, from, box, items, index: 0 };
  choose(0);
}

let asked = 0;

async function complete(field) {
  const found = half(field);
  if (!found) return close();
  const turn = ++asked;
  try {
    const answer = await fetch(`${field.dataset.mentions}?q=${encodeURIComponent(found.text)}`);
    if (!answer.ok || turn !== asked) return;
    const { people } = await answer.json();
    // What was typed meanwhile has asked again.
    if (turn === asked && document.activeElement === field) show(field, found.from, people);
  } catch {
    close();
  }
}

document.addEventListener("input", (event) => {
  if (event.target.matches?.("textarea[data-mentions]")) complete(event.target);
});

document.addEventListener("keydown", (event) => {
  if (!open || event.target !== open.field) return;
  const steps = { ArrowDown: 1, ArrowUp: -1 };
  if (event.key in steps) choose(open.index + steps[event.key]);
  else if (event.key === "Enter" || event.key === "Tab") insert(open.items[open.index]);
  else if (event.key === "Escape") close();
  else return;
  event.preventDefault();
});

document.addEventListener("focusout", (event) => {
  if (open && event.target === open.field) close();
});
