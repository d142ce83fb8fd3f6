import { describe, expect, it } from "vitest";
import { type Camera, fitting, framing, panned, pinched, toMap, toScreen, zoomed } from "../src/data/camera";

const size = { width: 800, height: 500 };
const camera: Camera = { centre: [1.5, -2], zoom: 6.3 };

describe("the camera", () => {
  it("puts a place on a pixel and back", () => {
    const pixel = toScreen(camera, size, [2.25, -3.5]);
    const [x, y] = toMap(camera, size, pixel);
    expect(x).toBeCloseTo(2.25, 10);
    expect(y).toBeCloseTo(-3.5, 10);
  });

  it("keeps under two fingers what was under them", () => {
    const before = [[300, 200], [400, 260]] as const;
    const after = [[250, 150], [450, 270]] as const;
    const moved = pinched(camera, size, before, after);
    before.forEach((pixel, finger) => {
      const [x, y] = toScreen(moved, size, toMap(camera, size, pixel));
      expect(x).toBeCloseTo(after[finger]![0], 8);
      expect(y).toBeCloseTo(after[finger]![1], 8);
    });
    expect(moved.zoom - camera.zoom).toBeCloseTo(1, 10);
  });

  it("stays finite where two fingers are at one place", () => {
    const moved = pinched(camera, size, [[300, 200], [300, 200]], [[300, 200], [310, 200]]);
    expect(Number.isFinite(moved.zoom) && moved.centre.every(Number.isFinite)).toBe(true);
  });

  it("has y pointing up", () => {
    expect(toScreen(camera, size, [1.5, -1])[1]).toBeLessThan(250);
  });

  it("keeps what is under the pointer there while it zooms", () => {
    const pixel = [123, 456] as const;
    const before = toMap(camera, size, pixel);
    const after = toMap(zoomed(camera, size, pixel, 1.7), size, pixel);
    expect(after[0]).toBeCloseTo(before[0], 9);
    expect(after[1]).toBeCloseTo(before[1], 9);
  });

  it("moves the picture with the hand", () => {
    const before = toScreen(camera, size, [0, 0]);
    const after = toScreen(panned(camera, 30, -12), size, [0, 0]);
    expect(after[0] - before[0]).toBeCloseTo(30, 9);
    expect(after[1] - before[1]).toBeCloseTo(-12, 9);
  });

  it("shows all points, and a square around a place", () => {
    const positions = Float32Array.from([-3, 2, 5, 9, 1, 4]);
    const all = fitting(size, positions);
    for (let i = 0; i < 6; i += 2) {
      const [x, y] = toScreen(all, size, [positions[i]!, positions[i + 1]!]);
      expect(x).toBeGreaterThan(0);
      expect(x).toBeLessThan(size.width);
      expect(y).toBeGreaterThan(0);
      expect(y).toBeLessThan(size.height);
    }
    const near = framing(size, [5, 9], 2);
    expect(toScreen(near, size, [5, 11])[1]).toBeCloseTo(0, 6);
  });

  it("stands any size and no points", () => {
    expect(Number.isFinite(fitting({ width: 0, height: 0 }, new Float32Array(0)).zoom)).toBe(true);
    expect(Number.isFinite(framing(size, [0, 0], 0).zoom)).toBe(true);
  });
});
