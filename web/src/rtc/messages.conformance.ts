/**
 * Compile-time proof that what we read and send is what the server's models say (messages.gen.ts is generated from
 * them). Nothing here runs. Names of roles, states and codes are compared as strings: the server leaves them open.
 */
import type { Demand, DirectEvent, RoomEvent, Snapshot } from "../shared/protocol";
import type * as Server from "./messages.gen";
import type { Sample } from "./stats";

type Strings<T> = T extends string ? string : T extends readonly (infer U)[] ? Strings<U>[] : T extends object ? { [K in keyof T]: Strings<T[K]> } : T;
type Fits<Told extends Known, Known> = [Told, Known];

export type Read =
  | Fits<Strings<Server.SnapshotView>, Strings<Snapshot>>
  | Fits<Strings<Server.RoomTold>, Strings<RoomEvent>>
  | Fits<Strings<Server.DirectTold>, Strings<DirectEvent>>;

export type Sent = Fits<Sample, Server.Stats> | Fits<Demand, Server.ShownVideo>;

/** Event types neither side may have alone. */
type Same<A, B> = [A] extends [B] ? ([B] extends [A] ? true : never) : never;
export const events: [Same<RoomEvent["type"], Server.RoomTold["type"]>, Same<DirectEvent["type"], Server.DirectTold["type"]>] = [true, true];
