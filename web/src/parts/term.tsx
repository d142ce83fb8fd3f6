/** Words of the model that a person may not know, each in one sentence. */
const MEANINGS = {
  "p familiar": "Of inputs like those of the training, the share that looks as unusual as this one or more. Near 0 it is called out of distribution.",
  "p owned": "Of inputs of labelled classes, the share for which labels speak as little as for this one or less. Near 0 it is called an unknown class.",
  Uncertainty: "0 nats: sure of one label. 0.7: torn between two, 2.3: between ten.",
  Channel: "One of the kinds of inputs that the model found by itself; labels say what it holds.",
  Nearest: "The label that fits best, were it a known class.",
  "Prediction set": "Every label that cannot be ruled out at the error rate that the service allows.",
  golden: "Share of the held-out inputs with known labels that it answers right; the same inputs for every version.",
  familiar: "Are inputs like those of the training?",
  owned: "Do inputs belong to classes that have labels?",
  evidence: "How much has changed since the training; 1 rings the alarm.",
  fit: "Trained from the start.",
  refit: "Trained on from the version before, with the labels that came since.",
  relabel: "New labels were counted in; nothing was trained.",
} as const;
export type Word = keyof typeof MEANINGS;

/** A word with its meaning, which the pointer brings up; another text may stand for it. */
export function Term({ word, text = word }: { word: Word; text?: string }) {
  return <span class="term" title={MEANINGS[word]}>{text}</span>;
}

export function meaningOf(word: string): string | undefined {
  return (MEANINGS as Record<string, string>)[word];
}
