// The page: a picture goes through one network or two, and what they answer and make is shown.

import { announce, compareAnswers, notice, showDevice } from "./answers.js";
import { Camera } from "./camera.js";
import { DynamicView } from "./dynamic-view.js";
import { byId, make, write } from "./elements.js";
import { takeFiles } from "./intake.js";
import { complain, say, settle } from "./messages.js";
import { isModel, listNetworks, loadPackage, ownNetwork } from "./networks.js";
import { closeAllBut, drawSquare, frameOf, keep, pictureFrom } from "./pictures.js";
import { ProfileView } from "./profile-view.js";
import { offerSamples, sampleOf } from "./samples.js";
import { Seat, insight } from "./seat.js";
import { startTheme } from "./theme.js";

// The page's address may say where networks run and which one comes first: ?device=gpu&network=efficientnet-lite0
const wishes = new URLSearchParams(location.search);
const DEVICE = wishes.get("device") ?? "auto";

const video = byId("video");
const camera = new Camera(video);
const view = new DynamicView();
const seats = [new Seat(), new Seat()];
const [first, second] = seats;
const profiles = new ProfileView(measure, async (profile) => (await packaged).Classifier.profilePage(profile));
let networks = [];
let picture = null; // { name, source, width, height, live }
let reference = null; // { picture, layers, pinned }
let made = null; // { picture, layers }: what the dynamic network made, and for which picture
let packaged;

// One thing at a time: pictures and changes of network wait for each other.
let last = Promise.resolve();
function serially(task) {
  const result = last.then(task);
  last = result.catch(() => {});
  return result;
}

// ---- looking at pictures ----

let wanted = false;
/** Gives the present picture to all seats; of several calls in a row only the last picture is looked at. */
function look() {
  wanted = true;
  return serially(async () => {
    if (!wanted || !picture) return;
    wanted = false;
    const seen = picture;
    try {
      await examine(seen);
      settle("look");
    } catch (error) {
      if (seen.live && !camera.running) return; // its webcam was stopped under it
      if (seen.live) endWebcam();
      complain(error, "look");
    } finally {
      closeAllBut([picture, reference?.picture, made?.picture]);
    }
  });
}

/** The seat whose weights are shown: the first with a dynamic network. */
function watched() {
  return seats.find(({ classifier }) => classifier?.info.dynamicLayers > 0);
}

async function examine(seen) {
  const ready = seats.filter(({ classifier }) => classifier);
  if (ready.length === 0) return; // the first network to be ready looks
  const dynamic = watched();
  // Another picture may be pinned meanwhile: this look keeps the reference that it began with.
  const compared = reference;
  // The reference is looked at again when the network has changed.
  if (dynamic && compared && !compared.layers) {
    await dynamic.classifier.classify(compared.picture.source);
    compared.layers = await insight(dynamic.classifier, compared.picture.source);
  }
  const answers = [];
  for (const seat of ready) {
    const guesses = await seat.classifier.classify(seen.source);
    seat.showGuesses(guesses);
    seat.showTiming(seat.classifier.timing, seen.live);
    showDevice(seat.classifier.info);
    answers.push({ seat, guesses, timing: seat.classifier.timing });
  }
  compareAnswers(answers);
  if (dynamic && seen.live && !view.inSight) {
    // Nobody looks at the maps: the frames come faster without.
  } else if (dynamic) {
    made = { picture: seen, layers: await insight(dynamic.classifier, seen.source) };
    view.show(made.layers, seen, compared);
  } else {
    made = null;
    view.clear(`${ready[0].network.title} has no dynamic layers: its weights are the same for each picture. `
      + "Choose a dynamic network to see weights being made.");
  }
  announce(answers, seen.live);
  document.body.dataset.looked = String(Number(document.body.dataset.looked ?? 0) + 1);
}

// ---- pictures ----

/** Unless a picture is pinned, the still picture that was looked at last becomes the reference for the next one. */
function refer() {
  if (!made || made.picture.live || reference?.pinned) return;
  reference = { picture: made.picture, layers: made.layers, pinned: false };
}

/** Shows a still picture and looks at it. */
function showStill(next) {
  stopWebcam();
  refer();
  picture = keep(next);
  byId("still").hidden = false;
  drawSquare(byId("still"), picture);
  describePicture(`${picture.name}, ${picture.width} × ${picture.height}. Networks look at the middle square.`);
  return look();
}

function describePicture(text) {
  write(byId("caption"), text);
  write(byId("stage-label"), `Choose a picture file. Shown now: ${text}`);
  byId("stage").classList.add("filled");
}

let opened = 0;
/** Shows a picture that is being made, unless another was asked for since; `fail` is told why there is none. */
async function openPicture(making, fail = (error) => complain(error, "picture")) {
  const turn = ++opened;
  try {
    const next = await making;
    if (turn !== opened) return next.source.close();
    settle("picture");
    await showStill(next);
  } catch (error) {
    if (turn === opened) fail(error);
  }
}

function openFiles(files) {
  for (const file of files) {
    if (isModel(file)) seat(first, ownNetwork(file));
    else if (file.type.startsWith("image/")) openPicture(pictureFrom(file, file.name));
    else say(`${file.name} is neither a picture nor a model (.safetensors).`, { topic: "picture" });
  }
}

let starting = false;
async function startWebcam() {
  if (starting) return;
  starting = true;
  try {
    if (!(await camera.start())) return;
  } catch (error) {
    camera.stop();
    complain(error, "webcam");
    return;
  } finally {
    starting = false;
  }
  settle("webcam");
  refer();
  opened++;
  picture = { name: "the webcam", source: video, get width() { return video.videoWidth; }, get height() { return video.videoHeight; }, live: true };
  for (const place of seats) place.rest();
  video.hidden = false;
  byId("still").hidden = true;
  showWebcam(true);
  describePicture("Live from the webcam. Networks look at the middle square.");
  await camera.frames(look);
}

function stopWebcam() {
  if (!camera.running) return;
  camera.stop();
  showWebcam(false);
  video.hidden = true;
  byId("still").hidden = false;
}

/** Stops the webcam with no picture to go on with. */
function endWebcam() {
  stopWebcam();
  if (picture?.live) picture = null;
  describePicture("The webcam has stopped.");
}

/** Stops the webcam; its last frame stays as a still picture, so that there is something to compare with. */
function keepFrame() {
  openPicture(frameOf(video, "the last frame"), endWebcam); // fails where it had shown nothing yet
}

function showWebcam(running) {
  byId("webcam").classList.toggle("on", running);
  byId("webcam").setAttribute("aria-label", running ? "Stop webcam" : "Start webcam");
  write(byId("webcam").querySelector("span"), running ? "Stop" : "Webcam");
}

// ---- networks ----

/** Loads a network into a seat; the one before goes on until the new one is ready, or for good where that fails. */
async function seat(place, network) {
  const turn = ++place.load;
  const topic = place === first ? "network" : "rival";
  place.showLoading(network.title, 0, network.bytes ?? null);
  try {
    const { Classifier } = await packaged;
    const onProgress = (loaded, total) => {
      if (turn !== place.load) throw new Error("overtaken"); // ends the download; nobody is told
      place.showLoading(network.title, loaded, total ?? network.bytes ?? null);
    };
    const classifier = await Classifier.load(network.source, { onProgress, topK: 5, device: DEVICE });
    await serially(() => {
      if (turn !== place.load) return classifier.dispose();
      place.take(network, classifier);
      settle(topic);
      if (!networks.some(({ key }) => key === network.key)) networks.push(network);
      if (reference) reference.layers = null;
      made = null;
      offer();
      if (place === first) profiles.offer(network.title);
      notice(classifier.info.notice);
      showDevice(classifier.info);
    });
    if (turn === place.load) place.hideLoading();
    await look();
  } catch (error) {
    if (turn !== place.load) return;
    place.hideLoading();
    offer();
    if (!place.classifier) place.showNone();
    if (error?.kind === "no-package") return complain(error, "package");
    const kept = place.classifier ? ` ${place.network.title} goes on.` : "";
    // There is no picture to blame yet.
    const kind = error?.kind === "bad-input" ? undefined : error?.kind;
    complain(Object.assign(new Error(`${network.title}: ${error?.message ?? error}${kept}`), { kind }), topic);
  }
}

/** The networks to choose from, with the present ones marked. */
function offer() {
  const chips = byId("networks");
  const held = document.activeElement?.name === "network" ? document.activeElement.value : null;
  chips.replaceChildren(...networks.map((network) => {
    const radio = make("input", { type: "radio", name: "network", value: network.key, checked: first.network?.key === network.key });
    radio.addEventListener("change", () => seat(first, network));
    return make("label", { className: "chip" }, radio, make("span", { textContent: network.title }));
  }));
  if (held) chips.querySelector(`[value="${CSS.escape(held)}"]`)?.focus();
  const chosen = second.network?.key ?? networks.find(({ key }) => key !== first.network?.key)?.key;
  byId("rival").replaceChildren(...networks.map(({ key, title }) => make("option", { value: key, textContent: title, selected: key === chosen })));
}

/** Opens or closes the second seat. */
function compare(on) {
  byId("rival").disabled = !on;
  byId("seats").classList.toggle("two", on);
  second.root.hidden = !on;
  if (!on) {
    byId("versus").hidden = true;
    // A load that is asked for from here on is not overtaken by this, however long it waits.
    const turn = ++second.load;
    second.hideLoading();
    serially(() => turn === second.load && second.leave());
    return look();
  }
  return seatRival();
}

function seatRival() {
  const network = networks.find(({ key }) => key === byId("rival").value);
  return network ? seat(second, network) : second.showNone();
}

const MEASURING = 3000; // milliseconds that the runs of a profile shall take together, roughly
/** Where the first network's time goes. No picture is looked at meanwhile, so that nothing disturbs the times. */
function measure() {
  return serially(async () => {
    const { classifier } = first;
    const repeats = Math.round(MEASURING / 2 / (classifier.timing?.total || 100));
    const profile = await classifier.profile({ repeats: Math.max(6, Math.min(repeats, 30)) });
    profile.device.name ||= classifier.info.adapter; // which browsers tell the page alone
    return profile;
  });
}

// ---- the reference picture ----

async function pin() {
  if (reference?.pinned) {
    reference = null;
  } else if (picture) {
    const kept = picture.live ? await frameOf(video, "the pinned frame").catch(() => null) : picture;
    if (!kept) return; // the webcam has shown nothing yet
    reference = { picture: keep(kept), layers: null, pinned: true };
  }
  const pinned = reference?.pinned ?? false;
  byId("pin").classList.toggle("on", pinned);
  write(byId("pin"), pinned ? `Unpin ${reference.picture.name}` : "Pin this picture");
  await look();
}

// ---- start ----

function listen() {
  takeFiles(openFiles);
  offerSamples(openPicture);
  byId("webcam").addEventListener("click", () => (camera.running ? keepFrame() : startWebcam()));
  camera.onEnd = (reason) => {
    endWebcam();
    say(reason, { topic: "webcam" });
  };
  byId("compare").addEventListener("change", ({ target }) => compare(target.checked));
  byId("rival").addEventListener("change", seatRival);
  byId("pin").addEventListener("click", pin);
}

async function start() {
  startTheme();
  second.root.hidden = true;
  byId("seats").append(first.root, second.root);
  listen();
  packaged = loadPackage();
  packaged.catch(() => {}); // told where a network is to be loaded
  try {
    networks = await listNetworks();
  } catch (error) {
    complain(error, "networks");
    first.showNone();
  }
  offer();
  openPicture(sampleOf("cat"));
  const opening = networks.find(({ key }) => key === wishes.get("network")) ?? networks[0];
  if (opening) await seat(first, opening);
}

// For the browser's console: the classifiers at work.
globalThis.dynaconvDemo = { seats };

start();
