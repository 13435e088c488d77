/** Deliveries in the browser's database (IndexedDB keeps files as they are), so that a closed page loses none. */
import type { Delivery, Keep } from "./uploads";

const NAME = "huizhen-uploads";
const STORE = "deliveries";

export class KeptInBrowser implements Keep {
  private opened: Promise<IDBDatabase> | null = null;

  all(): Promise<Delivery[]> {
    return this.ask("readonly", (store) => store.getAll() as IDBRequest<Delivery[]>);
  }

  async put(delivery: Delivery): Promise<void> {
    await this.ask("readwrite", (store) => store.put(delivery));
  }

  async remove(id: string): Promise<void> {
    await this.ask("readwrite", (store) => store.delete(id));
  }

  private async ask<T>(mode: IDBTransactionMode, request: (store: IDBObjectStore) => IDBRequest<T>): Promise<T> {
    const database = await (this.opened ??= open());
    return new Promise<T>((resolve, reject) => {
      const transaction = database.transaction(STORE, mode);
      const asked = request(transaction.objectStore(STORE));
      transaction.oncomplete = () => resolve(asked.result);
      transaction.onerror = transaction.onabort = () => reject(transaction.error ?? new Error("not kept"));
    });
  }
}

function open(): Promise<IDBDatabase> {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open(NAME, 1);
    request.onupgradeneeded = () => request.result.createObjectStore(STORE, { keyPath: "id" });
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error ?? new Error("not opened"));
  });
}
