import { describe, expect, it } from "vitest";
import { counting, openJobs, type Job, refitting, retrain, sentence } from "../src/state/learning";

function job(job_id: string, method: string, state: string): Job {
  return { job_id, method, state, requested: null, started: null, finished: null, progress: null, message: null, version: null };
}

describe("what is being learned", () => {
  it("is nothing where all jobs have ended", () => {
    retrain.value = { state: "idle", job: null, history: [job("b", "auto", "done"), job("a", "refit", "failed")] };
    expect(openJobs.value).toEqual([]);
    expect([counting.value, refitting.value]).toEqual([false, false]);
  });

  it("leaves labels to be counted while a refit runs", () => {
    const refit = job("a", "refit", "running");
    retrain.value = { state: "running", job: refit, history: [refit] };
    expect([counting.value, refitting.value]).toEqual([false, true]);
    retrain.value = { state: "running", job: refit, history: [job("b", "auto", "requested"), refit] };
    expect([counting.value, refitting.value]).toEqual([true, true]);
    expect(openJobs.value.map((one) => one.job_id)).toEqual(["a", "b"]);
  });
});

describe("what a job says", () => {
  it("is a sentence with versions as the page writes them", () => {
    expect(sentence("already learned: version 20261125T094357Z-b63d3ed7")).toBe("Already learned: version 11-25 09:43:57 · b63d");
  });
});
