import type { Nested } from "../api/shapes";
import { flatten } from "../data/pixels";
import { bundle } from "../state/service";
import { short } from "./format";


/** A vector's values with their names, where the bundle has some. */
export function InputValues({ values }: { values: Nested }) {
  const names = bundle.value?.input.features ?? [];
  return (
    <dl class="facts values" tabIndex={0} aria-label="Values of the input">
      {flatten(values).map((value, i) => [<dt key={`t${i}`}>{names[i] ?? i}</dt>, <dd key={`d${i}`}>{short(value)}</dd>])}
    </dl>
  );
}
