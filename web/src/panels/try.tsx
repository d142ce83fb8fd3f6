import { pictureShape } from "../data/pixels";
import { bundle } from "../state/service";
import { trial } from "../state/trial";
import { Answer, Details } from "./answer";
import { Pad } from "./pad";
import { ValueForm } from "./value-form";

/** Draw an input, drop a picture or type values, and see the whole answer. */
export function Try() {
  const signature = bundle.value?.input;
  if (!signature) return null;
  const asked = trial.value;
  return (
    <section aria-label="Try an input" class="try">
      <h2>Try it</h2>
      {pictureShape(signature.shape)
        ? <Pad>{asked
            ? <Answer trial={asked} />
            : <p class="hint">Draw here, or drop a picture: bright on dark, as the training inputs are.</p>}</Pad>
        : <>
            <ValueForm />
            {asked && <Answer trial={asked} />}
          </>}
      {asked && <Details trial={asked} />}
    </section>
  );
}
