/**
 * Process identifiers. A PID names one process of one incarnation of one node: `node.type.instance`,
 * for example `1.dp.3` (claim R2). A PID alone does not say which incarnation it belongs to; wherever
 * that matters it travels with `boot`.
 */
export const PROCESS_TYPES = ['dp', 'gp', 'mp', 'cf', 'cp'] as const;

/** `dp` station device process, `gp` gateway, `mp` media resource, `cf` conference, `cp` call. */
export type ProcessType = (typeof PROCESS_TYPES)[number];

export type Pid = `${number}.${ProcessType}.${number}`;

export interface PidParts {
  readonly node: number;
  readonly type: ProcessType;
  readonly instance: number;
}

const PID_PATTERN = /^([1-9]\d{0,5})\.(dp|gp|mp|cf|cp)\.([1-9]\d{0,11})$/;

export function formatPid(parts: PidParts): Pid {
  return `${parts.node}.${parts.type}.${parts.instance}`;
}

/** Parses untrusted text; `undefined` when it is not a PID. */
export function parsePid(text: string): PidParts | undefined {
  const match = PID_PATTERN.exec(text);
  if (match === null) return undefined;
  return { node: Number(match[1]), type: match[2] as ProcessType, instance: Number(match[3]) };
}

export function isPid(text: string): text is Pid {
  return PID_PATTERN.test(text);
}

/** Hands out the PIDs of one incarnation of one node, each once. */
export class PidAllocator {
  private readonly next: Record<ProcessType, number> = { dp: 1, gp: 1, mp: 1, cf: 1, cp: 1 };

  constructor(private readonly node: number) {}

  allocate(type: ProcessType): Pid {
    const instance = this.next[type];
    this.next[type] = instance + 1;
    return formatPid({ node: this.node, type, instance });
  }
}
