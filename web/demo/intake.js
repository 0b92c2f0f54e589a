// The ways a file comes to the page: chosen, dropped or pasted.

import { byId } from "./elements.js";

/** Calls `open` with the files that the visitor chooses, drops anywhere on the page, or pastes. */
export function takeFiles(open) {
  for (const [button, input] of [["stage", "picture-file"], ["own", "model-file"]]) {
    byId(button).addEventListener("click", () => byId(input).click());
    byId(input).addEventListener("change", ({ target }) => {
      open([...target.files]);
      target.value = ""; // so that the same file can be chosen again
    });
  }

  document.addEventListener("paste", (event) => {
    const files = [...(event.clipboardData?.files ?? [])];
    if (files.length === 0) return;
    event.preventDefault();
    open(files);
  });

  const carriesFiles = (event) => event.dataTransfer?.types.includes("Files");
  const veil = byId("veil");
  document.addEventListener("dragover", (event) => {
    if (!carriesFiles(event)) return;
    event.preventDefault();
    veil.hidden = false;
  });
  document.addEventListener("dragleave", ({ relatedTarget }) => {
    if (relatedTarget === null) veil.hidden = true; // it leaves the window
  });
  document.addEventListener("drop", (event) => {
    if (!carriesFiles(event)) return;
    event.preventDefault();
    veil.hidden = true;
    open([...event.dataTransfer.files]);
  });
}
