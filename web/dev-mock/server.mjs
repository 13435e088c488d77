// A stand-in for the server while working on the pages: one patient seat, no media. Development only.
//   npm run build && npm run dev:mock -- 8099
//   then http://127.0.0.1:8099/p#mock-secret-0000000000 and GET /mock/{admit,record,chat,quality,end,reset}
import { randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import { Server } from "socket.io";

const port = Number(process.argv[2] ?? 8099);
const root = process.argv[3] ?? fileURLToPath(new URL("../../huizhen/static/", import.meta.url));
const types = { ".html": "text/html; charset=utf-8", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml" };
const csp =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:; font-src 'self'; connect-src 'self' ws: wss:; " +
  "base-uri 'none'; form-action 'self'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types vue";
const iso = (ms = 0) => new Date(Date.now() + ms).toISOString();
const me = "a".repeat(32);
const doctor = "d".repeat(32);

function fresh() {
  return {
    role: "patient", redeemed: false, identity_confirmed: false, device_checked: false, standing: { treat: "undecided", rec_av: "undecided" },
    status: "waiting", seat: "waiting", recording: null, chat: [], ahead: 2, seq: 1, epoch: "e1", note: false,
  };
}
let state = fresh();

const words = {
  zh: {
    title: "互联网诊疗知情同意书",
    sections: [
      ["provider", "由谁提供", "本次线上诊疗由江城市第一医院提供，接诊医生李卫国，执业证号 110420000012345，诊疗科目为内科。"],
      ["scope", "适用范围", "线上诊疗只适用于部分常见病、慢性病的复诊。如果医生认为不适合线上诊疗，会终止并建议您到医院就诊。"],
      ["risks", "局限与风险", "线上诊疗不能触诊，也可能因为网络中断而延迟；医生的判断可能受到影响。紧急情况请立即拨打 120 或到急诊就诊。"],
      ["recording", "录音录像", "如果您同意，诊疗过程会被录音录像并加密保存三年。每次查看都需要申请和批准，并留下记录。"],
      ["rights", "您的权利", "您可以查阅、复制、更正您的资料，可以随时撤回同意，也可以投诉，电话 027-8888 6666。"],
    ],
    questions: [
      { purpose: "treat", question: "您是否同意接受本次线上诊疗？", if_refused: "线上诊疗不能进行，您可以改为到医院就诊。", blocks_care: true },
      { purpose: "rec_av", question: "您是否同意对本次诊疗录音录像？", if_refused: "诊疗照常进行，只是不录音录像。", blocks_care: false },
    ],
  },
  en: {
    title: "Consent to online treatment",
    sections: [
      ["provider", "Who treats you", "This online visit is provided by Jiangcheng First Hospital. Your doctor is Li Weiguo, licence 110420000012345, internal medicine."],
      ["scope", "What it is for", "Online visits are for follow-up of some common and chronic diseases. If the doctor finds it unsuitable, it ends and you are advised to come in person."],
      ["risks", "Limits and risks", "The doctor cannot touch or examine you, and the network may fail, so a judgement can be delayed or wrong. In an emergency call 120 or go to the emergency department."],
      ["recording", "Recording", "If you agree, sound and video are recorded and kept encrypted for three years. Every viewing must be requested and granted and is put on record."],
      ["rights", "Your rights", "You can read, copy and correct your data, withdraw at any time, and complain: 027-8888 6666."],
    ],
    questions: [
      { purpose: "treat", question: "Do you agree to be treated online this time?", if_refused: "The online visit cannot take place; you can come to the hospital instead.", blocks_care: true },
      { purpose: "rec_av", question: "Do you agree that sound and video are recorded?", if_refused: "The visit goes on as planned, without a recording.", blocks_care: false },
    ],
  },
};

function overview() {
  return {
    seat: { id: me, role: state.role, display_name: state.role === "patient" ? "张*明" : "张小红", state: state.seat, relation: null },
    patient: { masked_name: "张*明" },
    consult: { id: "c".repeat(32), kind: "follow_up", status: state.status, starts_at: iso(600_000), ends_at: iso(2_400_000), opens_at: iso(-3_000_000), reason: "高血压复诊" },
    doctor: {
      name: "李卫国", name_en: "Li Weiguo", title: "主任医师", licence_number: "110420000012345", department: "03",
      department_label: { zh: "内科", en: "Internal medicine" },
    },
    institution: { id: "i".repeat(32), name: "江城市第一医院", name_en: "Jiangcheng First Hospital", phone: "027-8888 6666", time_zone: "Asia/Shanghai" },
    fee_cents: 2500, identity_confirmed: state.identity_confirmed, device_checked: state.device_checked,
    consent: { complete: state.standing.treat === "permitted" && state.standing.rec_av !== "undecided", standing: state.standing },
    csrf: "mock", server_time: iso(),
  };
}

function seatView(id, role, name, more = {}) {
  return {
    id, role, display_name: name, institution: "江城市第一医院", state: "admitted", online: true, publishing: ["mic", "camera"], muted: [], hand: false,
    quality: "good", consent: { treat: "permitted", rec_av: "permitted" }, recorded: state.recording?.state === "active", waiting_since: null, ...more,
  };
}

function snapshot() {
  const mine = seatView(me, state.role, "张*明", { state: state.seat, consent: state.standing });
  const inside = state.seat === "admitted";
  const seats = inside ? [mine, seatView(doctor, "attending", "李卫国"), ...(state.family ? [seatView("f".repeat(32), "family", "张小红")] : [])] : [mine];
  return {
    epoch: state.epoch, seq: state.seq, consult: overview().consult, me: { seat: me, role: state.role, may: ["chat"], publish: ["mic", "camera", "screen"] }, seats,
    recording: inside ? state.recording : null, chat: state.chat, speaker: null, server_time: iso(), queue: inside ? null : queue(),
  };
}
const queue = () => ({ position: state.ahead + 1, ahead: state.ahead, estimate_minutes: state.ahead * 8 });

const after = () => ({
  status: state.status, ended_at: iso(),
  note: state.note ? { complaint: "头晕两周，血压波动", findings: "家庭自测血压 150/95 mmHg", diagnosis: "高血压病 2 级", advice: "氨氯地平 5 mg 每日一次；两周后复诊；低盐饮食。", signed_at: iso(), author: "李卫国" } : null,
  consents: [{ id: "1", action: "signed", permitted: ["treat", "rec_av"], refused: [], recorded_at: iso(-3_600_000), digest: "9f2c".repeat(16), title: words.zh.title, paper: true }],
  viewers: state.note ? [{ when: iso(), who_role: "archivist", institution: "江城市第一医院", what: "view_recording" }] : [],
  institution: overview().institution, recording: { exists: true, state: "sealed", kept_until: iso(3 * 365 * 86_400_000), disposed_at: null },
  may_ask_hold: true, hold_requests: [],
});

const routes = {
  "POST /api/links/redeem": (body) => {
    if (body.secret.includes("expired")) return [410, { code: "link.expired" }];
    if (body.secret.includes("factor") && body.second_factor !== "123X") return [401, { code: "link.second_factor", ask: "id_last4" }];
    state.redeemed = true;
    return [200, { csrf: "mock", seat: overview() }];
  },
  "GET /api/seat": () => (state.redeemed ? [200, overview()] : [401, { code: "session.signed_out" }]),
  "POST /api/seat/identity": () => ((state.identity_confirmed = true), [200, overview()]),
  "POST /api/seat/device-check": () => ((state.device_checked = true), [200, overview()]),
  "GET /api/seat/consent": (_, url) => {
    const text = words[url.searchParams.get("locale") === "en" ? "en" : "zh"];
    const sections = text.sections.map(([key, title, body]) => ({ key, title, body }));
    return [200, { template_id: text.title, key: "visit.patient", version: 1, locale: url.searchParams.get("locale"), title: text.title, sections, questions: text.questions, shown_sha256: "0".repeat(64), signer: { expected_name_masked: "张*明", capacity: "self" } }];
  },
  "POST /api/seat/consent": (body) => {
    if (body.typed_name === "错") return [422, { code: "consent.signature_invalid" }];
    for (const [purpose, yes] of Object.entries(body.decisions)) state.standing[purpose] = yes ? "permitted" : "refused";
    state.lastSigning = body;
    return [200, overview()];
  },
  "POST /api/seat/consent/withdraw": () => ((state.standing.rec_av = "withdrawn"), [200, overview()]),
  "POST /api/seat/ticket": () => [200, { ticket: "mock", expires_in: 60 }],
  "GET /api/seat/after": () => [200, after()],
  "GET /api/reasons": () => [200, {}],
  "GET /mock/state": () => [200, state],
  "GET /mock/reset": (_, url) => ((state = { ...fresh(), ...JSON.parse(url.searchParams.get("with") ?? "{}") }), [200, {}]),
  "GET /mock/admit": () => {
    state.seat = "admitted";
    state.status = "in_progress";
    state.seq += 1;
    io.emit("direct", { type: "admitted", snapshot: snapshot() });
    return [200, {}];
  },
  "GET /mock/room": (_, url) => (room(JSON.parse(url.searchParams.get("event"))), [200, {}]),
  "GET /mock/direct": (_, url) => (io.emit("direct", JSON.parse(url.searchParams.get("event"))), [200, {}]),
  "GET /mock/drop": () => (io.disconnectSockets(true), [200, {}]),
};

function room(event) {
  state.seq += 1;
  if (event.type === "recording") state.recording = event.recording;
  io.emit("room", { epoch: state.epoch, seq: state.seq, ...event });
}

async function file(path, response) {
  try {
    const data = await readFile(join(root, normalize(path)));
    response.writeHead(200, { "Content-Type": types[extname(path)] ?? "application/octet-stream", "Content-Security-Policy": csp });
    response.end(data);
  } catch {
    response.writeHead(404).end();
  }
}

const http = createServer(async (request, response) => {
  const url = new URL(request.url, "http://mock");
  if (url.pathname === "/p") return file("patient.html", response);
  if (url.pathname.startsWith("/static/")) return file(url.pathname.slice(8), response);
  if (url.pathname === "/api/probe") return response.writeHead(200).end(randomBytes(Math.min(1e6, Number(url.searchParams.get("size")))));
  let text = "";
  for await (const chunk of request) text += chunk;
  const [status, body] = routes[`${request.method} ${url.pathname}`]?.(text ? JSON.parse(text) : {}, url) ?? [404, { code: "http.404" }];
  response.writeHead(status, { "Content-Type": status < 300 ? "application/json" : "application/problem+json" });
  response.end(JSON.stringify(body));
});

const io = new Server(http);
io.on("connection", (socket) => {
  socket.on("join", (_, ack) => {
    if (state.refuseJoins) return socket.disconnect(true);
    ack({ ok: true, snapshot: snapshot() });
  });
  socket.on("leave", (_, ack) => ack({ ok: true }));
  socket.on("media.offer", (_, ack) => ack({ ok: false, code: "session.offline" }));
  socket.on("chat", (body, ack) => {
    ack({ ok: true });
    room({ type: "chat", message: { id: randomBytes(16).toString("hex"), seat: me, text: body.text, sent_at: iso() } });
  });
  socket.on("consent.withdraw", (_, ack) => {
    ack({ ok: true });
    state.standing.rec_av = "withdrawn";
    room({ type: "consent", seat: me, standing: { rec_av: "withdrawn" } });
    room({ type: "recording", recording: { ...state.recording, state: "finalizing", reason: "withdrawn" } });
  });
});
http.listen(port, "127.0.0.1", () => console.log(`mock on http://127.0.0.1:${port}/p#mock-secret-0000000000`));
