/**
 * Images on their way into a case, surviving a dead line and a closed page (store-and-forward over tus 1.0).
 *
 * A delivery is kept until the case has it. One is sent at a time; what the server has is never sent again.
 */
import { DetailedError, type FileReader, type HttpStack, Upload } from "tus-js-client";
import { ApiProblem, UNREACHABLE } from "./api";
import { operationId } from "./operation";

export const MOST_FILES = 64;
const PIECE = 2 * 1024 * 1024;
const FIRST_WAIT = 2_000;
const LONGEST_WAIT = 60_000;
const FINISH_TIMEOUT = 240_000;
/** Codes after which the same delivery may well succeed a little later. */
const PASSING = new Set([UNREACHABLE, "upload.busy", "upload.overtaken", "upload.offset", "upload.too_many", "rate.limited",
  "request.timeout", "request.malformed", "store.busy", "store.unavailable", "upload.scan_unavailable", "upload.inspection_unavailable"]);

export type DeliveryState = "waiting" | "sending" | "checking" | "done" | "failed";

export interface Refusal {
  /** Which file of the delivery, from 0. */
  file: number;
  code: string;
}

/** What is kept. `owner`: the account it belongs to; nobody else's page sends it. */
export interface Delivery {
  id: string;
  owner: string;
  consult: string;
  files: Blob[];
  /** The upload at the server, once begun. */
  url: string | null;
  state: DeliveryState;
  code: string;
  refused: Refusal[];
  addedAt: number;
}

/** A delivery with how much of it the server has. */
export interface Shown extends Omit<Delivery, "files" | "owner"> {
  count: number;
  /** Of the files, as this machine calls them; the server is not told. */
  names: string[];
  sent: number;
  size: number;
}

/** Where deliveries lie until the case has them. */
export interface Keep {
  all(): Promise<Delivery[]>;
  put(delivery: Delivery): Promise<void>;
  remove(id: string): Promise<void>;
}

export interface Server {
  /** Headers of a request that changes something: CSRF and operation id. */
  changing(): Record<string, string>;
  post<T>(path: string, body: object, options: { timeout: number; resends: number }): Promise<T>;
}

export interface Clock {
  later(run: () => void, ms: number): () => void;
}

const TIMER: Clock = {
  later(run, ms) {
    const timer = setTimeout(run, ms);
    return () => clearTimeout(timer);
  },
};

/** A delivery is one Blob of several; slices are read as they are sent. */
const BLOBS: FileReader = {
  async openFile(input: Blob) {
    return {
      size: input.size,
      slice: async (start, end) => ({ value: input.slice(start, end), done: end >= input.size }),
      close: () => undefined,
    };
  },
};

export class UploadQueue {
  private readonly deliveries = new Map<string, Delivery>();
  private readonly sent = new Map<string, number>();
  private running: { id: string; stop: () => Promise<void> } | null = null;
  private wait = FIRST_WAIT;
  private cancelTimer: (() => void) | null = null;
  private closed = false;

  constructor(
    private readonly owner: string,
    private readonly keep: Keep,
    private readonly server: Server,
    private readonly changed: (shown: Shown[]) => void,
    private readonly http: { stack?: HttpStack; clock?: Clock } = {},
  ) {}

  /** What an earlier page left, of this account only; another account's is removed: it is a shared machine. */
  async open(): Promise<void> {
    for (const delivery of await this.keep.all()) {
      if (delivery.owner !== this.owner) await this.keep.remove(delivery.id);
      else this.deliveries.set(delivery.id, delivery.state === "failed" ? delivery : { ...delivery, state: "waiting" });
    }
    this.tell();
    this.next();
  }

  /** Cut into deliveries the server takes; each is kept before its first byte is sent. */
  async add(consult: string, files: readonly Blob[], limit: number): Promise<void> {
    for (const batch of deliveriesOf(files, limit)) {
      const delivery: Delivery = {
        id: operationId(), owner: this.owner, consult, files: batch, url: null, state: "waiting", code: "", refused: [],
        addedAt: Date.now(),
      };
      await this.put(delivery);
    }
    this.next();
  }

  /** The line is back, or somebody presses "now". */
  retry(): void {
    this.wait = FIRST_WAIT;
    this.cancelTimer?.();
    this.cancelTimer = null;
    this.next();
  }

  /** A delivery that failed, once more from where it was. */
  async again(id: string): Promise<void> {
    const delivery = this.deliveries.get(id);
    if (delivery?.state === "failed") await this.put({ ...delivery, state: "waiting", code: "" });
    this.retry();
  }

  /** Given up, or seen to have arrived. What the server holds of it is removed there as well. */
  async drop(id: string): Promise<void> {
    const delivery = this.deliveries.get(id);
    this.deliveries.delete(id);
    await this.keep.remove(id);
    this.tell();
    if (this.running?.id === id) await this.running.stop();
    if (delivery?.url && delivery.state !== "done") {
      const options = { headers: this.server.changing(), retryDelays: null, ...(this.http.stack ? { httpStack: this.http.stack } : {}) };
      await Upload.terminate(delivery.url, options).catch(() => undefined); // it expires by itself
    }
    this.next();
  }

  async close(): Promise<void> {
    this.closed = true;
    this.cancelTimer?.();
    await this.running?.stop();
  }

  private async put(delivery: Delivery): Promise<void> {
    this.deliveries.set(delivery.id, delivery);
    this.tell();
    await this.keep.put(delivery);
  }

  private next(): void {
    if (this.closed || this.running || this.cancelTimer) return;
    const waiting = [...this.deliveries.values()].filter((each) => each.state === "waiting");
    const first = waiting.sort((a, b) => a.addedAt - b.addedAt)[0];
    if (first) void this.run(first);
  }

  private async run(delivery: Delivery): Promise<void> {
    let stopped = false;
    let stop = async (): Promise<void> => undefined;
    this.running = { id: delivery.id, stop: async () => { stopped = true; await stop(); } };
    try {
      await this.put({ ...delivery, state: "sending" });
      await this.send(delivery.id, (how) => { stop = how; });
      if (!stopped) await this.finish(delivery.id);
      this.wait = FIRST_WAIT;
    } catch (error) {
      if (!stopped) await this.failed(delivery.id, error);
    } finally {
      this.running = null;
      if (!stopped) this.next();
    }
  }

  private send(id: string, stoppable: (stop: () => Promise<void>) => void): Promise<void> {
    const delivery = this.deliveries.get(id)!;
    const sizes = delivery.files.map((file) => file.size).join(",");
    return new Promise<void>((resolve, reject) => {
      const upload = new Upload(new Blob(delivery.files), {
        endpoint: `/api/consults/${delivery.consult}/images/uploads`,
        uploadUrl: delivery.url,
        metadata: { sizes },
        chunkSize: PIECE,
        retryDelays: null, // the queue waits by itself, for the line as well
        storeFingerprintForResuming: false,
        fileReader: BLOBS,
        ...(this.http.stack ? { httpStack: this.http.stack } : {}),
        onBeforeRequest: (request) => {
          for (const [name, value] of Object.entries(this.server.changing())) request.setHeader(name, value);
        },
        onUploadUrlAvailable: () => void this.begun(id, upload.url),
        onProgress: (sent) => { this.sent.set(id, sent); this.tell(); },
        onSuccess: () => resolve(),
        onError: (error) => reject(problemOf(error)),
      });
      stoppable(async () => { await upload.abort(); resolve(); });
      upload.start();
    });
  }

  private async begun(id: string, url: string | null): Promise<void> {
    const delivery = this.deliveries.get(id);
    if (delivery && url && url !== delivery.url) await this.put({ ...delivery, url });
  }

  private async finish(id: string): Promise<void> {
    const delivery = this.deliveries.get(id);
    if (!delivery?.url) return;
    await this.put({ ...delivery, state: "checking" });
    let answer: unknown;
    try {
      answer = await this.server.post(`${pathOf(delivery.url)}/finish`, {}, { timeout: FINISH_TIMEOUT, resends: 0 });
    } catch (error) {
      if (!(error instanceof ApiProblem) || !("00081198" in error.body)) throw error;
      answer = error.body; // not one file was taken, and each is told why
    }
    const done = this.deliveries.get(id);
    if (!done) return;
    const refused = refusalsIn(answer);
    this.deliveries.set(id, { ...done, state: "done", code: "", refused });
    await this.keep.remove(id);
    this.tell();
  }

  private async failed(id: string, error: unknown): Promise<void> {
    const delivery = this.deliveries.get(id);
    if (!delivery) return;
    const code = error instanceof ApiProblem ? error.code : "internal.error";
    const passing = PASSING.has(code) || (error instanceof ApiProblem && error.status >= 500);
    await this.put({ ...delivery, state: passing ? "waiting" : "failed", code });
    if (!passing || this.closed) return;
    this.cancelTimer = (this.http.clock ?? TIMER).later(() => { this.cancelTimer = null; this.next(); }, this.wait);
    this.wait = Math.min(this.wait * 2, LONGEST_WAIT);
  }

  private tell(): void {
    const shown = [...this.deliveries.values()].sort((a, b) => a.addedAt - b.addedAt).map(({ files, owner: _, ...rest }) => {
      const size = files.reduce((sum, file) => sum + file.size, 0);
      return { ...rest, count: files.length, names: files.map((file) => (file instanceof File ? file.name : "")), size, sent: rest.state === "done" ? size : (this.sent.get(rest.id) ?? 0) };
    });
    this.changed(shown);
  }
}

/** At most so many files and bytes each, in their order. A file above the limit goes alone, for the server to refuse. */
export function deliveriesOf(files: readonly Blob[], limit: number): Blob[][] {
  const found: Blob[][] = [];
  let size = 0;
  for (const file of files) {
    const last = found.at(-1);
    if (last && last.length < MOST_FILES && size + file.size <= limit) last.push(file);
    else {
      found.push([file]);
      size = 0;
    }
    size += file.size;
  }
  return found;
}

/** The server's refusals, file by file (PS3.18 10.5). */
export function refusalsIn(answer: unknown): Refusal[] {
  type Item = Record<string, { Value?: unknown[] } | undefined>;
  const failed = (answer as Record<string, { Value?: Item[] } | undefined> | null)?.["00081198"]?.Value ?? [];
  return failed.map((item) => ({
    file: Number(item["00201200"]?.Value?.[0] ?? 0),
    code: String(item["00000902"]?.Value?.[0] ?? "upload.refused"),
  }));
}

function pathOf(url: string): string {
  return new URL(url, "http://here").pathname;
}

function problemOf(error: unknown): ApiProblem {
  const response = error instanceof DetailedError ? error.originalResponse : null;
  if (!response) return new ApiProblem(0, UNREACHABLE);
  let body: Record<string, unknown> = {};
  try {
    body = JSON.parse(response.getBody()) as Record<string, unknown>;
  } catch {
    // a HEAD has none
  }
  const code = typeof body.code === "string" ? body.code : response.getHeader("X-Problem");
  return new ApiProblem(response.getStatus(), code ?? `http.${response.getStatus()}`, body);
}
