import { describe, expect, it } from "vitest";
import type { CallState } from "@/rtc/call";
import { fromSnapshot } from "@/rtc/room-state";
import type { Presentation, SeatOverview, SeatView, Snapshot } from "@/shared/protocol";
import { answered, decided, draft, forget, lay, undecided } from "./draft";
import { journey, nextScreen, secretOf, signsInWriting } from "./journey";
import { loudness } from "./level";
import { judge, measureNetwork } from "./network-check";
import { ReadingTracker } from "./reading";
import { mainPicture, ownWords, pictureWords } from "./room-words";
import { pieces } from "./speech";

const overview = (more: Partial<SeatOverview> = {}): SeatOverview => ({
  seat: { id: "s", role: "patient", display_name: "张*明", state: "expected" },
  patient: { masked_name: "张*明" },
  consult: { id: "c", kind: "follow_up", status: "scheduled", starts_at: "", ends_at: "", opens_at: "" },
  doctor: { name: "", name_en: "", title: "", licence_number: null, department: null, department_label: { zh: "", en: "" } },
  institution: { id: "i", name: "", name_en: "", phone: "" },
  fee_cents: 0, identity_confirmed: true, device_checked: true, consent: { complete: true, standing: {} }, csrf: "", server_time: "", ...more,
});

describe("the way", () => {
  it("leads to the first thing still to do", () => {
    expect(nextScreen(overview({ identity_confirmed: false, device_checked: false }))).toBe("identity");
    expect(nextScreen(overview({ device_checked: false }))).toBe("devices");
    expect(nextScreen(overview({ consent: { complete: false, standing: { treat: "undecided" } } }))).toBe("consent");
    expect(nextScreen(overview({ consent: { complete: false, standing: { treat: "refused" } } }))).toBe("refused");
    expect(nextScreen(overview())).toBe("live");
  });
  it("ends with the signing where the experts answer in writing, without a camera", () => {
    const unsigned = { device_checked: false, consent: { complete: false, standing: { treat: "undecided" as const } } };
    expect(nextScreen(overview(unsigned), false, true)).toBe("consent");
    expect(nextScreen(overview({ device_checked: false }), false, true)).toBe("written");
    const roomless = { consult: { ...overview().consult, in_writing: true } };
    expect(nextScreen(overview({ ...roomless, ...unsigned }))).toBe("consent");
    expect(nextScreen(overview(roomless))).toBe("written");
    expect(nextScreen(overview(roomless), true)).toBe("written");
    expect(nextScreen(overview({ consult: { ...roomless.consult, status: "closed" } }))).toBe("after");
    expect([signsInWriting("?written"), signsInWriting("?x=1"), signsInWriting("")]).toEqual([true, false, false]);
  });
  it("is early until the server says the room opens", () => {
    const at = (opens_at: string): boolean => { journey.overview = overview({ consult: { ...overview().consult, opens_at } }); return journey.early(); };
    expect(at(new Date(Date.now() + 60_000).toISOString())).toBe(true);
    expect(at(new Date(Date.now() - 60_000).toISOString())).toBe(false);
    expect(at("")).toBe(false);
  });
  it("days before one reads and signs without a camera, and is done", () => {
    const unsigned = { device_checked: false, consent: { complete: false, standing: { treat: "undecided" as const } } };
    expect(nextScreen(overview({ identity_confirmed: false, ...unsigned }), true)).toBe("identity");
    expect(nextScreen(overview(unsigned), true)).toBe("consent");
    expect(nextScreen(overview({ device_checked: false }), true)).toBe("ready");
    expect(nextScreen(overview({ device_checked: false }), false)).toBe("devices");
  });
  it("a decision is kept with its very text only", () => {
    const text = (sha: string) => ({ shown_sha256: sha, questions: [{ purpose: "treat" }, { purpose: "rec_av" }] }) as unknown as Presentation;
    expect(lay(text("a"))).toBe(false);
    draft.decisions.treat = true;
    expect(lay(text("a"))).toBe(true);
    expect(undecided()).toEqual(["rec_av"]);
    expect(lay(text("b"))).toBe(false);
    expect(undecided()).toEqual(["treat", "rec_av"]);
  });
  it("when and how it was decided goes with the text: languages changed, times, answers to the small question", () => {
    const text = (sha: string, locale: string) => ({ shown_sha256: sha, locale, questions: [{ purpose: "treat" }] }) as unknown as Presentation;
    forget();
    lay(text("a", "zh"));
    answered(1);
    answered(0);
    decided("treat", false);
    expect([draft.answers, draft.decisions, Object.keys(draft.decidedAt)]).toEqual([[1, 0], { treat: false }, ["treat"]]);
    lay(text("b", "en"));
    expect([draft.answers, draft.decisions, draft.decidedAt]).toEqual([[], {}, {}]);
    lay(text("a", "zh"));
    expect(draft.switches.map((one) => one.locale)).toEqual(["en", "zh"]);
    for (let n = 0; n < 9; n += 1) answered(n % 3);
    expect(draft.answers).toEqual([0, 1, 2, 0, 1, 2]);
    forget();
    expect([draft.text, draft.switches, draft.answers]).toEqual([null, [], []]);
  });
  it("a finished consult shows what came of it, whatever is undone", () => {
    const over = overview({ identity_confirmed: false });
    over.consult.status = "concluding";
    expect(nextScreen(over)).toBe("after");
  });
  it("reads only a plausible secret from the fragment", () => {
    expect(secretOf("#AbCdEfGhIjKlMnOpQrStUv")).toBe("AbCdEfGhIjKlMnOpQrStUv");
    expect([secretOf(""), secretOf("#main"), secretOf("#<script>alert(1)</script>")]).toEqual([null, null, null]);
  });
});

describe("reading evidence", () => {
  it("counts a section while half of it, or of the screen, is filled by it", () => {
    const tracker = new ReadingTracker();
    tracker.tick([{ key: "a", top: 0, height: 400 }, { key: "b", top: 400, height: 2000 }], 800, 250);
    tracker.tick([{ key: "a", top: -400, height: 400 }, { key: "b", top: 0, height: 2000 }], 800, 250);
    tracker.listened("b");
    expect(tracker.result(["a", "b", "c"], 22)).toEqual([
      { key: "a", shown_ms: 0, dwell_ms: 250, scrolled_percent: 100, font_px: 22, read_aloud: false },
      { key: "b", shown_ms: 0, dwell_ms: 500, scrolled_percent: 40, font_px: 22, read_aloud: true },
      { key: "c", shown_ms: 0, dwell_ms: 0, scrolled_percent: 0, font_px: 22, read_aloud: false },
    ]);
  });
  it("keeps the furthest point reached", () => {
    const tracker = new ReadingTracker();
    tracker.tick([{ key: "a", top: -200, height: 1000 }], 800, 250);
    tracker.tick([{ key: "a", top: 0, height: 1000 }], 800, 250);
    expect(tracker.result(["a"])[0]?.scrolled_percent).toBe(100);
  });
});

describe("network estimate", () => {
  it("judges in three words", () => {
    expect([judge(50, 5000), judge(50, 600), judge(450, 5000), judge(50, 100)]).toEqual(["good", "fair", "fair", "poor"]);
  });
  it("measures with a given clock, and says null when nothing answers", async () => {
    let now = 0;
    const estimate = await measureNetwork(async (size) => {
      now += 40 + size / 100; // 100 bytes per ms = 800 kbit/s
      return size;
    }, () => now);
    expect(estimate).toMatchObject({ verdict: "fair", rtt_ms: 40 });
    expect(estimate?.kbps).toBeGreaterThan(750);
    expect(await measureNetwork(async () => Promise.reject(new Error("down")))).toBeNull();
  });
});

describe("sound", () => {
  it("silence is 0, a loud tone fills the bar", () => {
    expect(loudness(new Uint8Array(64).fill(128))).toBe(0);
    expect(loudness(new Uint8Array(64).fill(255))).toBe(1);
  });
  it("long texts are read in short pieces, nothing lost", () => {
    const text = "一句话。".repeat(100);
    const parts = pieces(text);
    expect(Math.max(...parts.map((part) => part.length))).toBeLessThan(165);
    expect(parts.join("").replaceAll(" ", "")).toBe(text);
  });
});

describe("room words", () => {
  const seat = (id: string, more: Partial<SeatView>): SeatView => ({
    id, role: "family", display_name: id, institution: null, state: "admitted", online: true, publishing: ["mic", "camera"], muted: [], hand: false, quality: "good",
    consent: {}, recorded: false, ...more,
  });
  const room = (seats: SeatView[], speaker: string | null = null) => {
    const snapshot: Snapshot = {
      epoch: "e", seq: 1, me: { seat: "me", role: "patient", may: [], publish: [] }, consult: { id: "c", kind: "follow_up", status: "in_progress", starts_at: "", ends_at: "" },
      seats: [seat("me", { role: "patient" }), ...seats], recording: null, chat: [], speaker, server_time: "",
    };
    return fromSnapshot(snapshot, null, 0);
  };
  const t = (key: string, params: Record<string, unknown> = {}): string => `${key}${params.name ? `:${String(params.name)}` : ""}`;
  const state = (more: Partial<CallState>): CallState => ({
    link: "live", end: null, media: "connected", since: null, room: null, videoLimited: false, interruption: "none", streams: new Map(),
    local: { mic: { on: true, available: true, error: null }, camera: { on: true, available: true, error: null, facing: "user", several: false }, screen: { on: false } }, ...more,
  });

  it("shows the only doctor large even while another speaks, a shared screen before all", () => {
    const doctor = seat("d", { role: "attending" });
    expect(mainPicture(room([seat("f", {}), doctor], "f"))?.seat.id).toBe("d");
    expect(mainPicture(room([seat("f", { publishing: ["screen"] }), doctor]))).toMatchObject({ seat: { id: "f" }, source: "screen" });
  });
  it("follows the speaker in a panel, shows nobody when alone", () => {
    const panel = [seat("a", { role: "expert" }), seat("b", { role: "expert" })];
    expect(mainPicture(room(panel, "b"))?.seat.id).toBe("b");
    expect(mainPicture(room([]))).toBeNull();
  });
  it("tells whose network it is", () => {
    const doctor = seat("d", { role: "attending", online: false });
    const main = { seat: doctor, source: "camera" as const };
    expect(pictureWords(state({ room: room([doctor]) }), main, null, t)).toBe("patient:live.doctorOffline:d");
    expect(pictureWords(state({ link: "reconnecting", room: room([doctor]) }), main, null, t)).toBe("");
    expect(ownWords(state({ link: "reconnecting" }), t)).toBe("patient:live.reconnecting");
    expect(ownWords(state({ videoLimited: true }), t)).toBe("patient:live.limited");
    expect(ownWords(state({}), t)).toBe("");
  });
});
