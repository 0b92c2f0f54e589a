// Where the time goes: measured when somebody asks, and drawn with what the program's own report is drawn with.

import { offerBars } from "../profile/bars.js";
import { Launches } from "../profile/launches.js";
import { Look, element, legend, list } from "../profile/look.js";
import { drawRoofline } from "../profile/roofline.js";
import { fillLaunches, launchColumns } from "../profile/table.js";
import { deviceLine, duration, keyFigures, methodLine, methodWords, roofWords, warning } from "../profile/words.js";
import { byId, make, write } from "./elements.js";
import { complain, settle, speak } from "./messages.js";

const COLUMNS = ["#", "layer", "kernel", "part", "variant", "workgroups", "median", "of all", "flop/byte", "GFLOP/s", "GB/s", "of roof"];
const ROOFLINE_HEIGHT = 380; // pixels

export class ProfileView {
  #measure;
  #pageOf;
  #title = "";
  #profile = null;
  #redraw = () => {};

  /** `measure` gives a promise of a profile, `pageOf` of a profile's page. */
  constructor(measure, pageOf) {
    [this.#measure, this.#pageOf] = [measure, pageOf];
    byId("measure").addEventListener("click", () => this.#run());
    byId("save-profile").addEventListener("click", () => this.#save("json", async () => JSON.stringify(this.#profile), "application/json"));
    byId("save-report").addEventListener("click", () => this.#save("html", () => this.#pageOf(this.#profile), "text/html"));
    document.addEventListener("keydown", ({ key }) => { if (key === "Escape") byId("tip").hidden = true; });
    let width = 0;
    new ResizeObserver(([{ contentRect }]) => {
      if (contentRect.width === width) return;
      width = contentRect.width;
      this.#redraw();
    }).observe(byId("profile-body"));
  }

  /** Names the network that the next profile is of. */
  offer(title) {
    this.#title = title;
    write(byId("measure"), `Profile ${title}`);
    if (!this.#isBusy()) byId("measure").removeAttribute("aria-disabled");
  }

  #isBusy() {
    return byId("profile").getAttribute("aria-busy") === "true";
  }

  #busy(on) {
    byId("profile").setAttribute("aria-busy", String(on));
    byId("measuring").hidden = !on;
    // Unlike a disabled button this one keeps the keyboard's focus.
    if (on) byId("measure").setAttribute("aria-disabled", "true");
    else byId("measure").removeAttribute("aria-disabled");
  }

  async #run() {
    if (byId("measure").getAttribute("aria-disabled") === "true") return;
    const title = this.#title;
    this.#busy(true);
    speak(`Measuring ${title}.`);
    // The CPU has no time for the page while it measures: what it says is on the screen before.
    await new Promise((resolve) => setTimeout(resolve, 100));
    try {
      this.#profile = await this.#measure();
      settle("profile");
      this.#show(title);
    } catch (error) {
      complain(error, "profile");
    } finally {
      this.#busy(false);
    }
  }

  #show(title) {
    const profile = this.#profile;
    const launches = new Launches(profile);
    const look = new Look(launches, byId("profile"), byId("tip"));
    for (const id of ["profile-body", "save-profile", "save-report"]) byId(id).hidden = false;
    write(byId("profile-summary"), `${title}: ${deviceLine(profile)}.`);
    write(byId("profile-method"), methodLine(launches));
    write(byId("profile-warning"), warning(profile));
    byId("profile-warning").hidden = !warning(profile);
    byId("profile-figures").replaceChildren(...keyFigures(launches).map(([value, name]) => element("div", [element("b", value), element("span", name)])));
    byId("profile-kinds").replaceChildren(...legend(launches));
    byId("profile-words").replaceChildren(list(methodWords(launches)));
    byId("profile-roof").replaceChildren(profile.roof ? list(roofWords(profile.roof)) : "What the device can do at best was not measured: it has no timestamps for that.");
    const drawBars = offerBars(byId("bar-views"), byId("bars"), launches, look, "part");
    fillLaunches(byId("launches"), launchColumns(launches).filter((column) => COLUMNS.includes(column.title)), launches, look);
    this.#redraw = () => {
      drawRoofline(byId("roofline"), launches, look, ROOFLINE_HEIGHT);
      drawBars();
    };
    this.#redraw();
    speak(`Profile of ${title}: a run takes ${duration(profile.runs.plain.median)} in ${launches.all.length} launches.`);
  }

  async #save(ending, making, type) {
    try {
      const href = URL.createObjectURL(new Blob([await making()], { type }));
      make("a", { href, download: `profile-${this.#profile.network.replace(/[^\w.-]+/g, "-")}.${ending}` }).click();
      setTimeout(() => URL.revokeObjectURL(href), 60_000); // the browser has begun to write it by then
      settle("profile");
    } catch (error) {
      complain(error, "profile");
    }
  }
}
