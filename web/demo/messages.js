// Plain sentences for the visitor: what went wrong, and what to do.

import { byId, make } from "./elements.js";

const HEADINGS = {
  "no-webgpu": "This browser has no WebGPU.",
  "no-adapter": "No graphics adapter answers.",
  limits: "This graphics adapter is too small for the network.",
  "bad-model": "This file is not a model that dynaconv can read.",
  "bad-input": "This picture cannot be used.",
  "device-lost": "The graphics device was lost.",
  network: "The network could not be downloaded.",
  device: "The graphics device reports an error.",
};

/** Shows a message that stays until it is closed or the same action works. */
export function say(text, { heading = "", tone = "error", topic = "general" } = {}) {
  settle(topic);
  const close = make("button", { type: "button", className: "quiet icon", "aria-label": "Close this message", textContent: "×" });
  const note = make("div", { className: `message ${tone}` },
    make("p", {}, ...(heading ? [make("b", { textContent: heading }), " "] : []), text), close);
  note.dataset.topic = topic;
  close.addEventListener("click", () => remove(note));
  byId("messages").append(note);
}

/** Shows an error; typed ones get a heading of their kind. */
export function complain(error, topic) {
  say(error?.message ?? String(error), { heading: HEADINGS[error?.kind] ?? "", topic });
}

/** Takes back what was said of a topic. */
export function settle(topic) {
  for (const note of byId("messages").querySelectorAll(".message")) {
    if (note.dataset.topic === topic) remove(note);
  }
}

/** Where the keyboard was on it, it goes on at another message, or else at the answers. */
function remove(note) {
  const next = note.nextElementSibling ?? note.previousElementSibling;
  if (note.contains(document.activeElement)) (next?.querySelector("button") ?? byId("answers")).focus({ preventScroll: true });
  note.remove();
}

const BREATH = 40; // milliseconds
let spokenAt = 0;
let speaking;
/** Says something to screen readers; `patience` milliseconds must have passed since the last word. */
export function speak(text, patience = 0) {
  const now = performance.now();
  if (now - spokenAt < patience) return;
  spokenAt = now;
  // The same words again are read out only where there was nothing in between.
  byId("spoken").textContent = "";
  clearTimeout(speaking);
  speaking = setTimeout(() => { byId("spoken").textContent = text; }, BREATH);
}
