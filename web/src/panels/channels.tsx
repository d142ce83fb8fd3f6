import { useSignal } from "@preact/signals";
import type { Channel } from "../api/shapes";
import { categorical, css, UNNAMED_COLOUR } from "../data/palette";
import { counted, percent, short } from "../parts/format";
import { Picture } from "../parts/picture";
import { channels, used } from "../state/channels";
import { labelChannel, rowsOf, showRows } from "../state/group";
import { bundle, isImage, labelNames } from "../state/service";
import { panel, theme } from "../state/view";

const SAMPLES = 3;
/** What is dragged from a label's button; text from elsewhere is no label. */
export const LABEL_TYPE = "application/x-rcmvae-label";

/** A card for each channel: what it decodes to, what labels say of it, how full it is. */
export function ChannelStrip() {
  const open = useSignal(true);
  const all = channels.value;
  if (!all) return null;
  const shown = used(all.channels);
  return (
    <section class={open.value ? "strip" : "strip closed"} aria-label="Channels">
      <button type="button" class="strip-head" aria-expanded={open.value} onClick={() => { open.value = !open.value; }}>
        {open.value ? "▾" : "▸"} Channels <span class="hint">kinds of inputs that the model found by itself: {shown.length} in use, {all.channels.length - shown.length} empty</span>
      </button>
      {open.value && <ol class="cards" tabIndex={0} aria-label="Channel cards">
        {shown.map((one) => <Card key={one.channel} channel={one} version={all.bundle_version} />)}
      </ol>}
    </section>
  );
}

function Card({ channel, version }: { channel: Channel; version: string }) {
  const over = useSignal(false);
  const select = (): void => {
    panel.value = "label";
    showRows(rowsOf(channel.channel));
  };
  const dragOver = (event: DragEvent): void => {
    if (!event.dataTransfer?.types.includes(LABEL_TYPE)) return;
    event.preventDefault();
    over.value = true;
  };
  const drop = (event: DragEvent): void => {
    event.preventDefault();
    over.value = false;
    const label = event.dataTransfer?.getData(LABEL_TYPE);
    if (label) void labelChannel(channel.channel, label);
  };
  const evidence = Object.values(channel.evidence).reduce((sum, one) => sum + one, 0);
  const image = (kind: string, seed: number): string =>
    // What stands behind # is not sent: another version's picture is only another one here.
    `channels/${channel.channel}/image?kind=${kind}${kind === "sample" ? `&seed=${seed}` : ""}#${version}`;
  return (
    <li class={`card${channel.free ? " free" : ""}${over.value ? " over" : ""}`} onDrop={drop}
      onDragOver={dragOver} onDragLeave={() => { over.value = false; }}>
      <button type="button" onClick={select} data-channel={channel.channel} title="Click: select its points. A label's key, or a label dropped here, labels them.">
        {isImage.value && <span class="pictures">
          <Picture path={image("mean", 0)} alt="" size={46} />
          <span class="samples">{Array.from({ length: SAMPLES }, (_, i) => <Picture key={i} path={image("sample", i)} alt="" size={22} />)}</span>
        </span>}
        <span class="name">{channel.free ? <em>unnamed</em> : <span>{channel.label}</span>}<span class="number">{channel.channel}</span></span>
        <Spread channel={channel} />
        <span class="hint line" title={`${percent(channel.usage)} of the inputs, ${short(evidence)} labelled examples`}>
          <span>{channel.usage < 0.005 ? "< 1 %" : percent(channel.usage, 0)}</span><span>{counted(Number(evidence.toFixed(evidence < 10 ? 1 : 0)), "label")}</span>
        </span>
      </button>
    </li>
  );
}

/** The channel's label distribution as one bar. */
function Spread({ channel }: { channel: Channel }) {
  const labels = bundle.value?.labels ?? labelNames.value;
  if (channel.free) return <span class="spread"><span style={{ width: "100%", background: css(UNNAMED_COLOUR[theme.value]) }} /></span>;
  return (
    <span class="spread">
      {Object.entries(channel.tau).filter(([, share]) => share > 0.01).map(([label, share]) => (
        <span key={label} title={`${label} ${percent(share)}`}
          style={{ width: `${100 * share}%`, background: css(categorical(Math.max(0, labels.indexOf(label)), theme.value)) }} />
      ))}
    </span>
  );
}
