/** The console's one queue of images on their way: begun with the first page that needs it, awake when the line is back. */
import { shallowRef, type ShallowRef } from "vue";
import { api } from "@/shared/api";
import { type Shown, UploadQueue } from "@/shared/uploads";
import { KeptInBrowser } from "@/shared/uploads-kept";

export const uploads: ShallowRef<readonly Shown[]> = shallowRef([]);
let queue: UploadQueue | null = null;
let owner = "";
const awake = (): void => queue?.retry();

/** The queue of this account; what an earlier page left goes on. Another account's first call closes the one before. */
export async function uploadsOf(staff: string): Promise<UploadQueue> {
  if (queue && owner === staff) return queue;
  await queue?.close();
  if (!queue) window.addEventListener("online", awake);
  owner = staff;
  const made = new UploadQueue(staff, new KeptInBrowser(), api, (now) => { if (owner === staff) uploads.value = now; });
  queue = made;
  await made.open();
  return made;
}
