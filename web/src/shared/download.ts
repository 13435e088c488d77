/** A file of the server onto the device: fetched first, so that a refusal can be told in plain words. */
import { ApiProblem, UNREACHABLE } from "./api";

const LONGEST = 60_000; // ms: a paper may have to wait for others

/** `filename*` of RFC 6266, else `filename`, else the fallback. */
export function nameOf(disposition: string | null, fallback: string): string {
  const full = /filename\*=UTF-8''([^;]+)/i.exec(disposition ?? "")?.[1];
  try {
    if (full) return decodeURIComponent(full);
  } catch {
    // a broken name: take the plain one
  }
  return /filename="([^"]+)"/i.exec(disposition ?? "")?.[1] ?? fallback;
}

export async function download(path: string, fallback: string, send: typeof fetch = (input, init) => fetch(input, init)): Promise<void> {
  const abort = new AbortController();
  const timer = setTimeout(() => abort.abort(), LONGEST);
  try {
    const response = await send(path, { credentials: "same-origin", cache: "no-store", signal: abort.signal });
    if (!response.ok) throw await refusal(response);
    save(await response.blob(), nameOf(response.headers.get("Content-Disposition"), fallback));
  } catch (error) {
    if (error instanceof ApiProblem) throw error;
    throw new ApiProblem(0, UNREACHABLE);
  } finally {
    clearTimeout(timer);
  }
}

async function refusal(response: Response): Promise<ApiProblem> {
  let body: Record<string, unknown> = {};
  try {
    body = (await response.json()) as Record<string, unknown>;
  } catch {
    // no problem document: the status has to do
  }
  return new ApiProblem(response.status, typeof body.code === "string" ? body.code : `http.${response.status}`, body);
}

function save(blob: Blob, name: string): void {
  const url = URL.createObjectURL(blob);
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
