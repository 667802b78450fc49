import type { DeviceConfig, NumberConfig } from '../config/types';

/** A directory number as something that has calls: what holds for it, whichever of its devices rings. */
export interface Line {
  readonly number: string;
  readonly displayName: string | undefined;
  /** Calls with which it is busy for others; undefined: never, as far as we count. */
  readonly busyTrigger: number | undefined;
  /** Calls with which none can be made on it; undefined: any number. */
  readonly maxCalls: number | undefined;
  /** How long it rings, in ms; undefined: the default. */
  readonly noAnswerMs: number | undefined;
  /** Devices with a line of the same group may answer for one that rings. */
  readonly pickupGroup: string | undefined;
  /** Its devices take no part in each other's calls. */
  readonly privacy?: boolean | undefined;
  /** Devices without that line that may join its calls. */
  readonly mayBarge?: readonly string[] | undefined;
}

/** What the configuration says of lines. */
interface LinesConfig {
  readonly devices: readonly Pick<DeviceConfig, 'name' | 'lines'>[];
  readonly numbers: readonly NumberConfig[];
}

/** The lines that the configuration says something about. */
export class Lines {
  private readonly lines: ReadonlyMap<string, Line>;
  private readonly numbersOf: ReadonlyMap<string, readonly string[]>;

  constructor({ devices, numbers }: LinesConfig) {
    this.lines = new Map(
      numbers.map(({ noAnswerSeconds: seconds, ...rest }) => [
        rest.number,
        { ...rest, noAnswerMs: seconds === undefined ? undefined : seconds * 1000 },
      ]),
    );
    this.numbersOf = new Map(devices.map(({ name, lines }) => [name, lines]));
  }

  /** Undefined: nothing is said about it, and it has no limits. */
  of(number: string): Line | undefined {
    return this.lines.get(number);
  }

  /** The pickup groups that a device has a line in. */
  groupsOf(device: string): readonly string[] {
    const groups = (this.numbersOf.get(device) ?? []).flatMap((number) => this.of(number)?.pickupGroup ?? []);
    return [...new Set(groups)];
  }

  /**
   * Whether a device may take the place of another one in a call of this line: any device of the line may, unless the line is private and somebody
   * has answered; while it only rings, those of its pickup group may too. Who was given a number at run time shares no line.
   */
  mayReplace(device: string, line: string, rings: boolean): boolean {
    const own = this.numbersOf.get(device) ?? [];
    if (own.includes(line)) return rings || this.of(line)?.privacy !== true;
    const group = this.of(line)?.pickupGroup;
    return rings && group !== undefined && own.some((number) => this.of(number)?.pickupGroup === group);
  }

  /** The lines of a device. */
  linesOf(device: string): readonly string[] {
    return this.numbersOf.get(device) ?? [];
  }

  /** Whether a device may join a call of this line as a third party. */
  mayBarge(device: string, line: string): boolean {
    if (this.of(line)?.privacy === true) return false;
    return this.mayReplace(device, line, false) || this.of(line)?.mayBarge?.includes(device) === true;
  }
}

/** Whether a line takes one more call with those that it has: up to its busy trigger they wait for its user. */
export function admit(line: Pick<Line, 'busyTrigger'>, callsNow: number): 'ok' | 'busy' {
  return line.busyTrigger !== undefined && callsNow >= line.busyTrigger ? 'busy' : 'ok';
}

/** Whether one more call can be made on a line. */
export function mayCall(line: Pick<Line, 'maxCalls'>, callsNow: number): boolean {
  return line.maxCalls === undefined || callsNow < line.maxCalls;
}
