/** Tells the server how large each picture is really shown, so that nobody is sent pixels nobody sees. */
import type { Demand, Source } from "../shared/protocol";

interface Shown { seat: string; source: Source; element: Element; width: number; height: number }

const QUIET = 150; // ms without a change before telling
const MAX_RATIO = 2; // finer screens than this are not worth the bandwidth

export class Demands {
  private readonly shown = new Map<string, Shown>();
  private readonly keys = new Map<Element, string>();
  private readonly send: (demands: Demand[]) => void;
  private readonly observer: ResizeObserver | null;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private last: string | null = null;
  private told = new Set<string>(); // pictures the server knows to be shown
  private pageHidden = false;

  constructor(send: (demands: Demand[]) => void) {
    this.send = send;
    this.observer = typeof ResizeObserver === "undefined" ? null : new ResizeObserver((entries) => this.resized(entries));
  }

  /** `key` is one place on the page; the same key again replaces what it shows. */
  show(key: string, seat: string, source: Source, element: Element): void {
    this.hide(key);
    const box = element.getBoundingClientRect();
    this.shown.set(key, { seat, source, element, width: box.width, height: box.height });
    this.keys.set(element, key);
    this.observer?.observe(element);
    this.soon(this.told.has(`${seat}/${source}`) ? QUIET : 0); // somebody waits for a picture that is new
  }

  hide(key: string): void {
    const former = this.shown.get(key);
    if (!former) return;
    this.shown.delete(key);
    this.keys.delete(former.element);
    this.observer?.unobserve(former.element);
    this.soon();
  }

  /** A hidden page needs sound only. */
  setPageHidden(hidden: boolean): void {
    this.pageHidden = hidden;
    this.soon();
  }

  /** After a (re)join the server knows nothing: tell all again, at once. Before anything is on the page, its own guess is
   * better than "nothing is shown". */
  resend(): void {
    this.last = null;
    this.told.clear();
    if (this.shown.size > 0 || this.pageHidden) this.flush();
    else this.soon();
  }

  close(): void {
    clearTimeout(this.timer);
    this.observer?.disconnect();
    this.shown.clear();
    this.keys.clear();
  }

  current(): Demand[] {
    if (this.pageHidden) return [];
    const ratio = Math.min(MAX_RATIO, globalThis.devicePixelRatio || 1);
    const largest = new Map<string, Demand>();
    for (const { seat, source, width, height } of this.shown.values()) {
      if (width < 1 || height < 1) continue;
      const demand = { seat, source, width: Math.round(width * ratio), height: Math.round(height * ratio) };
      const former = largest.get(`${seat}/${source}`);
      if (!former || former.width * former.height < demand.width * demand.height) largest.set(`${seat}/${source}`, demand);
    }
    return [...largest.values()];
  }

  private resized(entries: ResizeObserverEntry[]): void {
    for (const entry of entries) {
      const shown = this.shown.get(this.keys.get(entry.target) ?? "");
      if (!shown) continue;
      shown.width = entry.contentRect.width;
      shown.height = entry.contentRect.height;
    }
    this.soon();
  }

  private soon(quiet = QUIET): void {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.flush(), quiet);
  }

  private flush(): void {
    clearTimeout(this.timer);
    const demands = this.current();
    const text = JSON.stringify(demands);
    if (text === this.last) return;
    this.last = text;
    this.told = new Set(demands.map(({ seat, source }) => `${seat}/${source}`));
    this.send(demands);
  }
}
