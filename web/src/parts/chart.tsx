import { useSignalEffect } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import UPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { categorical, css, STRANGE_COLOUR, UNNAMED_COLOUR } from "../data/palette";
import { theme } from "../state/view";

export interface Line {
  name: string;
  values: (number | null)[];
  role: "strange" | "unnamed" | "first" | "second";
}

const HEIGHT = 104;

/** A few lines over time, at most up to 1. */
export function LineChart({ title, times, lines, form }: {
  title: string; times: number[]; lines: Line[]; form: (value: number) => string;
}) {
  const frame = useRef<HTMLDivElement>(null);
  const chart = useRef<UPlot | null>(null);
  const newest = lines.map((line) => `${line.name} ${line.values.at(-1)?.toFixed(3) ?? "unknown"}`).join(", ");

  // Another theme has other colours, which uPlot takes only when it is made.
  useSignalEffect(() => {
    const [ink, grid] = theme.value === "dark" ? ["#aab2bf", "#2b313b"] : ["#4a5260", "#e3e6ea"];
    const axis = { stroke: ink, grid: { stroke: grid, width: 1 }, ticks: { stroke: grid, width: 1 }, font: "11px system-ui" };
    chart.current?.destroy();
    chart.current = new UPlot(
      {
        width: frame.current!.clientWidth || 300,
        height: HEIGHT,
        legend: { show: false },
        cursor: { show: false },
        scales: { y: { range: (_, __, high) => [0, Math.max(0.05, Math.min(1.05, (high ?? 0) * 1.15))] } },
        axes: [
          { ...axis, space: 80, size: 24, values: (_, ticks) => ticks.map(clock) },
          { ...axis, space: 22, size: 48, values: (_, ticks) => ticks.map(form) },
        ],
        series: [{}, ...lines.map((line) => ({ stroke: strokeOf(line.role), width: 2, points: { show: false } }))],
      },
      [times, ...lines.map((line) => line.values)] as UPlot.AlignedData,
      frame.current!,
    );
  });
  useEffect(() => { chart.current?.setData([times, ...lines.map((line) => line.values)] as UPlot.AlignedData); }, [times]);
  useEffect(() => {
    const observer = new ResizeObserver(([entry]) => {
      chart.current?.setSize({ width: entry!.contentRect.width, height: HEIGHT });
    });
    observer.observe(frame.current!);
    return () => {
      observer.disconnect();
      chart.current?.destroy();
    };
  }, []);

  return (
    <figure class="chart">
      <figcaption>{title}
        <span class="keys">{lines.map((line) => (
          <span key={line.name}><span class="dot" style={{ background: strokeOf(line.role) }} />{line.name}</span>
        ))}</span>
      </figcaption>
      <div ref={frame} role="img" aria-label={`${title}; now ${newest}`} />
    </figure>
  );
}

function clock(seconds: number): string {
  return new Date(1000 * seconds).toLocaleTimeString("en-GB");
}

function strokeOf(role: Line["role"]): string {
  if (role === "strange") return css(STRANGE_COLOUR[theme.value]);
  if (role === "unnamed") return css(UNNAMED_COLOUR[theme.value]);
  return css(categorical(role === "first" ? 0 : 1, theme.value));
}
