// Still pictures: from files and frames to something a classifier takes.

/** A still picture: `source` is an ImageBitmap, upright. */
export async function pictureFrom(blob, name) {
  try {
    const source = await createImageBitmap(blob);
    return { name, source, width: source.width, height: source.height, live: false };
  } catch {
    throw new Error(`${name} is not a picture that this browser can read.`);
  }
}

/** What a video shows now, as a still picture. */
export async function frameOf(video, name) {
  const source = await createImageBitmap(video);
  return { name, source, width: source.width, height: source.height, live: false };
}

const kept = new Set();

/** Keeps a still picture open until `closeAllBut` finds that it is not needed. */
export function keep(picture) {
  kept.add(picture);
  return picture;
}

/** Closes the pictures that were kept and are not needed any more: browsers free their memory late by themselves. */
export function closeAllBut(needed) {
  for (const picture of kept) {
    if (needed.includes(picture)) continue;
    picture.source.close();
    kept.delete(picture);
  }
}

/** Draws the middle square of a picture over the whole canvas: the part that the networks look at. */
export function drawSquare(canvas, picture) {
  const pen = canvas.getContext("2d");
  const side = Math.min(picture.width, picture.height);
  const [left, top] = [(picture.width - side) / 2, (picture.height - side) / 2];
  pen.imageSmoothingQuality = "high";
  pen.clearRect(0, 0, canvas.width, canvas.height);
  pen.drawImage(picture.source, left, top, side, side, 0, 0, canvas.width, canvas.height);
}
