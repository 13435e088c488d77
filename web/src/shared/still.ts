/** One picture of a stream at its own size, as PNG: from a detached video of the same track, so that no layout shrinks it. */
const PATIENCE = 5_000;

export interface Still { readonly picture: Blob; readonly width: number; readonly height: number }

export class NoPicture extends Error {}

export async function stillOf(track: MediaStreamTrack): Promise<Still> {
  const video = document.createElement("video");
  video.muted = true;
  video.playsInline = true;
  video.srcObject = new MediaStream([track]);
  try {
    await Promise.race([framed(video), late()]);
    return await drawn(video);
  } finally {
    video.srcObject = null;
  }
}

async function framed(video: HTMLVideoElement): Promise<void> {
  const first = new Promise<void>((resolve) => {
    if ("requestVideoFrameCallback" in video) video.requestVideoFrameCallback(() => resolve());
    else (video as HTMLVideoElement).addEventListener("timeupdate", () => resolve(), { once: true });
  });
  await video.play();
  await first;
}

function late(): Promise<never> {
  return new Promise((_, reject) => setTimeout(() => reject(new NoPicture("late")), PATIENCE));
}

async function drawn(video: HTMLVideoElement): Promise<Still> {
  const canvas = document.createElement("canvas");
  const width = canvas.width = video.videoWidth;
  const height = canvas.height = video.videoHeight;
  const context = canvas.getContext("2d");
  if (!context || !width || !height) throw new NoPicture("size");
  context.drawImage(video, 0, 0);
  const picture = await new Promise<Blob>((resolve, reject) => canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new NoPicture("png"))), "image/png"));
  return { picture, width, height };
}
