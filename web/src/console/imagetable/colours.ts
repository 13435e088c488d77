/** Whose hand and marks have which colour: imaging/pointers.py, word for word. */
export const COLOURS = ["#56b4e9", "#e69f00", "#009e73", "#cc79a7", "#f0e442", "#d55e00", "#0072b2", "#999999"] as const;

/** Ids are hexadecimal, so that the order of text is the same here and there. */
export function colourAmong(person: string, people: Iterable<string>): string {
  const order = [...new Set([...people, person])].sort();
  return COLOURS[order.indexOf(person) % COLOURS.length] ?? COLOURS[0];
}
