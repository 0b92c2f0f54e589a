// The webcam, and the loop that gives its frames one by one.

const REASONS = {
  NotAllowedError: "The webcam may not be used. Allow it in the browser's site settings and try again.",
  NotFoundError: "No webcam was found.",
  NotReadableError: "The webcam is in use by another program.",
  OverconstrainedError: "The webcam offers no suitable picture size.",
};

export class Camera {
  #video;
  #stream = null;
  #stopping = null;

  /** Called with a sentence when the camera is unplugged or taken away. */
  onEnd = () => {};

  constructor(video) {
    this.#video = video;
  }

  get running() {
    return this.#stream !== null;
  }

  /** Asks for the camera and shows it in the video element; whether it still runs then, since something else may have been opened. */
  async start() {
    if (!navigator.mediaDevices?.getUserMedia) {
      throw new Error("The webcam needs a page served by https or from localhost.");
    }
    let stream;
    try {
      const wish = { facingMode: "environment", width: { ideal: 640 }, height: { ideal: 480 } };
      stream = await navigator.mediaDevices.getUserMedia({ video: wish, audio: false });
    } catch (error) {
      throw new Error(REASONS[error.name] ?? `The webcam does not start: ${error.message}`);
    }
    this.#stream = stream;
    const [track] = stream.getVideoTracks();
    track.addEventListener("ended", () => this.onEnd("The webcam has gone."), { once: true });
    // A camera that faces the visitor is shown as a mirror; the network gets it as it is.
    this.#video.classList.toggle("mirror", track.getSettings().facingMode !== "environment");
    this.#video.srcObject = stream;
    try {
      await this.#video.play();
    } catch (error) {
      if (this.#stream === stream) throw error;
    }
    return this.#stream === stream;
  }

  /** Gives `step` one frame after the other, each when the one before is done; pauses while the page is hidden. */
  async frames(step) {
    this.#stopping = new AbortController();
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      if (document.hidden) await event(document, "visibilitychange", signal);
      else await nextFrame(this.#video, signal);
      if (!signal.aborted && !document.hidden) await step();
    }
  }

  stop() {
    this.#stopping?.abort();
    for (const track of this.#stream?.getTracks() ?? []) track.stop();
    this.#stream = null;
    this.#video.srcObject = null;
  }
}

/** Resolves at the event or when the signal aborts. */
function event(target, name, signal) {
  return new Promise((resolve) => {
    target.addEventListener(name, resolve, { once: true, signal });
    signal.addEventListener("abort", resolve, { once: true });
  });
}

/** Resolves when the video has a frame that was not given before, the page is hidden, or the signal aborts. */
function nextFrame(video, signal) {
  return new Promise((resolve) => {
    const request = video.requestVideoFrameCallback?.(done) ?? requestAnimationFrame(done);
    function done() {
      signal.removeEventListener("abort", done);
      document.removeEventListener("visibilitychange", done);
      (video.cancelVideoFrameCallback ?? cancelAnimationFrame).call(video.cancelVideoFrameCallback ? video : window, request);
      resolve();
    }
    signal.addEventListener("abort", done, { once: true });
    document.addEventListener("visibilitychange", done, { once: true });
  });
}
