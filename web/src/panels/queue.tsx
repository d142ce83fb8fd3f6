import { useEffect } from "preact/hooks";
import { percent, short } from "../parts/format";
import { InputValues } from "../parts/values";
import {
  fill, fillOnce, labelFirst, queue, queueState, queueTrouble, skip, STRATEGIES, strategy,
} from "../state/queue";
import { isImage } from "../state/service";
import { Thumbnail } from "../parts/picture";
import { Term } from "../parts/term";
import { Namer } from "./label";

/** What is worth a label, one after the other. */
export function Queue() {
  useEffect(fillOnce, []);
  const first = queue.value[0];
  return (
    <section aria-label="What to label next" class="queue">
      <h2>Worth a label</h2>
      <label class="line">Choose
        <select value={strategy.value} onChange={(event) => { strategy.value = event.currentTarget.value; void fill(); }}>
          {Object.entries(STRATEGIES).map(([name, text]) => <option key={name} value={name}>{text}</option>)}
        </select>
      </label>
      {!first && <p class="hint" role="status">{emptyText()}</p>}
      {first && (
        <>
          <div class="single">
            {isImage.value && <Thumbnail id={first.prediction_id} size={112} alt="the input to label" />}
            <dl class="facts">
              <dt>Answer</dt><dd><b>{first.ood.decision === "known" ? first.label : first.ood.decision.replaceAll("_", " ")}</b></dd>
              <dt><Term word="Nearest" /></dt><dd>{first.label}, {percent(first.probability, 0)}</dd>
              <dt><Term word="Channel" /></dt><dd>{first.channel}</dd>
              <dt><Term word="Uncertainty" /></dt><dd>{short(first.uncertainty.total)} nats</dd>
              <dt>Why</dt><dd>{first.reason}</dd>
            </dl>
          </div>
          {!isImage.value && <InputValues values={first.input ?? []} />}
          <Namer question="What is this?" onName={(label) => void labelFirst(label)} />
          <div class="row">
            <button type="button" onClick={skip}>Skip <kbd>Space</kbd></button>
            <span class="hint">{queue.value.length - 1} more wait</span>
          </div>
          {isImage.value && <div class="thumbnails small">
            {queue.value.slice(1, 13).map((one) => <Thumbnail key={one.prediction_id} id={one.prediction_id} size={30} />)}
          </div>}
        </>
      )}
    </section>
  );
}

/** Why nothing stands in the queue. */
function emptyText(): string {
  if (queueState.value === "failed") return queueTrouble.value ? `No answer yet: ${queueTrouble.value}` : "The service asks for a key.";
  if (queueState.value !== "filled") return "Asking ...";
  return "Nothing is worth a label: send the service some inputs, or select points on the map.";
}
