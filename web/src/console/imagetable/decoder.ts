/** The worker that decodes frames, started with the first one. */
import workerUrl from "./jls.worker?worker&url";
import type { Answer, Decoded } from "./jls.worker";
import { startWorker } from "./trusted";

export type Pixels = Omit<Decoded, "id">;
export type Decode = (data: Uint8Array) => Promise<Pixels>;

export class Decoder {
  private worker: Worker | null = null;
  private next = 0;
  private readonly waiting = new Map<number, { resolve: (pixels: Pixels) => void; reject: (error: Error) => void }>();

  /** Loads the codec before the first frame is there. */
  start(): void {
    if (this.worker) return;
    this.worker = startWorker(workerUrl, "classic");
    this.worker.onmessage = (event: MessageEvent<Answer>) => this.answered(event.data);
    this.worker.onerror = () => this.failed();
  }

  decode: Decode = (data) => {
    this.start();
    const id = ++this.next;
    return new Promise((resolve, reject) => {
      this.waiting.set(id, { resolve, reject });
      this.worker?.postMessage({ id, data });
    });
  };

  close(): void {
    this.worker?.terminate();
    this.worker = null;
    this.failed();
  }

  private answered(answer: Answer): void {
    const waiter = this.waiting.get(answer.id);
    this.waiting.delete(answer.id);
    if ("error" in answer) waiter?.reject(new Error(answer.error));
    else waiter?.resolve(answer);
  }

  private failed(): void {
    for (const waiter of this.waiting.values()) waiter.reject(new Error("decoder"));
    this.waiting.clear();
  }
}
