import { useEffect } from "preact/hooks";
import { Map } from "./map/map";
import { Legend } from "./map/legend";
import { canDraw } from "./map/scene";
import { Table } from "./map/table";
import { Toolbar } from "./map/toolbar";
import { ChannelStrip } from "./panels/channels";
import { LabelPanel } from "./panels/label";
import { LearnPanel } from "./panels/learn";
import { ListsPanel } from "./panels/lists";
import { LivePanel } from "./panels/live";
import { Callout } from "./parts/callout";
import { Header } from "./parts/header";
import { KeyDialog } from "./parts/key-dialog";
import { Notices } from "./parts/notices";
import { toDecide } from "./state/lists";
import { mapTrouble, points } from "./state/map";
import { begin, refreshForKey } from "./state/rhythm";
import { onKey } from "./state/shortcuts";
import { trouble } from "./state/service";
import { asTable, type Panel, panel } from "./state/view";

const PANELS: { panel: Panel; name: string }[] = [
  { panel: "label", name: "Label" }, { panel: "learn", name: "Learn" },
  { panel: "live", name: "Live" }, { panel: "lists", name: "Feedback" },
];
const DRAWS = canDraw();

/** The whole page. */
export function App() {
  useEffect(() => {
    const end = new AbortController();
    begin(end.signal);
    document.addEventListener("keydown", onKey, { signal: end.signal });
    // A file that is dropped beside its place would be opened in the page's stead.
    for (const name of ["dragover", "drop"]) {
      document.addEventListener(name, (event) => event.preventDefault(), { signal: end.signal });
    }
    return () => end.abort();
  }, []);
  const table = asTable.value || !DRAWS;
  return (
    <>
      <Header />
      <main>
        <div class="work">
          <Callout />
          <Toolbar />
          <div class="stage">
            {table ? <Table /> : <Map />}
            {!points.value && <p class="empty-map">{mapTrouble.value ?? trouble.value ?? "Asking for the map ..."}</p>}
            {!DRAWS && <p class="hint no-webgl">This browser has no WebGL 2: the map is a table.</p>}
            <Legend />
            <Notices />
          </div>
          <ChannelStrip />
        </div>
        <aside aria-label="Work">
          <div class="tabs" role="tablist" aria-label="Work">
            {PANELS.map((one) => (
              <button key={one.panel} type="button" role="tab" id={`tab-${one.panel}`} aria-controls="panel"
                aria-selected={panel.value === one.panel} onClick={() => { panel.value = one.panel; }}>
                {one.name}{one.panel === "lists" && toDecide.value && <span class="count">{toDecide.value}</span>}
              </button>
            ))}
          </div>
          <div id="panel" role="tabpanel" aria-labelledby={`tab-${panel.value}`} tabIndex={0}>
            {panel.value === "label" && <LabelPanel />}
            {panel.value === "learn" && <LearnPanel />}
            {panel.value === "live" && <LivePanel />}
            {panel.value === "lists" && <ListsPanel />}
          </div>
        </aside>
      </main>
      <KeyDialog onKey={() => void refreshForKey()} />
    </>
  );
}
