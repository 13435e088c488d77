/** What of a series is no frame: traces of an ECG, papers, photos. One leaf after the other, as they are asked for. */
import { ApiProblem } from "@/shared/api";
import { rowOf, text, type Json } from "./dicom-json";
import { sheetOf, type Ecg, type Sheet } from "./ecg";
import type { PaperPage } from "./pdf";
import { fetchBytes, type Fetch } from "./source";

interface Place { readonly instance: string; readonly frame: number }
export type Leaf =
  | (Place & { kind: "ecg"; sheet: Sheet })
  | (Place & { kind: "paper"; page: PaperPage })
  | (Place & { kind: "photo"; url: string; width: number; height: number });

const KEPT = 8; // photos kept in memory

export class Leaves {
  problem = "";
  private readonly abort = new AbortController();
  private readonly found: (Leaf | undefined)[] = [];
  private readonly asked = new Set<number>();
  private readonly listeners = new Set<() => void>();

  /** `photos`: each instance is one leaf, fetched when looked at. Otherwise all are fetched, one by one. */
  constructor(private readonly base: string, private readonly instances: readonly Json[], private readonly photos: boolean, private readonly get: Fetch = fetchBytes) {
    if (photos) this.found.length = instances.length;
    else void this.all();
  }

  get total(): number {
    return this.found.length;
  }

  subscribe(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  at(number: number): Leaf | null {
    return this.found[number] ?? null;
  }

  look(at: number): void {
    if (!this.photos || this.found[at] || this.asked.has(at)) return;
    const told = this.instances[at];
    if (!told) return;
    this.asked.add(at);
    void this.load(told).then((leaves) => {
      this.found[at] = leaves[0];
      this.forget(at);
    }).catch((error: unknown) => this.failed(error)).finally(() => {
      this.asked.delete(at);
      this.changed();
    });
  }

  close(): void {
    this.abort.abort();
    this.listeners.clear();
    for (const leaf of this.found) if (leaf?.kind === "photo") URL.revokeObjectURL(leaf.url);
    this.found.length = 0;
  }

  private async all(): Promise<void> {
    for (const told of this.instances) {
      try {
        this.found.push(...(await this.load(told)));
      } catch (error) {
        this.failed(error);
      }
      this.changed();
    }
  }

  private async load(told: Json): Promise<Leaf[]> {
    const uid = text(told, "00080018");
    const instance = rowOf(uid);
    const { type, bytes } = await this.get(`${this.base}/instances/${uid}/rendered`, this.abort.signal);
    if (type.startsWith("application/json")) {
      const { groups } = JSON.parse(new TextDecoder().decode(bytes)) as Ecg;
      return groups.map((group, frame) => ({ kind: "ecg", instance, frame, sheet: sheetOf(group) }));
    }
    if (type.startsWith("application/pdf")) {
      const { openPdf } = await import("./pdf");
      return (await openPdf(bytes)).map((page, frame) => ({ kind: "paper", instance, frame, page }));
    }
    const url = URL.createObjectURL(new Blob([bytes as BlobPart], { type }));
    const image = new Image();
    image.src = url;
    await image.decode();
    return [{ kind: "photo", instance, frame: 0, url, width: image.naturalWidth, height: image.naturalHeight }];
  }

  /** Only the photos next to this one stay. */
  private forget(at: number): void {
    const far = [...this.found.keys()].filter((key) => this.found[key]).sort((one, other) => Math.abs(one - at) - Math.abs(other - at)).slice(KEPT);
    for (const key of far) {
      const leaf = this.found[key];
      if (leaf?.kind === "photo") URL.revokeObjectURL(leaf.url);
      this.found[key] = undefined;
    }
  }

  private failed(error: unknown): void {
    if (!this.abort.signal.aborted) this.problem = error instanceof ApiProblem ? error.code : "upload.damaged";
  }

  private changed(): void {
    for (const listener of this.listeners) listener();
  }
}
