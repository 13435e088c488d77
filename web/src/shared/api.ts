/** The one HTTP client of both pages: operation ids, the CSRF header, RFC 9457 problems as ApiProblem. */
import { operationId } from "./operation";

export const REPEATED = "operation.repeated";
export const UNREACHABLE = "network.unreachable";
export const STOPPED = "upload.stopped";

/** A coded refusal of the server, or `network.unreachable` (status 0) when no answer came. */
export class ApiProblem extends Error {
  readonly code: string;
  readonly status: number;
  readonly reasons: readonly string[];
  readonly field: string | null;
  /** The whole problem document, for members beyond RFC 9457 such as `ask`. */
  readonly body: Readonly<Record<string, unknown>>;

  constructor(status: number, code: string, body: Record<string, unknown> = {}) {
    super(code);
    this.name = "ApiProblem";
    this.status = status;
    this.code = code;
    this.body = body;
    this.reasons = Array.isArray(body.reasons) ? body.reasons.map(String) : [];
    this.field = typeof body.field === "string" ? body.field : null;
  }
}

export interface ApiOptions {
  /** Milliseconds until the request is given up. */
  timeout?: number;
  /** Resends of a mutation that got no answer; the same operation id makes them harmless. */
  resends?: number;
}

const DEFAULTS: Required<ApiOptions> = { timeout: 15_000, resends: 1 };

export class Api {
  private csrf: string | null = null;
  private readonly send: typeof fetch;

  constructor(send: typeof fetch = (input, init) => fetch(input, init)) {
    this.send = send;
  }

  setCsrf(token: string | null | undefined): void {
    this.csrf = token ?? null;
  }

  /** Headers of a request that changes something and is not sent from here (tus). */
  changing(): Record<string, string> {
    return { "X-Operation": operationId(), ...(this.csrf ? { "X-CSRF": this.csrf } : {}) };
  }

  get<T>(path: string, query: Record<string, string | number | undefined> = {}, options: ApiOptions = {}): Promise<T> {
    const pairs = Object.entries(query).filter((pair): pair is [string, string | number] => pair[1] !== undefined);
    const text = new URLSearchParams(pairs.map(([k, v]) => [k, String(v)])).toString();
    return this.call<T>("GET", text ? `${path}?${text}` : path, undefined, { resends: 0, ...options });
  }

  post<T>(path: string, body: object = {}, options: ApiOptions = {}): Promise<T> {
    return this.mutate<T>("POST", path, body, options);
  }

  put<T>(path: string, body: object = {}, options: ApiOptions = {}): Promise<T> {
    return this.mutate<T>("PUT", path, body, options);
  }

  /** A file as the whole body, with progress (0 to 1) and a way to stop; fetch tells nothing while it sends. */
  upload<T>(path: string, file: Blob & { name?: string }, progress: (share: number) => void, signal?: AbortSignal, more: Record<string, string> = {}): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const request = new XMLHttpRequest();
      const silent = (): void => reject(new ApiProblem(0, signal?.aborted ? STOPPED : UNREACHABLE));
      request.open("POST", path);
      request.setRequestHeader("Accept", "application/json");
      request.setRequestHeader("Content-Type", file.type || "application/octet-stream");
      request.setRequestHeader("X-Operation", operationId());
      request.setRequestHeader("X-File-Name", encodeURIComponent(file.name ?? ""));
      if (this.csrf) request.setRequestHeader("X-CSRF", this.csrf);
      for (const [name, value] of Object.entries(more)) request.setRequestHeader(name, value);
      request.upload.onprogress = (event) => progress(event.lengthComputable && event.total ? event.loaded / event.total : 0);
      request.onerror = request.onabort = request.ontimeout = silent;
      request.onload = () => {
        try {
          resolve(this.read<T>({ ok: request.status >= 200 && request.status < 300, status: request.status }, request.responseText));
        } catch (error) {
          reject(error instanceof Error ? error : new ApiProblem(request.status, "internal.error"));
        }
      };
      signal?.addEventListener("abort", () => request.abort());
      request.send(file);
    });
  }

  /** The bytes of an attachment, to be shown from memory. */
  async bytes(path: string): Promise<Blob> {
    let response: Response;
    try {
      response = await this.send(path, { credentials: "same-origin", cache: "no-store" });
    } catch {
      throw new ApiProblem(0, UNREACHABLE);
    }
    if (!response.ok) this.read(response, await response.text());
    return response.blob();
  }

  private mutate<T>(method: string, path: string, body: object, options: ApiOptions): Promise<T> {
    const op = "op" in body && typeof body.op === "string" ? body.op : operationId();
    return this.call<T>(method, path, JSON.stringify({ ...body, op }), options);
  }

  private async call<T>(method: string, path: string, body: string | undefined, options: ApiOptions): Promise<T> {
    const { timeout, resends } = { ...DEFAULTS, ...options };
    for (let attempt = 0; ; attempt += 1) {
      try {
        return await this.once<T>(method, path, body, timeout);
      } catch (error) {
        const silent = error instanceof ApiProblem && error.code === UNREACHABLE;
        if (!silent || attempt >= resends) throw error;
      }
    }
  }

  private async once<T>(method: string, path: string, body: string | undefined, timeout: number): Promise<T> {
    const abort = new AbortController();
    const timer = setTimeout(() => abort.abort(), timeout);
    const headers: Record<string, string> = { Accept: "application/json" };
    if (body !== undefined) headers["Content-Type"] = "application/json";
    if (this.csrf && method !== "GET") headers["X-CSRF"] = this.csrf;
    try {
      const response = await this.send(path, {
        method, headers, credentials: "same-origin", cache: "no-store", signal: abort.signal,
        ...(body === undefined ? {} : { body }),
      });
      const text = await response.text();
      return this.read<T>(response, text);
    } catch (error) {
      if (error instanceof ApiProblem) throw error;
      throw new ApiProblem(0, UNREACHABLE);
    } finally {
      clearTimeout(timer);
    }
  }

  private read<T>(response: Pick<Response, "ok" | "status">, text: string): T {
    let data: unknown = null;
    try {
      data = text ? JSON.parse(text) : null;
    } catch {
      if (response.ok) throw new ApiProblem(response.status, "internal.error");
    }
    if (response.ok) {
      const csrf = (data as { csrf?: unknown } | null)?.csrf;
      if (typeof csrf === "string") this.csrf = csrf;
      return data as T;
    }
    const problem = typeof data === "object" && data !== null ? (data as Record<string, unknown>) : {};
    const code = typeof problem.code === "string" ? problem.code : `http.${response.status}`;
    throw new ApiProblem(response.status, code, problem);
  }
}

/** The code of anything thrown: coded refusals keep theirs. */
export function codeOf(error: unknown): string {
  return error instanceof ApiProblem ? error.code : "internal.error";
}

export const api = new Api();
