// What is said of the answers, and of the device that gave them.

import { byId, make, milliseconds, write } from "./elements.js";
import { say, speak } from "./messages.js";
import { nameOf } from "./seat.js";

let announced = "";
/** One network is read out with the runner-up, two as they compare; live pictures only when a best class changes, and not often. */
export function announce(answers, live) {
  const best = answers.map(({ guesses }) => nameOf(guesses[0])).join();
  if (live && best === announced) return;
  announced = best;
  const words = answers[0].guesses.slice(0, live ? 1 : 2).map((guess) => `${nameOf(guess)} ${Math.round(100 * guess.probability)} percent`);
  speak(answers.length > 1 ? comparison(answers) : `Answer: ${words.join(", then ")}.`, live ? 3000 : 0);
}

/** Two answers side by side. */
export function compareAnswers(answers) {
  const versus = byId("versus");
  versus.hidden = answers.length < 2;
  if (answers.length > 1) write(versus, comparison(answers));
}

/** Same answer or not, and how the times relate. */
function comparison([a, b]) {
  const [one, other] = [nameOf(a.guesses[0]), nameOf(b.guesses[0])];
  let text = one === other ? `Both say ${one}.` : `They disagree: ${one}, or ${other}.`;
  if (a.timing && b.timing) {
    text += ` ${a.seat.network.title} took ${milliseconds(a.timing.total)} ms, ${b.seat.network.title} ${milliseconds(b.timing.total)} ms.`;
  }
  return text;
}

/** What computes, in the page's head. */
export function showDevice(info) {
  const device = byId("device");
  const shown = `${info.adapter}|${info.software}|${info.device}`;
  if (device.dataset.shown === shown) return;
  device.dataset.shown = shown;
  const badge = (textContent) => make("span", { className: "badge", textContent });
  if (info.device === "cpu") device.replaceChildren(badge("on the CPU"));
  else device.replaceChildren(make("span", { textContent: info.adapter }), ...(info.software ? [badge("software adapter")] : []));
}

let noticed = null;
/** What the package says of the device, once. */
export function notice(text) {
  if (!text || text === noticed) return;
  noticed = text;
  say(text, { tone: "note", topic: "notice" });
}
