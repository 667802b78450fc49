import { parsePid, type Pid } from '../../process/pid';
import { type CallState, type Destination, namesOf } from '../core/call-state';
import type { CallEffect } from '../core/signals';
import type { CallControlDependencies } from '../dependencies';
import { KeptCalls } from './kept-calls';
import { Partner } from './partner';
import { type KeptCall, readPartnerMessage } from './partner-messages';
import { Rebuilding, type TakeUp } from './rebuilding';
import type { Survival } from './survival-state';
import { WaitingPhones } from './waiting-phones';

const TODO = 'nothing: who talks goes on talking, and hangs up; see docs/survival.md';

type Deps = Pick<
  CallControlDependencies,
  'locations' | 'log' | 'otherNodes' | 'boot' | 'clock' | 'surviveMs' | 'router' | 'pids' | 'mediaAddress'
>;

/**
 * Calls that outlive a node: those of ours whose other node is lost, what they wait for, and what the log tells of them; our own calls within this node, of which
 * our partner is told; and those of the nodes whose partner we are.
 */
export class Survivals {
  private readonly phones: WaitingPhones | undefined;
  private readonly partner: Partner;
  private readonly kept = new KeptCalls();
  /** By process and incarnation of the node that has died. */
  private readonly rebuilt = new Map<string, Rebuilding>();

  constructor(
    private readonly deps: Deps,
    private readonly takeUp: TakeUp,
  ) {
    this.phones = deps.locations && new WaitingPhones(deps.locations);
    this.partner = new Partner(deps);
  }

  /** `tell` is called whenever the phone is registered elsewhere, until `forget`. */
  wait(
    who: Pid,
    { device, number, lost }: Extract<CallEffect, { type: 'await-phone' }>,
    tell: (targets: readonly Destination[]) => void,
  ): void {
    this.phones?.wait(who, device, { number, lost, tell });
  }

  /** A call is over. */
  forget(who: Pid): void {
    this.phones?.forget(who);
  }

  /** A call has gone on. */
  follow(state: CallState, before: Survival | undefined): void {
    this.partner.follow(state);
    const { facts, survival, legs } = state;
    if (survival === undefined || survival.step === before?.step) return;
    if (survival.step === 'waiting' || survival.step === 'asking') return;
    this.forget(facts.pid);
    this.log(survival.step, { ...namesOf(facts), device: legs.get(survival.leg)?.device ?? '' });
  }

  /** What another node says of its calls; undefined: it is about something else. */
  answer(body: unknown): true | undefined {
    const message = readPartnerMessage(body);
    if (message === undefined) return undefined;
    this.kept.take(message, this.deps.clock.now());
    for (const { process } of message.calls)
      if (!this.kept.has(process, message.node, message.boot)) this.abandon(`${process}-${message.boot}`);
    return true;
  }

  /** It is off-line, or has begun anew. */
  nodeGone(node: number): void {
    this.partner.nodeGone(node);
    this.rebuild(node);
  }

  nodeRestarted(node: number): void {
    this.partner.nodeRestarted(node);
    this.rebuild(node);
  }

  /** It is there, in this incarnation. */
  nodeBack(node: number, boot: number): void {
    this.partner.nodeBack(node);
    for (const [key, rebuilding] of this.rebuilt)
      if (key.endsWith(`-${boot}`) && parsePid(key.slice(0, key.lastIndexOf('-')))?.node === node)
        rebuilding.nodeBack();
  }

  stop(): void {
    this.partner.stop();
    for (const key of [...this.rebuilt.keys()]) this.abandon(key);
  }

  private rebuild(node: number): void {
    const { phones, deps } = this;
    if (phones === undefined || (deps.surviveMs ?? 0) === 0) return;
    for (const { process, boot, call } of [...this.kept.of(node)]) {
      const key = `${process}-${boot}`;
      if (this.rebuilt.has(key)) continue;
      const lost = { pid: process, boot };
      const onDone = (step: Survival['step'], about: KeptCall): void => {
        this.rebuilt.delete(key);
        // A node that was only cut off goes on with its call, and may die yet.
        if (rebuilding.wasCutOff) return;
        this.kept.forget(process, node, boot);
        const devices = about.ends.map(({ device }) => device).join(', ');
        this.log(step, { call: about.call, process, device: devices });
      };
      const pid = deps.pids.allocate('cp');
      const rebuilding = new Rebuilding({ deps, phones, pid, lost, call, takeUp: this.takeUp, onDone });
      this.rebuilt.set(key, rebuilding);
      rebuilding.begin();
    }
  }

  private abandon(key: string): void {
    this.rebuilt.get(key)?.stop();
    this.rebuilt.delete(key);
  }

  private log(step: Survival['step'], fields: Readonly<Record<string, unknown>>): void {
    const { log } = this.deps;
    if (step === 'again in service') log.info(fields, 'call: it has survived the loss of a node');
    else log.warn({ ...fields, todo: TODO }, 'call: the phone behind a lost node has not taken it up again');
  }
}
