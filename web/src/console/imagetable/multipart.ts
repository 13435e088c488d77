/** multipart/related as the server sends it: parts with a Content-Length and a Content-Location. Pure. */
export interface BodyPart { readonly location: string; readonly body: Uint8Array }

export class BadBody extends Error {}

/** Throws BadBody for what is none. */
export function partsOf(contentType: string, bytes: Uint8Array): BodyPart[] {
  const boundary = /boundary="?([^";]+)"?/.exec(contentType)?.[1];
  if (!boundary) throw new BadBody("boundary");
  const found: BodyPart[] = [];
  let at = 0;
  for (;;) {
    const line = lineAt(bytes, at);
    if (line.text === `--${boundary}--`) return found;
    if (line.text !== `--${boundary}`) throw new BadBody("delimiter");
    at = line.next;
    const head = new Map<string, string>();
    for (let field = lineAt(bytes, at); ; field = lineAt(bytes, at)) {
      at = field.next;
      if (field.text === "") break;
      const colon = field.text.indexOf(":");
      head.set(field.text.slice(0, colon).trim().toLowerCase(), field.text.slice(colon + 1).trim());
    }
    const length = Number(head.get("content-length"));
    if (!Number.isInteger(length) || length < 0 || at + length + 2 > bytes.length) throw new BadBody("length");
    found.push({ location: head.get("content-location") ?? "", body: bytes.subarray(at, at + length) });
    at += length + 2;
  }
}

function lineAt(bytes: Uint8Array, from: number): { text: string; next: number } {
  const end = bytes.indexOf(13, from);
  if (end < 0 || bytes[end + 1] !== 10 || end - from > 2_000) throw new BadBody("line");
  return { text: String.fromCharCode(...bytes.subarray(from, end)), next: end + 2 };
}
