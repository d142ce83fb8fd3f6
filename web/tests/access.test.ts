import { beforeEach, describe, expect, it, vi } from "vitest";
import { key, keyWanted, setKey } from "../src/api/key";
import { request } from "../src/api/request";
import type { Scope } from "../src/api/shapes";
import { access, refusal, refusalOfName } from "../src/state/access";

function holds(...scopes: Scope[]): void {
  access.value = { owner: "ada", has_key: true, scopes };
}

describe("what a key may do", () => {
  it("is refused with the scope that is missing, and nothing else is", () => {
    holds("predict", "feedback");
    expect(refusal("predict")).toBeNull();
    expect(refusal("admin")).toContain("lacks the scope admin");
    expect(refusalOfName(false)).toBeNull();
    expect(refusalOfName(true)).toContain("lacks the scope labels");
    holds("labels");
    expect(refusalOfName(true)).toContain("lacks the scope feedback");
  });

  it("is left to the service as long as nothing is known", () => {
    access.value = null;
    expect(refusal("admin")).toBeNull();
  });
});

describe("the key that a service asks for", () => {
  beforeEach(() => {
    setKey("");
    vi.stubGlobal("fetch", async () => Response.json({ detail: "no" }, { status: 401 }));
  });

  it("is asked for once, and again for another key", async () => {
    await expect(request("bundle")).rejects.toThrow();
    expect(keyWanted.value).toBe(true);
    keyWanted.value = false; // the dialog was shut
    await expect(request("bundle")).rejects.toThrow();
    expect(keyWanted.value).toBe(false);
    setKey("wrong");
    await expect(request("bundle")).rejects.toThrow();
    expect(keyWanted.value).toBe(true);
  });

  it("is not asked for by the late answer to an old one", async () => {
    vi.stubGlobal("fetch", async () => {
      setKey("newer");
      return Response.json({ detail: "no" }, { status: 401 });
    });
    await expect(request("bundle")).rejects.toThrow();
    expect(key.value).toBe("newer");
    expect(keyWanted.value).toBe(false);
  });
});
