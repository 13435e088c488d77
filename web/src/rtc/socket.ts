/** The one place that knows socket.io-client. */
import { io } from "socket.io-client";

/** What a Session needs of a socket; tests give their own. */
export interface Wire {
  on(event: "connect", listener: () => void): unknown;
  on(event: "connect_error" | "disconnect", listener: (reason: unknown) => void): unknown;
  on(event: "room" | "direct", listener: (body: never) => void): unknown;
  /** The ack, or a rejection after `timeout` ms or when the socket goes. */
  ask(event: string, body: object, timeout: number): Promise<unknown>;
  tell(event: string, body: object): void;
  close(): void;
}

export type Connect = (ticket: string) => Wire;

export const connectSocketIo: Connect = (ticket) => {
  const socket = io({
    auth: { ticket },
    transports: ["websocket", "polling"],
    tryAllTransports: true,
    reconnection: false, // the Session's own policy: each attempt needs a fresh ticket
    forceNew: true,
    timeout: 6000,
  });
  return {
    on: (event: string, listener: (body: never) => void) => socket.on(event, listener as never),
    ask: (event, body, timeout) => socket.timeout(timeout).emitWithAck(event, body) as Promise<unknown>,
    tell: (event, body) => {
      if (socket.connected) socket.emit(event, body);
    },
    close: () => {
      socket.removeAllListeners();
      socket.close();
    },
  };
};
