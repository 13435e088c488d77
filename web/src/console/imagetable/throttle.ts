/** At most one call per `every` ms; the last one always comes through. */
export class Throttle<T> {
  private timer: ReturnType<typeof setTimeout> | undefined;
  private last: { value: T } | null = null;
  private at = -Infinity;

  constructor(private readonly every: number, private readonly send: (value: T) => void, private readonly now: () => number = () => performance.now()) {}

  push(value: T): void {
    this.last = { value };
    if (this.timer !== undefined) return;
    const wait = this.at + this.every - this.now();
    if (wait <= 0) this.flush();
    else this.timer = setTimeout(() => this.flush(), wait);
  }

  /** What waits goes out now. */
  flush(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    const held = this.last;
    this.last = null;
    if (!held) return;
    this.at = this.now();
    this.send(held.value);
  }

  stop(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    this.last = null;
  }
}
