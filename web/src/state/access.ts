import { signal } from "@preact/signals";
import { getJson } from "../api/request";
import type { KeyFacts, Scope } from "../api/shapes";

/** What the key of this tab is good for; null until the service has said so. */
export const access = signal<KeyFacts | null>(null);

export async function askAccess(): Promise<void> {
  try {
    access.value = await getJson<KeyFacts>("key");
  } catch {
    access.value = null;
  }
}

const USES: Record<Scope, string> = {
  predict: "see inputs and try some",
  feedback: "label",
  labels: "use new names",
  admin: "let it learn, accept labels or change versions",
};

/** Why this key may not do what needs a scope, in a sentence; null where it may.
 *
 * Until the service has said what the key is good for nothing is refused here; the service refuses what it must.
 */
export function refusal(scope: Scope): string | null {
  const facts = access.value;
  if (!facts || facts.scopes.includes(scope)) return null;
  return `The key of ${facts.owner} may not ${USES[scope]}: it lacks the scope ${scope}.`;
}

/** Why this key may not give a name, which may be new; null where it may. */
export function refusalOfName(isNew: boolean): string | null {
  return refusal("feedback") ?? (isNew ? refusal("labels") : null);
}
