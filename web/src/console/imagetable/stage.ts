/** The one place that knows @cornerstonejs/core: frames of values drawn through a window. Loaded with the first picture. */
import { Enums, init, metaData, RenderingEngine, type StackViewport, type Types, utilities } from "@cornerstonejs/core";
import type { Picture } from "./dicom-json";
import type { Pixels } from "./decoder";
import type { FrameSize, Placed } from "./geometry";

const ENGINE = "hz-images";
let started: Promise<unknown> | null = null;
let number = 0;
const described = new Map<string, { pixels: Pixels; picture: Picture; step: number }>();

metaData.addProvider((type: string, imageId: string) => {
  const known = described.get(imageId);
  return known ? moduleOf(type, known.pixels, known.picture, known.step) : undefined;
}, 10_000);

/** The picture lies in the plane of the screen; a small one has larger pixels and covers the same. */
function moduleOf(type: string, pixels: Pixels, picture: Picture, step: number): unknown {
  const [down, right] = aspect(picture);
  const bits = pixels.pixels instanceof Uint16Array ? 16 : 8;
  if (type === "imagePlaneModule") {
    return {
      rows: pixels.height, columns: pixels.width, rowPixelSpacing: down * step, columnPixelSpacing: right * step,
      rowCosines: [1, 0, 0], columnCosines: [0, 1, 0], imageOrientationPatient: [1, 0, 0, 0, 1, 0],
      imagePositionPatient: [((step - 1) / 2) * right, ((step - 1) / 2) * down, 0], frameOfReferenceUID: ENGINE,
    };
  }
  if (type === "imagePixelModule") {
    return {
      bitsAllocated: bits, bitsStored: bits, highBit: bits - 1, pixelRepresentation: 0, samplesPerPixel: pixels.components,
      photometricInterpretation: pixels.components > 1 ? "RGB" : "MONOCHROME2",
    };
  }
  return type === "generalSeriesModule" ? { modality: "OT" } : undefined;
}

/** Only the ratio of a pixel's sides matters to the screen: measurements have their own spacing. */
export function aspect(picture: Pick<Picture, "spacing">): readonly [down: number, right: number] {
  return picture.spacing ? [picture.spacing[0] / picture.spacing[1], 1] : [1, 1];
}

export class Stage {
  private readonly engine: RenderingEngine;
  private readonly id: string;
  private readonly viewport: StackViewport;
  private key = "";

  static async on(element: HTMLDivElement): Promise<Stage> {
    started ??= Promise.resolve(init({ rendering: { webGlContextCount: 1 } } as Parameters<typeof init>[0]));
    await started;
    return new Stage(element);
  }

  private constructor(element: HTMLDivElement) {
    this.id = `${ENGINE}-${++number}`;
    this.engine = new RenderingEngine(this.id);
    this.engine.enableElement({ viewportId: this.id, element, type: Enums.ViewportType.STACK, defaultOptions: { background: [0, 0, 0] } });
    this.viewport = this.engine.getViewport(this.id) as StackViewport;
  }

  /** Draws these values, `step` pixels of the picture each, through this window, where `placed` says. */
  draw(pixels: Pixels, picture: Picture, window: { centre: number; width: number }, frame: FrameSize, placed: Placed): void {
    const step = picture.columns / pixels.width;
    const key = `hz:${picture.instance}/${picture.frame}/${step}`;
    if (key !== this.key) {
      this.key = key;
      described.clear();
      described.set(key, { pixels, picture, step });
      this.viewport.renderImageObject(imageOf(key, pixels, picture, step));
    }
    const raw = (value: number): number => (value - picture.intercept) / picture.slope;
    const [lower, upper] = picture.colour ? [0, 255] : [raw(window.centre - window.width / 2), raw(window.centre + window.width / 2)];
    this.viewport.setProperties({ voiRange: { lower: Math.min(lower, upper), upper: Math.max(lower, upper) }, invert: picture.inverted !== lower > upper });
    this.place(picture, frame, placed);
    this.viewport.render();
  }

  resize(): void {
    this.engine.resize(true, true);
    this.key = "";
  }

  close(): void {
    this.engine.destroy();
  }

  private place(picture: Picture, frame: FrameSize, placed: Placed): void {
    const [down, right] = aspect(picture);
    const focalPoint: Types.Point3 = [
      ((frame.width / 2 - placed.left) / placed.across - 0.5) * right, ((frame.height / 2 - placed.top) / placed.along - 0.5) * down, 0,
    ];
    this.viewport.setCamera({
      focalPoint, position: [focalPoint[0], focalPoint[1], -500], viewUp: [0, -1, 0], viewPlaneNormal: [0, 0, -1],
      parallelProjection: true, parallelScale: (frame.height / 2 / placed.along) * down,
    });
  }
}

function imageOf(imageId: string, { pixels, width, height, components }: Pixels, picture: Picture, step: number): Types.IImage {
  const [down, right] = aspect(picture);
  const most = pixels instanceof Uint16Array ? 65_535 : 255;
  const voxelManager = utilities.VoxelManager.createImageVoxelManager({ width, height, scalarData: pixels, numberOfComponents: components });
  return {
    imageId, rows: height, columns: width, height, width, color: components > 1, rgba: false, numberOfComponents: components,
    minPixelValue: 0, maxPixelValue: most, slope: 1, intercept: 0, windowCenter: most / 2, windowWidth: most,
    voiLUTFunction: Enums.VOILUTFunctionType.LINEAR, getPixelData: () => pixels, getCanvas: () => document.createElement("canvas"),
    columnPixelSpacing: right * step, rowPixelSpacing: down * step, invert: false, sizeInBytes: pixels.byteLength,
    photometricInterpretation: components > 1 ? "RGB" : "MONOCHROME2", dataType: pixels instanceof Uint16Array ? "Uint16Array" : "Uint8Array",
    voxelManager,
  } as unknown as Types.IImage;
}

