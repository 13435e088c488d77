/** The series that is looked at: opened on record, its pictures or leaves as they come, the one at `at`. */
import { computed, onUnmounted, shallowRef, watch, type ComputedRef, type Ref, type ShallowRef } from "vue";
import { ApiProblem } from "@/shared/api";
import { Decoder, type Pixels } from "./decoder";
import type { Picture } from "./dicom-json";
import { Leaves, type Leaf } from "./leaves";
import { slideOf, type Slide } from "./slide-levels";
import { fetchMetadata, SeriesSource, type Shown } from "./source";
import type { SeriesView } from "./types";

export interface Content {
  readonly total: number; readonly ready: number; readonly picture: Picture | null; readonly shown: Shown | null; readonly leaf: Leaf | null; readonly slide: Slide | null; readonly problem: string;
}

export interface UsedSeries {
  content: ComputedRef<Content>;
  /** Small pictures of the series opened so far: for the list. */
  thumbnails: ShallowRef<ReadonlyMap<string, Pixels>>;
  again: () => void;
}

export function useSeries(series: Ref<SeriesView | null>, at: Ref<number>): UsedSeries {
  const decoder = new Decoder();
  const tick = shallowRef(0);
  const refused = shallowRef("");
  const thumbnails = shallowRef<ReadonlyMap<string, Pixels>>(new Map());
  let source: SeriesSource | null = null;
  let leaves: Leaves | null = null;
  let slide: Slide | null = null;
  let abort = new AbortController(); // of a slide's metadata

  function close(): void {
    source?.close();
    leaves?.close();
    abort.abort();
    source = leaves = slide = null;
  }

  function changed(): void {
    tick.value += 1;
    const found = source?.thumbnail;
    const uid = series.value?.uid ?? "";
    if (found && thumbnails.value.get(uid) !== found) thumbnails.value = new Map(thumbnails.value).set(uid, found);
  }

  async function open(): Promise<void> {
    close();
    refused.value = "";
    changed();
    const told = series.value;
    if (!told) return;
    const base = told.url.replace(/\/metadata$/, "");
    if (told.kinds.includes("slide")) { await openSlide(base); return; }
    const pictures = told.kinds.length === 1 && told.kinds[0] === "image";
    if (told.kinds.includes("image")) decoder.start();
    const mine = (source = new SeriesSource(base, pictures ? told.frames : 0, told.instances === told.frames, decoder.decode));
    mine.subscribe(changed);
    try {
      await mine.open(at.value);
      if (source !== mine) return;
      if (mine.others.length > 0) {
        leaves = new Leaves(base, mine.others, told.kinds.every((kind) => kind === "photo"));
        leaves.subscribe(changed);
      }
      look();
    } catch (error) {
      if (source === mine) refused.value = error instanceof ApiProblem ? error.code : "internal.error";
    }
    changed();
  }

  /** One picture, whatever the number of its tiles. Its metadata puts the opening on record. */
  async function openSlide(base: string): Promise<void> {
    const mine = (abort = new AbortController());
    try {
      const found = slideOf(base, await fetchMetadata(base, "", mine.signal));
      if (mine.signal.aborted) return;
      slide = found;
      if (!found) refused.value = "upload.damaged";
    } catch (error) {
      if (!mine.signal.aborted) refused.value = error instanceof ApiProblem ? error.code : "internal.error";
    }
    changed();
  }

  function look(): void {
    if (!source) return;
    if (at.value < source.total) source.look(at.value);
    leaves?.look(at.value - source.total);
  }

  const content = computed<Content>(() => {
    void tick.value;
    const pictures = source?.total ?? 0;
    const here = Math.min(at.value, Math.max(0, pictures + (leaves?.total ?? 0) - 1));
    return {
      total: slide ? 1 : pictures + (leaves?.total ?? 0),
      ready: slide ? 1 : (source?.ready ?? 0),
      picture: source?.pictures[here] ?? null,
      shown: source?.shown(here) ?? null,
      leaf: leaves?.at(here - pictures) ?? null,
      slide,
      problem: refused.value || source?.problem || leaves?.problem || "",
    };
  });

  watch(() => series.value?.uid, () => void open(), { immediate: true });
  watch(at, look);
  onUnmounted(() => { close(); decoder.close(); });
  return { content, thumbnails, again: () => void open() };
}
