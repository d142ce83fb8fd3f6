import { labelSelection } from "../panels/label";
import { undo } from "./labelling";
import { clearSelection, selection } from "./map";
import { attempt } from "./notices";
import { labelFirst, queue, skip } from "./queue";
import { keysOfLabels } from "./service";
import { panel } from "./view";

/** One key for each label, Space to skip, Escape to let go, Ctrl Z to undo. */
export function onKey(event: KeyboardEvent): void {
  if (isTyping(event.target)) return;
  if ((event.ctrlKey || event.metaKey) && event.key === "z") {
    event.preventDefault();
    void attempt(() => undo());
    return;
  }
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "Escape") clearSelection();
  if (event.key === " " && isQueueShown() && !isControl(event.target)) {
    event.preventDefault();
    skip();
  }
  const label = keysOfLabels.value.get(event.key.toLowerCase());
  if (label === undefined) return;
  if (selection.value.count) void labelSelection(label);
  else if (isQueueShown()) void labelFirst(label);
}

function isQueueShown(): boolean {
  return panel.value === "label" && selection.value.count === 0 && queue.value.length > 0;
}

function isTyping(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && target.closest("input, select, textarea, dialog") !== null;
}

function isControl(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && target.closest("button, a, summary") !== null;
}
