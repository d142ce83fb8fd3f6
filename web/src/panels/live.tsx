import { useEffect } from "preact/hooks";
import { percent, short } from "../parts/format";
import { LineChart } from "../parts/chart";
import { Thumbnail } from "../parts/picture";
import { Term } from "../parts/term";
import { askDrift, connected, drift, moments, type Recent, recent } from "../state/live";
import { isImage } from "../state/service";
import { attempt } from "../state/notices";
import { Try } from "./try";

/** What comes in now, and a place to try an input. */
export function LivePanel() {
  useEffect(() => { void attempt(askDrift); }, []);
  const seen = moments.value;
  return (
    <div class="panel-body">
      <Try />
      <section aria-label="Traffic">
        <h2>Traffic <span class={connected.value ? "chip good" : "chip"}>{connected.value ? "live" : "not connected"}</span></h2>
        {seen.length > 1 && <LineChart
          title="Share of the last 200 answers"
          times={seen.map((one) => one.at)}
          form={(value) => percent(value, value < 0.1 ? 1 : 0)}
          lines={[
            { name: "out of distribution", values: seen.map((one) => one.strange), role: "strange" },
            { name: "unknown class", values: seen.map((one) => one.unnamed), role: "unnamed" },
          ]}
        />}
        {seen.length > 1 && <LineChart
          title="Evidence of drift (an alarm at 1)"
          form={short}
          times={seen.map((one) => one.at)}
          lines={[
            { name: "familiar", values: seen.map((one) => one.familiarDrift), role: "first" },
            { name: "owned", values: seen.map((one) => one.ownedDrift), role: "second" },
          ]}
        />}
        {drift.value && (
          <table class="compared">
            <thead><tr><th scope="col">drift</th><th scope="col">now</th><th scope="col"><Term word="evidence" /></th><th scope="col">alarms</th><th scope="col">inputs</th></tr></thead>
            <tbody>
              {drift.value.questions.map((one) => (
                <tr key={one.question}><th scope="row"><Term word={one.question} /></th><td>{one.drifting ? "yes" : "no"}</td>
                  <td>{short(one.evidence)}</td><td>{one.alarms}</td><td>{one.inputs}</td></tr>
              ))}
            </tbody>
          </table>
        )}
      </section>
      <section aria-label="Recent answers">
        <h2>Recent answers</h2>
        {!recent.value.length && <p class="hint">Answers appear here as the service gives them.</p>}
        <ol class="recent">
          {recent.value.slice(0, 24).map((one) => (
            <li key={one.prediction_id} class={one.decision}>
              {isImage.value && <Thumbnail id={one.prediction_id} size={32} />}
              <span title={answerOf(one)}>{one.decision === "known" ? one.label : one.decision === "unknown_class" ? "?" : "×"}</span>
            </li>
          ))}
        </ol>
        {recent.value.length > 0 && <p class="hint">
          {percent(recent.value.filter((one) => one.decision !== "known").length / recent.value.length)} of the newest {recent.value.length} are not known: ? unknown class, × out of distribution.
        </p>}
      </section>
    </div>
  );
}

function answerOf({ decision, label }: Recent): string {
  return decision === "known" ? label : `${decision.replaceAll("_", " ")}; nearest ${label}`;
}
