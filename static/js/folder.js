// A browser sends the files of a folder by their names alone. This adds the names of their folders,
// in the order of the files; without it they are only missing.

for (const input of document.querySelectorAll("[data-folder]")) {
  const paths = document.getElementById(input.dataset.folder);
  const note = () => {
    paths.value = JSON.stringify([...input.files].map((file) => file.webkitRelativePath || file.name));
  };
  input.addEventListener("change", note);
  // The browser may have kept the choice over a reload.
  if (input.files.length) note();
}
