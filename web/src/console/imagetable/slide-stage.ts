/** OpenSeadragon as a stage without hands of its own: it shows what the shared place says, from tiles of the case. */
import OpenSeadragon from "openseadragon";
import { ApiProblem } from "@/shared/api";
import { boundsOf, type Level, type Place, pictureIn, tileUrl } from "./slide-levels";
import { fetchBytes, type Fetch } from "./source";

/** What the frame is told: something is drawn; a tile did not come, and the code why. */
export interface Told { drawn: () => void; broken: (code: string) => void }

/** Levels whose sizes are the scanner's; tiles at the edge are whole in the file and cut by the drawer. */
class SlideSource extends OpenSeadragon.TileSource {
  constructor(private readonly base: string, private readonly levels: readonly Level[], private readonly get: Fetch, private readonly failed: (code: string) => void) {
    const whole = levels.at(-1)!;
    super({ width: whole.width, height: whole.height, tileWidth: whole.tileWidth, tileHeight: whole.tileHeight, tileOverlap: 0, minLevel: 0, maxLevel: levels.length - 1 });
  }

  override getLevelScale(level: number): number {
    return this.levels[level]!.width / this.dimensions.x;
  }

  override getNumTiles(level: number): OpenSeadragon.Point {
    const { columns, rows } = this.levels[level]!;
    return new OpenSeadragon.Point(columns, rows);
  }

  override getTileWidth(level: number): number {
    return this.levels[level]!.tileWidth;
  }

  override getTileHeight(level: number): number {
    return this.levels[level]!.tileHeight;
  }

  override getTileUrl(level: number, x: number, y: number): string {
    return tileUrl(this.base, this.levels[level]!, x, y);
  }

  override downloadTileStart(context: OpenSeadragon.ImageJob): void {
    const abort = new AbortController();
    (context as unknown as { userData: { abort: AbortController } }).userData.abort = abort;
    const job = context as unknown as { src: string; finish(data: Blob, request: null, type: string): void; fail(why: string, request: null): void };
    this.get(job.src, abort.signal).then(({ bytes }) => job.finish(pictureIn(bytes), null, "rasterBlob")).catch((error: unknown) => {
      if (!abort.signal.aborted) this.failed(error instanceof ApiProblem ? error.code : "upload.damaged");
      job.fail(String(error), null);
    });
  }

  override downloadTileAbort(context: OpenSeadragon.ImageJob): void {
    (context as unknown as { userData: { abort?: AbortController } }).userData.abort?.abort();
  }
}

const MARK = "data-openseadragon-mobile-css";

/** OpenSeadragon writes a style into the page once, unless it finds its mark; the policy of the page (CSP) takes none. */
function barInlineStyle(): void {
  if (document.querySelector(`style[${MARK}]`)) return;
  const mark = document.createElementNS(null, "style"); // by its name alone: of no namespace, it styles nothing
  mark.setAttribute(MARK, "");
  document.head.append(mark);
}

/** It empties its overlays by `innerHTML = ""`, which Trusted Types refuse; there are no overlays here. */
function emptiedByNodes(element: HTMLElement): void {
  Object.defineProperty(element, "innerHTML", { get: () => "", set: () => element.replaceChildren() });
}

export class SlideStage {
  private readonly viewer: OpenSeadragon.Viewer;
  private readonly whole: Level;

  constructor(element: HTMLElement, base: string, levels: readonly Level[], told: Told, get: Fetch = fetchBytes) {
    this.whole = levels.at(-1)!;
    barInlineStyle();
    this.viewer = OpenSeadragon({
      element, drawer: "canvas", tabIndex: "", mouseNavEnabled: false, keyboardNavEnabled: false,
      showNavigationControl: false, showNavigator: false, animationTime: 0, blendTime: 0, immediateRender: true, autoResize: true,
      visibilityRatio: 0, minZoomImageRatio: 0, maxZoomPixelRatio: 1_000, imageLoaderLimit: 6, maxImageCacheCount: 400, tileRetryMax: 2,
    } as unknown as OpenSeadragon.Options);
    emptiedByNodes((this.viewer as unknown as { overlaysContainer: HTMLElement }).overlaysContainer);
    this.viewer.addHandler("tile-drawn", told.drawn);
    this.viewer.addHandler("open-failed", () => told.broken("internal.error"));
    this.viewer.open(new SlideSource(base, levels, get, told.broken) as unknown as OpenSeadragon.TileSourceSpecifier);
  }

  show(size: { width: number; height: number }, at: Place): void {
    const place = (): void => {
      const { x, y, width, height } = boundsOf(this.whole, size, at);
      this.viewer.viewport.fitBounds(new OpenSeadragon.Rect(x, y, width, height), true);
    };
    if (this.viewer.isOpen()) place();
    else this.viewer.addOnceHandler("open", place);
  }

  close(): void {
    this.viewer.destroy();
  }
}
