import { labelSelection } from "../panels/label";
import { labelChannel } from "./group";
import { undo } from "./labelling";
import { clearSelection, selection } from "./map";
import { attempt } from "./notices";
import { labelFirst, queue, skip } from "./queue";
import { keysOfLabels } from "./service";
import { panel } from "./view";

/** What takes keys itself; a box that is ticked needs none but Space. */
const TYPED = "input:not([type=checkbox]), select, textarea, dialog";

/** One key for each label (of the selection, of the channel whose card has the focus, of the queue), Space to skip, Escape to let go, Ctrl Z to undo. */
export function onKey(event: KeyboardEvent): void {
  if (isTyping(event.target)) {
    // The way back from the field that a group's call leads into.
    if (event.key === "Escape" && event.target === nameField()) {
      nameField()?.blur();
      clearSelection();
    }
    return;
  }
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
  const channel = channelOf(event.target);
  if (label === undefined) {
    if (isName(event.key)) nameField()?.focus();
  } else if (selection.value.count) void labelSelection(label);
  else if (channel !== null) void labelChannel(channel, label);
  else if (isQueueShown()) void labelFirst(label);
}

/** A letter or digit that is no label's key begins a new name: it is typed where names are asked for. */
function isName(key: string): boolean {
  return selection.value.count > 0 && /^[\p{L}\p{N}]$/u.test(key);
}

function nameField(): HTMLElement | null {
  return document.querySelector<HTMLElement>("#new-label");
}

/** The channel whose card has the focus. */
function channelOf(target: EventTarget | null): number | null {
  const card = target instanceof HTMLElement ? target.closest<HTMLElement>("[data-channel]") : null;
  return card ? Number(card.dataset.channel) : null;
}

function isQueueShown(): boolean {
  return panel.value === "label" && selection.value.count === 0 && queue.value.length > 0;
}

function isTyping(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && target.closest(TYPED) !== null;
}

function isControl(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && target.closest("button, a, summary, input") !== null;
}
