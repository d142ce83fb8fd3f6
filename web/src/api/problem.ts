/** An answer that is no success; `detail` is written for people. */
export class Problem extends Error {
  constructor(
    readonly status: number,
    readonly kind: string,
    detail: string,
  ) {
    super(detail);
  }
}

/** The problem of an answer, whether its body is problem+json or something else. */
export async function problemOf(response: Response): Promise<Problem> {
  const text = await response.text();
  try {
    const body = JSON.parse(text) as { type?: string; detail?: string };
    const kind = (body.type ?? "").split(":").at(-1) ?? "";
    return new Problem(response.status, kind, body.detail ?? response.statusText);
  } catch {
    return new Problem(response.status, "", response.statusText || `status ${response.status}`);
  }
}

/** What went wrong, in one line. */
export function explain(error: unknown): string {
  if (error instanceof Problem && error.status === 401) return "The service asks for a key.";
  if (error instanceof Problem && error.status === 403) {
    return `This key may not do that: ${error.message}`;
  }
  if (error instanceof Problem) return error.message;
  if (error instanceof TypeError) return "The service does not answer.";
  return error instanceof Error ? error.message : String(error);
}
