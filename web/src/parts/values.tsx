import { useEffect, useState } from "preact/hooks";
import { valuesOf } from "../api/values";
import type { Nested } from "../api/shapes";
import { flatten } from "../data/pixels";
import { bundle } from "../state/service";
import { short } from "./format";

/** A pointer that only passes over a point asks for nothing. */
const REST_MILLISECONDS = 80;

/** A vector's values with their names, where the bundle has some. */
export function InputValues({ values, most = Infinity }: { values: Nested; most?: number }) {
  const all = flatten(values);
  return (
    <dl class="facts values" tabIndex={most < all.length ? undefined : 0} aria-label="Values of the input">
      {all.slice(0, most).map((value, i) => [<dt key={`t${i}`}>{featureName(i)}</dt>, <dd key={`d${i}`}>{short(value)}</dd>])}
      {most < all.length && <dt>and {all.length - most} more</dt>}
    </dl>
  );
}

/** The values of a point of the map, or of a label's input. */
export function PointValues({ id, most = Infinity }: { id: string; most?: number }) {
  const [found] = useValues([id]);
  return found ? <InputValues values={found} most={most} /> : null;
}

/** The values of some points side by side, a row for each feature. */
export function ValuesTable({ ids }: { ids: string[] }) {
  const columns = useValues(ids);
  const features = columns.find((one) => one !== null)?.length ?? 0;
  if (!features) return null;
  return (
    <div class="values-table" tabIndex={0} role="region" aria-label="Values of the selected inputs">
      <table class="compared">
        <tbody>
          {Array.from({ length: features }, (_, i) => (
            <tr key={i}><th scope="row">{featureName(i)}</th>{columns.map((one, c) => <td key={c}>{short(one?.[i])}</td>)}</tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** What a value of a vector is called. */
export function featureName(index: number): string {
  return bundle.value?.input.features?.[index] ?? `value ${index}`;
}

function useValues(ids: string[]): (number[] | null)[] {
  const [found, setFound] = useState<(number[] | null)[]>([]);
  useEffect(() => {
    let wanted = true;
    setFound([]);
    const rest = setTimeout(() => {
      void Promise.all(ids.map(valuesOf)).then((values) => { if (wanted) setFound(values); });
    }, REST_MILLISECONDS);
    return () => {
      wanted = false;
      clearTimeout(rest);
    };
  }, [ids.join()]);
  return found;
}
