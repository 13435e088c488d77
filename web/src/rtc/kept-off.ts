/** What a person has turned off in a call stays off when their page loads anew, for as long as the tab lives. */
export type Own = "mic" | "camera";

export class KeptOff {
  private readonly key: string;

  /** `scope`: the consult or seat; nothing of it is personal. */
  constructor(scope: string) {
    this.key = `hz-off:${scope}`;
  }

  has(source: Own): boolean {
    return this.read().includes(source);
  }

  set(source: Own, off: boolean): void {
    const left = this.read().filter((one) => one !== source);
    try {
      sessionStorage.setItem(this.key, [...left, ...(off ? [source] : [])].join(" "));
    } catch {
      // storage is barred: the next load asks anew
    }
  }

  private read(): string[] {
    try {
      return (sessionStorage.getItem(this.key) ?? "").split(" ").filter(Boolean);
    } catch {
      return [];
    }
  }
}
