import { key, refuseKey } from "./key";
import { problemOf } from "./problem";

/** Answers a request with the key of this tab; throws a Problem when it is refused. */
export async function request(path: string, init: RequestInit = {}): Promise<Response> {
  const headers = new Headers(init.headers);
  const sent = key.value;
  if (sent) headers.set("Authorization", `Bearer ${sent}`);
  const response = await fetch(path, { ...init, headers });
  if (response.status === 401) refuseKey(sent);
  if (!response.ok) throw await problemOf(response);
  return response;
}

export async function getJson<T>(path: string): Promise<T> {
  return (await request(path, { headers: { Accept: "application/json" } })).json() as Promise<T>;
}

export async function postJson<T>(
  path: string,
  body: unknown,
  headers: Record<string, string> = {},
): Promise<T> {
  const response = await request(path, {
    method: "POST",
    headers: { "Content-Type": "application/json", ...headers },
    body: JSON.stringify(body),
  });
  return response.json() as Promise<T>;
}
