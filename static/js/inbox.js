// What is opened from the inbox is read: said beside the way there, so that the link stays a link
// (a new tab, a middle click), and works without this.
const list = document.querySelector("[data-notices]");

function markRead(link) {
  const line = link.closest("li");
  if (!line.classList.contains("unread")) return;
  const form = line.querySelector("form");
  fetch(link.dataset.read, { method: "POST", body: new FormData(form), keepalive: true, headers: { "HX-Request": "true" } })
    .then((answer) => {
      if (answer.ok) line.classList.remove("unread");
    })
    .catch(() => {});
}

for (const kind of ["click", "auxclick"]) {
  list?.addEventListener(kind, (event) => {
    const link = event.target.closest("a[data-read]");
    if (link && event.button < 2) markRead(link);
  });
}
