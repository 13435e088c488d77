/** A client-made operation id: 32 characters of [0-9a-f], so that a resend changes nothing twice. */
export function operationId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (b) => b.toString(16).padStart(2, "0")).join("");
}
