import { useEffect, useRef } from "preact/hooks";
import { key, keyWanted, setKey } from "../api/key";
import { keyDialog } from "../state/view";

/** Asks for the API key; it stays in this tab. */
export function KeyDialog({ onKey }: { onKey: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const closing = useRef(false);
  const open = keyDialog.value || keyWanted.value;
  useEffect(() => {
    if (open && !dialog.current!.open) dialog.current!.showModal();
    if (!open && dialog.current!.open) {
      closing.current = true;
      dialog.current!.close();
    }
  }, [open]);
  const shut = (): void => {
    keyDialog.value = false;
    keyWanted.value = false;
  };
  // Told after the fact, when a wrong key may have opened it again: only a person's own closing shuts it.
  const closed = (): void => {
    if (closing.current) closing.current = false;
    else shut();
  };
  return (
    <dialog ref={dialog} onClose={closed} aria-labelledby="key-title">
      <form onSubmit={(event) => {
        event.preventDefault();
        setKey(String(new FormData(event.currentTarget).get("key") ?? ""));
        shut();
        onKey();
      }}>
        <h2 id="key-title">Key</h2>
        <p class="hint">{keyWanted.value && (key.value ? "The service does not know this key, or it has expired. " : "The service asks for a key. ")}It is kept until this tab closes and sent to this service alone.</p>
        <label for="key-field">API key</label>
        <input id="key-field" name="key" type="password" autocomplete="off" defaultValue={key.value} />
        <div class="row">
          <button type="submit" class="primary">Use it</button>
          <button type="button" onClick={shut}>Cancel</button>
          {key.value && <button type="button" onClick={() => { setKey(""); shut(); onKey(); }}>Forget it</button>}
        </div>
      </form>
    </dialog>
  );
}
