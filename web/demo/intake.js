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
  let depth = 0; // elements of the page that the drag has entered and not left
  const enter = (by) => {
    depth = Math.max(0, depth + by);
    byId("veil").hidden = depth === 0;
  };
  document.addEventListener("dragenter", (event) => carriesFiles(event) && enter(1));
  document.addEventListener("dragleave", (event) => carriesFiles(event) && enter(-1));
  document.addEventListener("dragover", (event) => carriesFiles(event) && event.preventDefault());
  document.addEventListener("drop", (event) => {
    if (!carriesFiles(event)) return;
    event.preventDefault();
    enter(-depth);
    open([...event.dataTransfer.files]);
  });
}
