import { dismiss, notices } from "../state/notices";

/** What just happened; goes by itself. */
export function Notices() {
  return (
    <div class="notices" aria-live="assertive">
      {notices.value.map((notice) => (
        <div key={notice.number} class={`notice ${notice.kind}`}>
          <span>{notice.text}</span>
          <button type="button" aria-label="Dismiss" onClick={() => dismiss(notice.number)}>×</button>
        </div>
      ))}
    </div>
  );
}
