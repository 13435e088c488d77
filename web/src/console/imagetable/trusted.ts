/** The console's workers are scripts of our own build, and nothing else may become one (Trusted Types, policy `workers`). */
interface Factory { createPolicy(name: string, rules: { createScriptURL(url: string): string }): { createScriptURL(url: string): unknown } }

const OURS = /^\/static\/assets\/[^/]*worker[^/]*$/;
let policy: { createScriptURL(url: string): unknown } | null = null;

function checked(url: string): string {
  const { origin, pathname } = new URL(url, location.href);
  if (origin !== location.origin || !OURS.test(pathname)) throw new TypeError("not a worker of ours");
  return url;
}

export function startWorker(url: string, type: WorkerType): Worker {
  const factory = (globalThis as { trustedTypes?: Factory }).trustedTypes;
  policy ??= factory?.createPolicy("workers", { createScriptURL: checked }) ?? { createScriptURL: checked };
  return new Worker(policy.createScriptURL(url) as string, { type });
}
