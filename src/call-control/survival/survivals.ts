import type { Pid } from '../../process/pid';
import { type CallState, type Destination, namesOf } from '../core/call-state';
import type { CallEffect } from '../core/signals';
import type { CallControlDependencies } from '../dependencies';
import { WaitingPhones } from './waiting-phones';

/** The calls of this node whose other node is lost: what they wait for, and what the log tells of them. */
export class Survivals {
  private readonly phones: WaitingPhones | undefined;

  constructor(private readonly deps: Pick<CallControlDependencies, 'locations' | 'log'>) {
    this.phones = deps.locations && new WaitingPhones(deps.locations);
  }

  /** `tell` is called whenever the phone is registered elsewhere, until `forget`. */
  wait(
    who: Pid,
    { device, number, lost }: Extract<CallEffect, { type: 'await-phone' }>,
    tell: (targets: readonly Destination[]) => void,
  ): void {
    this.phones?.wait(who, device, { number, lost, tell });
  }

  forget(who: Pid): void {
    this.phones?.forget(who);
  }

  /** A call has gone on with its survival. */
  changed({ facts, survival, legs }: CallState): void {
    if (survival === undefined) return;
    const leg = legs.get(survival.leg);
    const device = leg?.device;
    const fields = { ...namesOf(facts), ...(device === undefined ? {} : { device }) };
    switch (survival.step) {
      case 'waiting':
      case 'asking':
        return;
      case 'again in service':
        this.forget(facts.pid);
        return this.deps.log.info(fields, 'call: it has survived the loss of a node');
      case 'given up': {
        this.forget(facts.pid);
        const todo = 'nothing: who talks goes on talking, and hangs up; see docs/survival.md';
        return this.deps.log.warn({ ...fields, todo }, 'call: the phone behind a lost node has not taken it up again');
      }
    }
  }
}
