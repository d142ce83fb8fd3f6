import { key } from "./key";
import { request } from "./request";

const KEPT = 4000;
const AT_ONCE = 8;

const addresses = new Map<string, Promise<string | null>>();
const waiting: (() => void)[] = [];
let running = 0;

/** An object URL of a picture of the service, or null where there is none; fetched with the key. */
export function picture(path: string): Promise<string | null> {
  // What one key may not see another may.
  const name = `${key.value} ${path}`;
  const known = addresses.get(name);
  if (known) return known;
  const fetched = queued(() => fetchPicture(path));
  addresses.set(name, fetched);
  // What failed for a passing reason may be asked for again.
  void fetched.then((url) => { if (url === null) setTimeout(() => addresses.delete(name), 5000); });
  forgetOldest();
  return fetched;
}

export function thumbnailPath(pointId: string): string {
  return `thumbnails/${encodeURIComponent(pointId)}`;
}

async function fetchPicture(path: string): Promise<string | null> {
  try {
    return URL.createObjectURL(await (await request(path)).blob());
  } catch {
    return null;
  }
}

async function queued<T>(work: () => Promise<T>): Promise<T> {
  if (running >= AT_ONCE) await new Promise<void>((resolve) => waiting.push(resolve));
  running++;
  try {
    return await work();
  } finally {
    running--;
    waiting.shift()?.();
  }
}

function forgetOldest(): void {
  while (addresses.size > KEPT) {
    const [path, url] = addresses.entries().next().value!;
    addresses.delete(path);
    void url.then((address) => { if (address) URL.revokeObjectURL(address); });
  }
}
