/** Evidence of reading: how long each section was on the screen and how far it was seen. Evidence, not proof. */
import type { SectionReading } from "@/shared/protocol";

export interface Box { key: string; top: number; height: number }

export class ReadingTracker {
  private readonly seen = new Map<string, { shown: number; dwell: number; bottom: number }>();
  private readonly heard = new Set<string>();
  private at = 0; // ms the page was visible

  /**
   * `boxes`: sections with top and height in CSS px relative to the viewport's top; `view`: the viewport's height;
   * `elapsed`: ms since the former call during which the page was visible. A section counts as being read while half
   * of it, or of the screen, is filled by it.
   */
  tick(boxes: readonly Box[], view: number, elapsed: number): void {
    this.at += elapsed;
    for (const { key, top, height } of boxes) {
      if (height <= 0 || view <= 0) continue;
      const entry = this.seen.get(key) ?? { shown: -1, dwell: 0, bottom: 0 };
      const shown = Math.min(view, top + height) - Math.max(0, top);
      if (shown >= Math.min(height, view) * 0.5) entry.dwell += elapsed;
      if (entry.shown < 0 && shown > 0) entry.shown = this.at - elapsed;
      const reached = Math.min(1, Math.max(0, (view - top) / height));
      entry.bottom = Math.max(entry.bottom, reached);
      this.seen.set(key, entry);
    }
  }

  listened(key: string): void {
    this.heard.add(key);
  }

  result(keys: readonly string[], fontPx = 0): SectionReading[] {
    return keys.map((key) => {
      const entry = this.seen.get(key) ?? { shown: -1, dwell: 0, bottom: 0 };
      return {
        key, shown_ms: Math.max(0, Math.round(entry.shown)), dwell_ms: Math.round(entry.dwell), scrolled_percent: Math.round(entry.bottom * 100),
        font_px: fontPx, read_aloud: this.heard.has(key),
      };
    });
  }
}
