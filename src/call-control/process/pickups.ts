import type { IncomingCall } from '../../device/device-process';
import type { Route } from '../core/signals';
import type { CallControlDependencies } from '../dependencies';
import { longestOf, ringingPhones } from '../features/pickup';
import type { CallProcess } from './call-process';
import type { DialogIndex, Place } from './dialog-index';
import { destinationAt } from './dialog-search';
import { readRingingQuestion, readRingingReply, type RingingQuestion, type RingingReply } from './pickup-messages';

/** A phone that rings is looked for at the other nodes for so long, ms. */
const FIND_MS = 300;
/** The longest ringing ones of a node are told. */
const MOST_TOLD = 16;

type There = RingingReply['calls'][number];

/** A call that can be picked up: of this node, or of another. */
interface Found {
  readonly ringsMs: number;
  readonly number: string;
  readonly place: Place | { readonly node: number; readonly dialog: There['dialog'] };
}

interface Refused {
  readonly status: number;
  readonly reason: string;
  readonly why: string;
}

const NOT_YOURS = { status: 403, reason: 'Not Your Pickup Group' } as const;

/** Who answers for a phone that rings, wherever that is (directed and group pickup). */
export class Pickups {
  constructor(
    private readonly deps: Pick<CallControlDependencies, 'log' | 'lines' | 'clock' | 'otherNodes'>,
    private readonly dialogs: DialogIndex,
    private readonly processes: () => Iterable<CallProcess>,
    /** A call of its own that goes that way. */
    private readonly begin: (call: IncomingCall, route: Route) => void,
  ) {}

  /** `number`: undefined: any of the pickup group. Never rejects. */
  async take(call: IncomingCall, number: string | undefined): Promise<void> {
    const asked = this.questionOf(call.from.name, number);
    if ('status' in asked) return this.refuse(call, number, asked);
    const meanwhile: string[] = [];
    call.session.listen((signal) => {
      meanwhile.push(signal.type);
      if (signal.type === 'requested' || signal.type === 'reinvited') call.session.respond(signal.id, 491);
    });
    const found = await this.find(asked, call.from.name);
    if (meanwhile.includes('cancelled') || meanwhile.includes('ended')) return;
    if (found === undefined)
      return this.refuse(call, number, { status: 480, reason: 'Nothing Rings There', why: 'no phone rings there' });
    const { place } = found;
    if ('process' in place) return place.process.takeCall(call, place.leg);
    this.begin(call, {
      type: 'targets',
      branches: [[destinationAt(place, found.number, 'pickup', true)]],
      matched: call.dialled,
    });
  }

  /** What another node asks; undefined: it cannot be understood. */
  answer(body: unknown): RingingReply | undefined {
    const question = readRingingQuestion(body);
    if (question === undefined) return undefined;
    const told = this.ringingHere(question).flatMap(({ place, number, ringsMs, caller }): There[] => {
      const dialog = this.dialogs.dialogOf(place);
      if (dialog === undefined) return [];
      const { callId, localTag, remoteTag } = dialog;
      return [{ number, ringsMs, caller, dialog: { callId, toTag: localTag, fromTag: remoteTag } }];
    });
    return { calls: told.sort((a, b) => b.ringsMs - a.ringsMs).slice(0, MOST_TOLD) };
  }

  private questionOf(device: string, number: string | undefined): RingingQuestion | Refused {
    const { lines } = this.deps;
    if (number === undefined) {
      const groups = lines?.groupsOf(device) ?? [];
      if (groups.length > 0) return { op: 'ringing', groups: [...groups] };
      return { status: 403, reason: 'In No Pickup Group', why: 'none of its lines is in a pickup group' };
    }
    if (lines?.mayReplace(device, number, true) === true) return { op: 'ringing', number };
    return { ...NOT_YOURS, why: 'it has neither that line nor one of its pickup group' };
  }

  /** The one that has been ringing longest, here or elsewhere. Nobody picks up a call of his own. */
  private async find(question: RingingQuestion, device: string): Promise<Found | undefined> {
    const here = this.ringingHere(question);
    const there = await Promise.all(
      (this.deps.otherNodes?.live() ?? []).map(async (node) => {
        const reply = readRingingReply(await this.deps.otherNodes?.ask(node, question, FIND_MS));
        return (reply?.calls ?? []).map((told) => ({ ...told, place: { node, dialog: told.dialog } }));
      }),
    );
    return longestOf<Found & { readonly caller: string }>(
      [...here, ...there.flat()].filter(({ caller }) => caller !== device),
    );
  }

  private ringingHere(question: RingingQuestion): readonly (Found & { caller: string; place: Place })[] {
    const { lines, clock } = this.deps;
    const isMeant = (number: string): boolean =>
      'number' in question
        ? number === question.number
        : question.groups.includes(lines?.of(number)?.pickupGroup ?? '');
    return [...this.processes()].flatMap((process) =>
      ringingPhones(process.snapshot)
        .filter(({ number }) => isMeant(number))
        .map(({ leg, number, since }) => ({
          place: { process, leg },
          number,
          caller: process.snapshot.facts.caller.device,
          ringsMs: Math.max(0, clock.now() - since),
        })),
    );
  }

  private refuse(call: IncomingCall, number: string | undefined, { status, reason, why }: Refused): void {
    this.deps.log.info({ device: call.from.name, number, status, why }, 'call: nothing is picked up');
    call.session.reject(status, { reason });
  }
}
