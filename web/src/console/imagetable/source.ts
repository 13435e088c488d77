/**
 * The pictures of one opened series: first the metadata of the one looked at, its frame, then small pictures of all,
 * then frames around the one looked at. At most a few requests at once; what is furthest away is let go first.
 */
import { ApiProblem } from "@/shared/api";
import { picturesOf, type Json, type Picture } from "./dicom-json";
import type { Decode, Pixels } from "./decoder";
import { partsOf } from "./multipart";

export interface Shown { readonly pixels: Pixels; readonly whole: boolean }
export interface Fetched { readonly type: string; readonly bytes: Uint8Array }
export type Fetch = (path: string, signal: AbortSignal) => Promise<Fetched>;

const PREVIEWS = 64; // the server's limit
const AROUND = 24; // frames kept ready on either side
const MOST_BYTES = 192 * 1024 * 1024; // of decoded frames
const AT_ONCE = 3;

/** A GET of bytes, refusals as ApiProblem. */
export const fetchBytes: Fetch = async (path, signal) => {
  let response: Response;
  try {
    response = await fetch(path, { credentials: "same-origin", cache: "no-store", signal });
  } catch {
    throw new ApiProblem(0, "network.unreachable");
  }
  if (!response.ok) {
    const body = (await response.json().catch(() => ({}))) as Record<string, unknown>;
    throw new ApiProblem(response.status, typeof body.code === "string" ? body.code : `http.${response.status}`, body);
  }
  return { type: response.headers.get("Content-Type") ?? "", bytes: new Uint8Array(await response.arrayBuffer()) };
};

/** DICOM JSON of a series, or of a part of it; the server puts the opening on record. Throws ApiProblem. */
export async function fetchMetadata(base: string, query: string, signal: AbortSignal, get: Fetch = fetchBytes): Promise<Json[]> {
  const { bytes } = await get(`${base}/metadata${query}`, signal);
  return JSON.parse(new TextDecoder().decode(bytes)) as Json[];
}

export class SeriesSource {
  /** In the order of the series; empty places are not known yet. */
  readonly pictures: (Picture | undefined)[];
  /** Metadata of instances that are no pictures (traces, papers, photos). */
  others: Json[] = [];
  /** The code of what went wrong last; "" nothing. */
  problem = "";
  private readonly frames = new Map<number, Pixels>();
  private readonly previews = new Map<number, Pixels>();
  private readonly busy = new Set<string>();
  private readonly broken = new Set<string>();
  private readonly abort = new AbortController();
  private readonly listeners = new Set<() => void>();
  private at = 0;
  private full = false;

  /** `base`: address of the series; `total`: its pictures; `single`: each instance is one of them. */
  constructor(
    private readonly base: string, public total: number, private readonly single: boolean,
    private readonly decode: Decode, private readonly get: Fetch = fetchBytes,
  ) {
    this.pictures = new Array<Picture | undefined>(total).fill(undefined);
  }

  subscribe(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** Puts the opening on record. Throws ApiProblem. */
  async open(at: number): Promise<void> {
    this.at = Math.min(at, Math.max(0, this.total - 1));
    if (this.single && this.total > 1) {
      const [first] = await this.metadata(`?offset=${this.at}&limit=1`);
      if (first) this.pictures[this.at] = picturesOf(first)[0];
      if (this.pictures[this.at]) {
        void this.pump();
        return;
      }
    }
    await this.all();
    void this.pump();
  }

  /** What is looked at now: it and its neighbours come first. */
  look(at: number): void {
    this.at = at;
    void this.pump();
  }

  shown(at: number): Shown | null {
    const frame = this.frames.get(at);
    if (frame) return { pixels: frame, whole: true };
    const small = this.previews.get(at);
    return small ? { pixels: small, whole: false } : null;
  }

  /** How much is here, 0 to 1: for the bar below the picture. */
  get ready(): number {
    let found = 0;
    for (let at = 0; at < this.total; at += 1) if (this.frames.has(at) || this.previews.has(at)) found += 1;
    return this.total ? found / this.total : 1;
  }

  /** The first small picture that is here: for the list. */
  get thumbnail(): Pixels | null {
    return this.previews.get(Math.floor(this.total / 2)) ?? [...this.previews.values()][0] ?? null;
  }

  close(): void {
    this.abort.abort();
    this.listeners.clear();
    this.frames.clear();
    this.previews.clear();
  }

  private metadata(query: string): Promise<Json[]> {
    return fetchMetadata(this.base, query, this.abort.signal, this.get);
  }

  private async all(): Promise<void> {
    const told = await this.metadata("");
    this.full = true;
    const found = told.flatMap(picturesOf);
    found.forEach((picture, at) => { this.pictures[at] = picture; });
    this.total = found.length;
    this.others = told.filter((one) => picturesOf(one).length === 0);
    this.changed();
  }

  /** The next things to ask for, in order of need. */
  private next(): { key: string; run: () => Promise<void> } | null {
    const free = (key: string): boolean => !this.busy.has(key) && !this.broken.has(key);
    const frame = (at: number): { key: string; run: () => Promise<void> } | null => {
      const key = `frame ${at}`;
      return this.pictures[at] && !this.frames.has(at) && free(key) ? { key, run: () => this.frame(at) } : null;
    };
    const here = frame(this.at);
    if (here) return here;
    if (this.busy.has(`frame ${this.at}`) && !this.shown(this.at)) return null; // nothing takes the line from the first picture
    if (!this.full && free("metadata")) return { key: "metadata", run: () => this.all() };
    for (const chunk of this.chunks()) {
      const key = `previews ${chunk}`;
      if (free(key) && this.total > 1 && !this.previews.has(chunk * PREVIEWS)) return { key, run: () => this.chunk(chunk) };
    }
    for (let distance = 1; distance <= AROUND; distance += 1) {
      const ahead = frame(this.at + distance) ?? frame(this.at - distance);
      if (ahead) return ahead;
    }
    return null;
  }

  /** Chunks of small pictures, the nearest first. */
  private chunks(): number[] {
    const here = Math.floor(this.at / PREVIEWS);
    return Array.from({ length: Math.ceil(this.total / PREVIEWS) }, (_, number) => number)
      .sort((one, other) => Math.abs(one - here) - Math.abs(other - here));
  }

  private async pump(): Promise<void> {
    while (this.busy.size < AT_ONCE && !this.abort.signal.aborted) {
      const task = this.next();
      if (!task) return;
      this.busy.add(task.key);
      task.run()
        .catch((error: unknown) => this.failed(task.key, error))
        .finally(() => {
          this.busy.delete(task.key);
          void this.pump();
        });
    }
  }

  private failed(key: string, error: unknown): void {
    if (this.abort.signal.aborted) return;
    this.broken.add(key);
    this.problem = error instanceof ApiProblem ? error.code : "internal.error";
    if (this.problem === "network.unreachable") setTimeout(() => { this.broken.delete(key); this.problem = ""; void this.pump(); }, 1_500);
    this.changed();
  }

  private async frame(at: number): Promise<void> {
    const picture = this.pictures[at];
    if (!picture) return;
    const { type, bytes } = await this.get(`${this.base}/instances/${picture.uid}/frames/${picture.frame + 1}`, this.abort.signal);
    const [part] = partsOf(type, bytes);
    if (!part) throw new ApiProblem(0, "internal.error");
    this.frames.set(at, await this.decode(part.body));
    this.trim();
    this.changed();
  }

  private async chunk(chunk: number): Promise<void> {
    const { type, bytes } = await this.get(`${this.base}/previews?offset=${chunk * PREVIEWS}&limit=${PREVIEWS}`, this.abort.signal);
    const parts = partsOf(type, bytes);
    await Promise.all(parts.map(async ({ body }, number) => {
      this.previews.set(chunk * PREVIEWS + number, await this.decode(body));
    }));
    this.changed();
  }

  private trim(): void {
    let bytes = 0;
    const near = [...this.frames].sort(([one], [other]) => Math.abs(one - this.at) - Math.abs(other - this.at));
    for (const [at, { pixels }] of near) {
      bytes += pixels.byteLength;
      if (bytes > MOST_BYTES && at !== this.at) this.frames.delete(at);
    }
  }

  private changed(): void {
    for (const listener of this.listeners) listener();
  }
}
