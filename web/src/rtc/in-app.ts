/** Which browser this is, as far as the advice to give depends on it. */
export type InApp = "wechat" | "wecom" | "qq" | "alipay" | "dingtalk" | "weibo" | "douyin" | "other" | null;
export type Family = "ios" | "android" | "desktop";
export type Engine = "safari" | "chrome" | "firefox" | "edge" | "other";

const APPS: readonly [RegExp, Exclude<InApp, null>][] = [
  [/wxwork\//i, "wecom"],
  [/MicroMessenger\//i, "wechat"],
  [/AlipayClient\//i, "alipay"],
  [/DingTalk\//i, "dingtalk"],
  [/Weibo/i, "weibo"],
  [/\bQQ\/[\d.]+/, "qq"],
  [/aweme|BytedanceWebview|ToutiaoMicroApp/i, "douyin"],
  [/FBA[NV]\/|Instagram|Line\/|TikTok|; wv\)/i, "other"],
];

export function inApp(agent: string = navigator.userAgent): InApp {
  for (const [pattern, name] of APPS) if (pattern.test(agent)) return name;
  return null;
}

export function family(agent: string = navigator.userAgent, touchPoints: number = navigator.maxTouchPoints ?? 0): Family {
  if (/iPhone|iPod|iPad/i.test(agent) || (/Macintosh/i.test(agent) && touchPoints > 1)) return "ios"; // iPads call themselves Macs
  return /Android|HarmonyOS/i.test(agent) ? "android" : "desktop";
}

export function engine(agent: string = navigator.userAgent): Engine {
  if (/Edg(A|iOS)?\//.test(agent)) return "edge";
  if (/Firefox\/|FxiOS\//.test(agent)) return "firefox";
  if (/Chrome\/|CriOS\//.test(agent)) return "chrome";
  if (/Safari\//.test(agent)) return "safari";
  return "other";
}
