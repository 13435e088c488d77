declare module "@cornerstonejs/codec-charls/decodewasmjs" {
  export interface JpegLSDecoder {
    getEncodedBuffer(size: number): Uint8Array;
    getDecodedBuffer(): Uint8Array;
    decode(): void;
    getFrameInfo(): { width: number; height: number; bitsPerSample: number; componentCount: number };
    getInterleaveMode(): number;
    delete(): void;
  }
  export interface CharLSModule { JpegLSDecoder: new () => JpegLSDecoder }
  export default function CharLS(options: { locateFile(): string }): Promise<CharLSModule>;
}

declare module "pdfjs-dist/legacy/build/pdf.min.mjs" {
  export * from "pdfjs-dist";
}
