/** The one place that knows pdf.js: pages drawn by its worker, nothing of a document ever run. Loaded with the first one. */
import * as pdfjs from "pdfjs-dist/legacy/build/pdf.min.mjs";
import workerUrl from "pdfjs-dist/legacy/build/pdf.worker.min.mjs?url";
import { startWorker } from "./trusted";

export interface PaperPage { readonly width: number; readonly height: number; render(canvas: HTMLCanvasElement, scale: number): Promise<void> }

/** Its pages, in points. Throws for what pdf.js cannot read. */
export async function openPdf(data: Uint8Array): Promise<PaperPage[]> {
  pdfjs.GlobalWorkerOptions.workerPort ??= startWorker(workerUrl, "module");
  const document = await pdfjs.getDocument({
    data, isEvalSupported: false, enableXfa: false, useSystemFonts: true, useWorkerFetch: true,
    cMapUrl: "/static/pdf/cmaps/", cMapPacked: true, standardFontDataUrl: "/static/pdf/standard_fonts/", wasmUrl: "/static/pdf/wasm/",
  }).promise;
  return Promise.all(Array.from({ length: document.numPages }, (_, number) => pageOf(document, number + 1)));
}

async function pageOf(document: pdfjs.PDFDocumentProxy, number: number): Promise<PaperPage> {
  const page = await document.getPage(number);
  const { width, height } = page.getViewport({ scale: 1 });
  let drawing: pdfjs.RenderTask | null = null;
  return {
    width, height,
    async render(canvas, scale) {
      drawing?.cancel();
      const viewport = page.getViewport({ scale });
      canvas.width = Math.round(viewport.width);
      canvas.height = Math.round(viewport.height);
      drawing = page.render({ canvas, viewport, annotationMode: pdfjs.AnnotationMode.ENABLE });
      await drawing.promise.catch((error: unknown) => {
        if (!(error instanceof pdfjs.RenderingCancelledException)) throw error;
      });
    },
  };
}
