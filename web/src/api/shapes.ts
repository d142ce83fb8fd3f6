/** What the service answers, as docs/api.md has it; members that nothing here reads are left out. */

export type Decision = "known" | "unknown_class" | "out_of_distribution";

export interface Bundle {
  bundle_version: string;
  parent_version: string | null;
  created: string;
  input: { shape: number[]; dtype: string; low: number; high: number; features?: string[] | null };
  labels: string[];
  num_channels: number;
  lineage: { method: string; parent_version: string | null };
  metrics: Record<string, number>;
  alpha: { default: number; smallest: number };
}

export interface Labels {
  bundle_version: string;
  labels: { label: string; evidence: number; channels: number }[];
}

export interface Prediction {
  prediction_id: string;
  label: string;
  ood: {
    decision: Decision;
    p_familiar: number;
    p_owned: number;
    scores: Record<string, number | null> | null;
  };
  channel: number;
  probabilities?: Record<string, number>;
  prediction_set?: string[];
  uncertainty?: {
    total: number;
    aleatoric: number;
    channel_ambiguity: number;
    label_map_ignorance: number;
    observation_noise?: number | null;
  };
  sampled?: { total: number; expected: number; mutual_information: number };
  position?: [number, number];
}

export interface PredictAnswer {
  bundle_version: string;
  alpha: number;
  predictions: Prediction[];
}

export interface Candidate {
  prediction_id: string;
  label: string;
  probability: number;
  channel: number;
  ood: Prediction["ood"];
  uncertainty: NonNullable<Prediction["uncertainty"]>;
  score: number;
  reason: string;
  input?: Nested;
}

/** A number, or lists of lists of numbers. */
export type Nested = number | Nested[];

export interface Candidates {
  bundle_version: string;
  strategy: string;
  pool: number;
  candidates: Candidate[];
}

export type FeedbackStatus =
  | "queued"
  | "claimed"
  | "applied"
  | "quarantined"
  | "superseded"
  | "withdrawing"
  | "withdrawn"
  | "rejected";

export interface FeedbackState {
  feedback_id: string;
  label: string;
  prediction_id: string | null;
  status: FeedbackStatus;
  created: string;
  applied_version: string | null;
  reason: string | null;
  author: string;
}

/** An input of which people say different things; `label` prevails. */
export interface Dispute {
  label: string;
  voices: FeedbackState[];
}

export interface DisputePage {
  disputes: Dispute[];
  next: string | null;
}

export type Scope = "predict" | "feedback" | "labels" | "admin";

export interface KeyFacts {
  owner: string;
  has_key: boolean;
  scopes: Scope[];
}

export interface FeedbackPage {
  items: FeedbackState[];
  next: string | null;
}

export interface FeedbackReceipt {
  items: { feedback_id: string; status: FeedbackStatus }[];
}

/** One input that is labelled: a prediction, a reference point, or the input itself. */
export type FeedbackItem = { label: string } & (
  | { prediction_id: string }
  | { reference_id: string }
  | { input: Nested }
);

export interface Channel {
  channel: number;
  usage: number;
  free: boolean;
  label: string | null;
  evidence: Record<string, number>;
  tau: Record<string, number>;
  position: [number, number] | null;
  points: number;
}

export interface Channels {
  bundle_version: string;
  channels: Channel[];
}
