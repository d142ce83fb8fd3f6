import type { Scope } from "../api/shapes";
import { refusal } from "../state/access";

/** Says why what stands above is switched off; nothing where the key may do it. */
export function Refused({ scope }: { scope: Scope }) {
  const why = refusal(scope);
  return why && <p class="hint refused">{why}</p>;
}
