/** The one clock all tracks follow. Pure: the caller says what time it is. */
export class PlayerClock {
  private base = 0; // recording time at `since`
  private since = 0; // caller's milliseconds
  private running = false;
  private speed = 1;

  constructor(readonly length: number) {}

  at(now: number): number {
    const moved = this.running ? (now - this.since) * this.speed : 0;
    return Math.min(this.length, Math.max(0, this.base + moved));
  }

  get playing(): boolean {
    return this.running;
  }

  get rate(): number {
    return this.speed;
  }

  play(now: number): void {
    this.jump(this.at(now) >= this.length ? 0 : this.at(now), now);
    this.running = true;
  }

  pause(now: number): void {
    this.jump(this.at(now), now);
    this.running = false;
  }

  jump(t: number, now: number): void {
    this.base = Math.min(this.length, Math.max(0, t));
    this.since = now;
  }

  setRate(rate: number, now: number): void {
    this.jump(this.at(now), now);
    this.speed = rate;
  }
}
