// Files from beside the page, or an error that names the one that is missing and says what to do.

/** What `read` makes of the answer of the server for a file. */
export async function fetchFile(url, name, remedy, read) {
  let reason;
  try {
    const response = await fetch(url);
    if (response.ok) return await read(response);
    reason = `${response.status} ${response.statusText}`.trim();
  } catch (error) {
    reason = error.message;
  }
  throw new Error(`${name} could not be fetched (${reason}). ${remedy}`);
}
