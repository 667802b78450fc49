/** One measured value, one line of the output. */
export interface Measurement {
  readonly bench: string;
  readonly metric: string;
  readonly value: number;
  readonly unit: string;
  /** Another system, measured in the same run. */
  readonly peer?: string;
  /** What else belongs to it. */
  readonly [detail: string]: string | number | undefined;
}

export function report(measurement: Measurement): void {
  process.stdout.write(`${JSON.stringify(measurement)}\n`);
}

/** Progress, for people. */
export function note(text: string): void {
  process.stderr.write(`${text}\n`);
}
