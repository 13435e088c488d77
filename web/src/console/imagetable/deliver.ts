/** Files into the case: sent in deliveries the server takes, each with its progress, its refusals told file by file. */
import { api, ApiProblem } from "@/shared/api";
import { items, number, text, type Json } from "./dicom-json";

export const AT_ONCE = 64; // files of one delivery (imaging/keeping.py)
export interface Refusal { readonly name: string; readonly code: string }
export interface Outcome { readonly taken: number; readonly refused: readonly Refusal[] }
type Named = Blob & { readonly name: string };
export type Send = (path: string, body: Blob, progress: (share: number) => void, signal: AbortSignal) => Promise<Json>;

/** Groups that fit: at most 64 files and, together, at most `limit` bytes. A file that alone is larger stands alone. */
export function deliveries<F extends { size: number }>(files: readonly F[], limit: number): F[][] {
  const found: F[][] = [];
  let [current, bytes] = [[] as F[], 0];
  for (const file of files) {
    if (current.length === AT_ONCE || (current.length > 0 && bytes + file.size > limit)) {
      found.push(current);
      [current, bytes] = [[], 0];
    }
    current.push(file);
    bytes += file.size;
  }
  if (current.length) found.push(current);
  return found;
}

const STILLS = new Set(["image/jpeg", "image/png", "image/heic", "application/pdf"]);

/** What the whole body is said to be; the server looks at the bytes anyway. */
export function bodyOf(files: readonly Named[]): Blob {
  const [only] = files;
  if (files.length === 1 && only) return new Blob([only], { type: STILLS.has(only.type) ? only.type : "application/octet-stream" });
  const boundary = `hz-${crypto.getRandomValues(new Uint32Array(4)).join("-")}`;
  const parts: BlobPart[] = files.flatMap((file) => [`--${boundary}\r\nContent-Type: application/dicom\r\nContent-Length: ${file.size}\r\n\r\n`, file, "\r\n"]);
  return new Blob([...parts, `--${boundary}--\r\n`], { type: `multipart/related; type="application/dicom"; boundary=${boundary}` });
}

/** What the server said of a delivery, by file. */
export function outcomeOf(answer: Json, files: readonly { readonly name: string }[]): Outcome {
  const refused = items(answer, "00081198").map((item) => ({
    name: files[number(item, "00201200") ?? 0]?.name ?? "",
    code: text(item, "00000902") || "internal.error",
  }));
  return { taken: items(answer, "00081199").length, refused };
}

const send: Send = (path, body, progress, signal) => api.upload<Json>(path, body, progress, signal);

/** All of them, one delivery after the other. Throws ApiProblem for what stops everything (no right, stopped, no line). */
export async function deliver(
  path: string, files: readonly Named[], limit: number, progress: (share: number) => void, signal: AbortSignal, by: Send = send,
): Promise<Outcome> {
  const total = files.reduce((sum, file) => sum + file.size, 0) || 1;
  let [done, taken] = [0, 0];
  const refused: Refusal[] = [];
  for (const some of deliveries(files, limit)) {
    const size = some.reduce((sum, file) => sum + file.size, 0);
    const outcome = await one(path, some, (share) => progress((done + size * share) / total), signal, by);
    taken += outcome.taken;
    refused.push(...outcome.refused);
    done += size;
    progress(done / total);
  }
  return { taken, refused };
}

/** A file that is refused alone is told as one that was refused among others. */
const OF_THE_FILE = /^(upload\.(?!busy|stopped|scanner)|images\.(?!not_taken|error))/;

async function one(path: string, files: readonly Named[], progress: (share: number) => void, signal: AbortSignal, by: Send): Promise<Outcome> {
  try {
    return outcomeOf(await by(path, bodyOf(files), progress, signal), files);
  } catch (error) {
    if (!(error instanceof ApiProblem)) throw error;
    const told = error.body as Json;
    if (told["00081198"]) return outcomeOf(told, files);
    if (OF_THE_FILE.test(error.code)) return { taken: 0, refused: files.map(({ name }) => ({ name, code: error.code })) };
    throw error;
  }
}
