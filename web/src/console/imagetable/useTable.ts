/** The shared view of this consult for Vue: alone before the call, with the room while in it. */
import { onUnmounted, shallowRef, watch, type Ref, type ShallowRef } from "vue";
import type { Call } from "@/rtc/call";
import { admitted } from "@/rtc/room-state";
import type { Document, View } from "./document";
import { SharedTable, SoloLine, type Pointer } from "./shared-table";

const PRESIDING = new Set(["chair", "inviting", "attending"]); // signaling/imagetable.py

/** What a page shows of the table now. */
export interface TableState {
  readonly document: Document; readonly view: View; readonly leads: boolean; readonly apart: boolean;
  readonly pointers: readonly Pointer[]; readonly refusal: string;
}

function stateOf(table: SharedTable): TableState {
  const { document, view, leads, apart, pointers, refusal } = table;
  return { document, view, leads, apart, pointers: [...pointers.values()], refusal };
}

export interface UsedTable {
  table: ShallowRef<SharedTable>;
  state: ShallowRef<TableState>;
  /** Whether a room is behind it. */
  together: ShallowRef<boolean>;
}

export function useTable(call: Ref<Call | null>, seat: Ref<string | null>, role: Ref<string>): UsedTable {
  const together = shallowRef(false);
  const table = shallowRef(alone());
  const state = shallowRef(stateOf(table.value));
  let undo: (() => void)[] = [];

  function alone(): SharedTable {
    const person = { id: seat.value ?? "", presides: true };
    const made = new SharedTable(new SoloLine(person), person);
    void made.online();
    return made;
  }

  /** What was open stays open: brought to a table where nothing lies yet, or looked at alone when the call is over. */
  function carry(made: SharedTable, former: View): void {
    const { view, leader } = made.document;
    if (former.series && !view.series && !leader && table.value === made) made.move({ kind: "show", series: former.series, at: former.at });
  }

  function use(made: SharedTable, room: boolean): void {
    table.value.close();
    table.value = made;
    together.value = room;
    state.value = stateOf(made);
    undo.push(made.subscribe(() => { state.value = stateOf(made); }));
  }

  function leave(): void {
    for (const each of undo.splice(0)) each();
  }

  function join(live: Call): void {
    const former = state.value.view;
    const person = { id: seat.value ?? "", presides: PRESIDING.has(role.value) };
    const made = new SharedTable({ ask: live.table, point: live.point }, person);
    use(made, true);
    undo.push(live.onTable((told) => (told.type === "table" ? made.hear(told) : made.hearPointer(told))));
    let link = live.state.link;
    undo.push(live.subscribe((now) => {
      if (now.link === "live" && link !== "live") void made.online();
      link = now.link;
    }));
    void made.online().then(() => carry(made, former));
  }

  function follow(): void {
    const live = call.value;
    const inside = live !== null && seat.value !== null && live.state.link !== "ended" && admitted(live.state.room);
    if (inside === together.value && undo.length > 0) return;
    leave();
    if (inside && live) join(live);
    else {
      const former = state.value.view;
      const made = alone();
      use(made, false);
      carry(made, former);
    }
    if (live) undo.push(live.subscribe(() => follow()));
  }

  watch([call, seat], () => { leave(); together.value = false; follow(); }, { immediate: true });
  onUnmounted(() => { leave(); table.value.close(); });
  return { table, state, together };
}
