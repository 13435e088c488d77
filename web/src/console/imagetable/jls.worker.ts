/** Beside the page: JPEG-LS to pixels, by CharLS as WebAssembly. One message in, one out. */
import CharLS, { type CharLSModule } from "@cornerstonejs/codec-charls/decodewasmjs";
import wasm from "@cornerstonejs/codec-charls/decodewasm?url";

export interface Decoded { id: number; width: number; height: number; components: number; pixels: Uint8Array<ArrayBuffer> | Uint16Array<ArrayBuffer> }
export type Answer = Decoded | { id: number; error: string };

let loading: Promise<CharLSModule> | null = null;

function decode(codec: CharLSModule, id: number, data: Uint8Array): Decoded {
  const decoder = new codec.JpegLSDecoder();
  try {
    decoder.getEncodedBuffer(data.length).set(data);
    decoder.decode();
    const { width, height, bitsPerSample, componentCount } = decoder.getFrameInfo();
    const found = decoder.getDecodedBuffer();
    const bytes = new Uint8Array(found.length);
    bytes.set(found); // out of the codec's memory, which grows and goes
    const pixels = bitsPerSample > 8 ? new Uint16Array(bytes.buffer) : bytes;
    const planar = componentCount > 1 && decoder.getInterleaveMode() === 0;
    return { id, width, height, components: componentCount, pixels: planar ? interleaved(bytes, componentCount) : pixels };
  } finally {
    decoder.delete();
  }
}

/** Plane after plane becomes pixel after pixel. */
function interleaved(planes: Uint8Array, components: number): Uint8Array<ArrayBuffer> {
  const size = planes.length / components;
  const found = new Uint8Array(planes.length);
  for (let plane = 0; plane < components; plane += 1)
    for (let at = 0; at < size; at += 1) found[at * components + plane] = planes[plane * size + at] ?? 0;
  return found;
}

const scope = self as unknown as { postMessage(message: Answer, transfer: Transferable[]): void; onmessage: ((event: MessageEvent<{ id: number; data: Uint8Array }>) => void) | null };
scope.onmessage = (event) => {
  const { id, data } = event.data;
  loading ??= CharLS({ locateFile: () => wasm });
  loading.then((codec) => {
    const decoded = decode(codec, id, data);
    scope.postMessage(decoded, [decoded.pixels.buffer]);
  }).catch((error: unknown) => {
    scope.postMessage({ id, error: String(error) }, []);
  });
};
