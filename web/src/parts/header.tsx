import { percent, versionName } from "./format";
import { meaningOf, Term } from "./term";
import { access, refusal } from "../state/access";
import { counting, learn, openJobs } from "../state/learning";
import { waitingLabels } from "../state/labelling";
import { bundle } from "../state/service";
import { keyDialog, setTheme, theme } from "../state/view";

/** What is served, and the button that makes it learn. */
export function Header() {
  const served = bundle.value;
  const accuracy = served?.metrics.golden_accuracy;
  const waits = waitingLabels.value;
  const progress = openJobs.value.find((job) => job.method !== "refit")?.progress ?? null;
  return (
    <header>
      <h1>RCM-VAE</h1>
      {served && (
        <p class="served">
          <span title={served.bundle_version}>version {versionName(served.bundle_version)}</span>
          <span title={meaningOf(served.lineage.method)}>by {served.lineage.method}</span>
          <span>{served.labels.length} labels</span>
          {accuracy !== undefined && <span><Term word="golden" text={`${percent(accuracy)} right on the golden set`} /></span>}
        </p>
      )}
      <div class="right">
        <button id="learn" type="button" class={waits && !counting.value ? "primary calling" : "primary"}
          disabled={counting.value || refusal("admin") !== null || !served}
          title={refusal("admin") ?? "Count the labels into the model"}
          onClick={() => void learn("auto")}>
          {counting.value ? "Learning …" : waits ? `Learn from ${waits} ${waits === 1 ? "label" : "labels"}` : "Learn"}
          {counting.value && <progress max={1} {...(progress === null ? {} : { value: progress })} aria-label="Progress of learning" />}
        </button>
        <button type="button" onClick={() => { keyDialog.value = true; }} aria-label={access.value?.has_key ? `Key of ${access.value.owner}, change it` : "Enter a key"}>
          {access.value?.has_key ? `Key of ${access.value.owner}` : "Key"}
        </button>
        <button type="button" aria-label={theme.value === "dark" ? "Light theme" : "Dark theme"} onClick={() => setTheme(theme.value === "dark" ? "light" : "dark")}>
          {theme.value === "dark" ? "☀" : "☾"}
        </button>
        <a class="button" href="docs">API</a>
      </div>
    </header>
  );
}
