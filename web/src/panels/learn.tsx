import { useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useEffect } from "preact/hooks";
import { baseline, type ChangedAnswer, changed } from "../data/change";
import { STRANGE, UNNAMED } from "../data/points";
import { ago, counted, percent, short, versionName } from "../parts/format";
import { Refused } from "../parts/refused";
import { meaningOf, Term } from "../parts/term";
import { refusal } from "../state/access";
import { served } from "../state/map";
import {
  askRetrain, askVersions, counting, type Job, learn, openJobs, promote, refitting, retrain, rollBack, sentence,
  type Version, versions,
} from "../state/learning";
import { waitingLabels } from "../state/labelling";
import { labels } from "../state/service";

/** Learning: what waits, what runs, what came of it; the versions and the way back. */
export function LearnPanel() {
  useEffect(() => { void askRetrain(); void askVersions(); }, []);
  return (
    <div class="panel-body">
      <section aria-label="Learning">
        <h2>Learn</h2>
        <p class="hint">{waitingLabels.value ? `${counted(waitingLabels.value, "label")} of this page wait${waitingLabels.value === 1 ? "s" : ""} to be learned.` : "Relabel counts labels in, within seconds. Refit also trains on, which takes longer; labels are learned meanwhile."}</p>
        <div class="row">
          <button type="button" class="primary" disabled={counting.value || refusal("admin") !== null} title={meaningOf("relabel")} onClick={() => void learn("relabel")}>Relabel</button>
          <button type="button" disabled={refitting.value || refusal("admin") !== null} title={meaningOf("refit")} onClick={() => void learn("refit")}>Refit</button>
        </div>
        <Refused scope="admin" />
        <Progress />
      </section>
      <Changed />
      <Evidence />
      <Versions />
      <Jobs />
    </div>
  );
}

/** The jobs that wait or run, and the newest that ended. */
export function Progress() {
  const state = retrain.value;
  if (!state) return null;
  const ended = state.history.filter((job) => !openJobs.value.includes(job)).slice(0, 1);
  const shown = [...openJobs.value, ...ended];
  return <div role="status">{shown.map((job) => <JobState key={job.job_id} job={job} />)}</div>;
}

function JobState({ job }: { job: Job }) {
  const isOpen = openJobs.value.includes(job);
  return (
    <div class={`job ${job.state}`}>
      <div class="line"><b>{methodName(job)}</b><span>{isOpen ? (job.message ?? job.state) : job.state}</span></div>
      {isOpen && <progress max={1} {...(job.progress === null ? {} : { value: job.progress })} aria-label={`Progress of ${methodName(job)}`} />}
      {!isOpen && job.message && <p class="hint">{sentence(job.message)}</p>}
    </div>
  );
}

/** `auto` leaves to the service whether it counts or trains. */
function methodName(job: Job): string {
  return job.method === "auto" ? "learn" : job.method;
}

/** What the versions that this page has seen answer; the served one against the first, or another. */
function Changed() {
  const chosen = useSignal<string | null>(null);
  const after = served.value.at(-1);
  const first = baseline(served.value);
  if (!after || !first) return <SinceParent />;
  const others = served.value.filter((one) => one.version !== after.version);
  const before = others.findLast((one) => one.version === chosen.value) ?? first;
  const rows = changed(before, after);
  return (
    <section aria-label="What learning changed">
      <h2>What learning changed</h2>
      <Choice name="compared with" value={before.version} options={[...new Set(others.map((one) => one.version))]}
        onChoose={(one) => { chosen.value = one; }} />
      <table class="compared">
        <thead><tr><th scope="col">inputs answered</th><th scope="col">before</th><th scope="col">after</th><th scope="col">change</th></tr></thead>
        <tbody>
          {rows.map((row) => (
            <tr key={row.answer} class={row.before === row.after ? "" : "moved"}>
              <th scope="row">{row.answer}</th><td>{row.before}</td><td>{row.after}</td><td>{signed(row.after - row.before)}</td>
            </tr>
          ))}
        </tbody>
        <tbody class="shares">
          <Rate name="share unknown class" answer={UNNAMED} rows={rows} />
          <Rate name="share out of distribution" answer={STRANGE} rows={rows} />
          <GoldenRow before={versionOf(before.version)} after={versionOf(after.version)} />
        </tbody>
      </table>
    </section>
  );
}

/** What is known of the parent where the page was opened after the learning: not its answers to these inputs. */
function SinceParent() {
  const current = versionOf(versions.value?.current ?? null);
  const parent = versionOf(current?.parent_version ?? null);
  if (!current || !parent) return null;
  return (
    <section aria-label="What learning changed">
      <h2>What learning changed</h2>
      <p class="hint">Since {versionName(parent.bundle_version)}, before this page was opened</p>
      <table class="compared">
        <thead><tr><th scope="col">figure</th><th scope="col">before</th><th scope="col">after</th><th scope="col">change</th></tr></thead>
        <tbody>
          <tr><th scope="row">labels</th><td>{parent.labels.length}</td><td>{current.labels.length}</td><td>{signed(current.labels.length - parent.labels.length)}</td></tr>
          <GoldenRow before={parent} after={current} />
        </tbody>
      </table>
    </section>
  );
}

function GoldenRow({ before, after }: { before: Version | undefined; after: Version | undefined }) {
  return <Share name={<Term word="golden" text="right on the golden set" />}
    before={before?.metrics.golden_accuracy} after={after?.metrics.golden_accuracy} />;
}

function versionOf(name: string | null): Version | undefined {
  return versions.value?.versions.find((one) => one.bundle_version === name);
}

/** Which share of the inputs is answered so. */
function Rate({ name, answer, rows }: { name: string; answer: string; rows: ChangedAnswer[] }) {
  const share = (when: "before" | "after"): number =>
    (rows.find((row) => row.answer === answer)?.[when] ?? 0) / rows.reduce((sum, row) => sum + row[when], 0);
  return <Share name={name} before={share("before")} after={share("after")} />;
}

/** A share before and after, and by how many points of a hundred it moved. */
function Share({ name, before, after }: { name: ComponentChildren; before: number | undefined; after: number | undefined }) {
  const points = before === undefined || after === undefined ? 0 : Math.round(1000 * (after - before)) / 10;
  return <tr><th scope="row">{name}</th><td>{percent(before)}</td><td>{percent(after)}</td><td>{signed(points)}</td></tr>;
}

function signed(value: number): string {
  return value > 0 ? `+${value}` : value < 0 ? `−${-value}` : "";
}

function Evidence() {
  const known = labels.value;
  if (!known) return null;
  const most = Math.max(1, ...known.labels.map((one) => one.evidence));
  return (
    <section aria-label="Labels">
      <h2>What the labels rest on</h2>
      <table class="bars">
        <thead><tr><th scope="col">label</th><th scope="col">labelled examples</th><th scope="col">channels</th></tr></thead>
        <tbody>
          {known.labels.map((one) => (
            <tr key={one.label}>
              <th scope="row">{one.label}</th>
              <td><span class="bar" style={{ width: `${(100 * one.evidence) / most}%` }} /><span>{short(one.evidence)}</span></td>
              <td>{one.channels}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

function Versions() {
  const compared = useSignal<[string | null, string | null]>([null, null]);
  const known = versions.value;
  if (!known) return null;
  const current = known.versions.find((one) => one.bundle_version === known.current);
  const left = compared.value[0] ?? current?.parent_version ?? null;
  const right = compared.value[1] ?? known.current;
  return (
    <section aria-label="Versions">
      <h2>Versions
        <button type="button" class="link" disabled={!current?.parent_version || refusal("admin") !== null}
          title={refusal("admin") ?? "Serve the version that this one came from"} onClick={() => void rollBack(null)}>Roll back one</button>
      </h2>
      <ol class="versions">
        {known.versions.map((one) => (
          <li key={one.bundle_version} class={one.state}>
            <div class="line"><b title={one.bundle_version}>{versionName(one.bundle_version)}</b><span class="chip">{one.state}</span></div>
            <div class="line hint">
              <span><span title={meaningOf(one.method)}>{one.method}</span>, {one.labels.length} labels, {counted(one.feedback, "correction")}, {ago(Date.parse(one.created))}</span>
              {one.state !== "current" && one.state !== "rejected" && (
                <button type="button" class="link" disabled={refusal("admin") !== null} title={refusal("admin") ?? undefined}
                  onClick={() => void (one.state === "held" ? promote(one.bundle_version) : rollBack(one.bundle_version))}>
                  {one.state === "held" ? "Promote" : "Go back to it"}
                </button>
              )}
            </div>
            {one.parent_version && <div class="hint">from {versionName(one.parent_version)}</div>}
          </li>
        ))}
      </ol>
      {known.versions.length > 1 && (
        <div class="compare">
          <h3>Compare</h3>
          <div class="row">
            <Choice name="before" value={left} options={known.versions.map((one) => one.bundle_version)} onChoose={(one) => { compared.value = [one, compared.value[1]]; }} />
            <Choice name="after" value={right} options={known.versions.map((one) => one.bundle_version)} onChoose={(one) => { compared.value = [compared.value[0], one]; }} />
          </div>
          <Compared left={known.versions.find((one) => one.bundle_version === left)} right={known.versions.find((one) => one.bundle_version === right)} />
        </div>
      )}
    </section>
  );
}

function Choice({ name, value, options, onChoose }: {
  name: string; value: string | null; options: string[]; onChoose: (version: string) => void;
}) {
  return (
    <label>{name}{" "}
      <select value={value ?? ""} onChange={(event) => onChoose(event.currentTarget.value)}>
        {value === null && <option value="">choose</option>}
        {options.map((one) => <option key={one} value={one}>{versionName(one)}</option>)}
      </select>
    </label>
  );
}

function Compared({ left, right }: { left: Version | undefined; right: Version | undefined }) {
  if (!left || !right) return null;
  const names = [...new Set([...Object.keys(left.metrics), ...Object.keys(right.metrics)])];
  const main = names.filter((name) => !DETAILS.test(name));
  const rest = names.filter((name) => DETAILS.test(name));
  const gained = right.labels.filter((label) => !left.labels.includes(label));
  return (
    <>
      {gained.length > 0 && <p class="hint">New labels: {gained.join(", ")}</p>}
      <Figures names={main} left={left} right={right} />
      {rest.length > 0 && <details><summary>{rest.length} more figures</summary><Figures names={rest} left={left} right={right} /></details>}
    </>
  );
}

/** Figures that are looked at when something seems wrong. */
const DETAILS = /^parity|seconds$|recall/;

function Figures({ names, left, right }: { names: string[]; left: Version; right: Version }) {
  return (
    <table class="compared">
      <thead><tr><th scope="col">figure</th><th scope="col">before</th><th scope="col">after</th><th scope="col">change</th></tr></thead>
      <tbody>
        {names.map((name) => <Figure key={name} name={name} before={left.metrics[name]} after={right.metrics[name]} />)}
      </tbody>
    </table>
  );
}

function Figure({ name, before, after }: { name: string; before: number | undefined; after: number | undefined }) {
  const change = before === undefined || after === undefined ? Number.NaN : after - before;
  const text = Number.isNaN(change) ? "–" : `${change > 0 ? "+" : ""}${short(change)}`;
  return <tr><th scope="row">{name.replaceAll("_", " ")}</th><td>{short(before)}</td><td>{short(after)}</td><td>{text}</td></tr>;
}

function Jobs() {
  const jobs: Job[] = retrain.value?.history ?? [];
  if (!jobs.length) return null;
  return (
    <section aria-label="Jobs">
      <h2>Jobs</h2>
      <ol class="versions">
        {jobs.slice(0, 10).map((job) => (
          <li key={job.job_id} class={job.state}>
            <div class="line"><b>{methodName(job)}</b><span class="chip">{job.state}</span></div>
            {job.message && <div class="hint">{sentence(job.message)}</div>}
            {job.finished && <div class="hint">{ago(Date.parse(job.finished))}{job.version ? `, ${versionName(job.version)}` : ""}</div>}
          </li>
        ))}
      </ol>
    </section>
  );
}

