import type { Why } from '../../device/node-context';
import type { Replaces } from '../../sip/replaces';
import type { Destination } from '../core/call-state';
import type { CallControlDependencies } from '../dependencies';
import { callsOfLines } from '../features/line-calls';
import type { CallProcess } from './call-process';
import type { DialogIndex, Place } from './dialog-index';
import { type DialogQuestion, type DialogReply, readDialogQuestion, readDialogReply } from './dialog-messages';

/** What the other nodes do not say by then they do not have, ms. */
const FIND_MS = 300;
/** The newest ones of a node are told. */
const MOST_TOLD = 16;

type Told = DialogReply['calls'][number];

export interface FoundThere {
  readonly node: number;
  readonly dialog: Told['dialog'];
}

/** A call of a line, with the leg of its phone. */
export interface FoundCall {
  readonly number: string;
  readonly device: string;
  readonly ageMs: number;
  readonly place: Place | FoundThere;
}

/** Dialogs and calls of lines, at whichever node they are. */
export class DialogSearch {
  constructor(
    private readonly deps: Pick<CallControlDependencies, 'clock' | 'otherNodes' | 'boot'>,
    private readonly dialogs: DialogIndex,
    private readonly processes: () => Iterable<CallProcess>,
  ) {}

  /** Which other node has it; undefined: none. Never rejects. */
  async elsewhere({ callId, toTag, fromTag }: Replaces): Promise<FoundThere | undefined> {
    const dialog = { callId, toTag, fromTag };
    const [found] = await this.ask({ op: 'dialog', dialog });
    return found && { node: found.node, dialog };
  }

  /** The calls of the lines, here and elsewhere, the newest first. Never rejects. */
  async calls(numbers: readonly string[], held: boolean): Promise<readonly FoundCall[]> {
    const here = this.callsHere(numbers, held);
    const there = await this.ask({ op: 'calls', numbers: [...numbers], held });
    const told = there.map(({ node, dialog, ...about }) => ({ ...about, place: { node, dialog } }));
    return [...here, ...told].sort((one, other) => one.ageMs - other.ageMs);
  }

  /** What another node asks; undefined: it cannot be understood. */
  answer(body: unknown): DialogReply | undefined {
    const question = readDialogQuestion(body);
    if (question === undefined) return undefined;
    if (question.op === 'calls') {
      const told = this.callsHere(question.numbers, question.held).flatMap((found) => this.tell(found));
      return { calls: told.sort((one, other) => one.ageMs - other.ageMs).slice(0, MOST_TOLD) };
    }
    const place = this.dialogs.find({ ...question.dialog, earlyOnly: false });
    const leg = place?.process.leg(place.leg);
    if (place === undefined || leg === undefined) return { calls: [] };
    const { number, device } = leg.party;
    return { calls: [{ number, device, ageMs: 0, dialog: question.dialog, process: this.processOf(place) }] };
  }

  private async ask(question: DialogQuestion): Promise<readonly (Told & { readonly node: number })[]> {
    const { otherNodes } = this.deps;
    const replies = (otherNodes?.live() ?? []).map(async (node) => {
      const reply = readDialogReply(await otherNodes?.ask(node, question, FIND_MS));
      return (reply?.calls ?? []).map((call) => ({ ...call, node }));
    });
    return (await Promise.all(replies)).flat();
  }

  private callsHere(numbers: readonly string[], held: boolean): readonly (FoundCall & { readonly place: Place })[] {
    const now = this.deps.clock.now();
    return [...this.processes()].flatMap((process) =>
      callsOfLines(process.snapshot, { numbers, held }).map(({ leg, since, ...about }) => ({
        ...about,
        place: { process, leg },
        ageMs: Math.max(0, now - since),
      })),
    );
  }

  private tell({ place, ...about }: FoundCall & { readonly place: Place }): readonly Told[] {
    const dialog = this.dialogs.dialogOf(place);
    if (dialog === undefined) return [];
    const { callId, localTag: toTag, remoteTag: fromTag } = dialog;
    return [{ ...about, dialog: { callId, toTag, fromTag }, process: this.processOf(place) }];
  }

  private processOf({ process }: Place): Told['process'] {
    return { pid: process.pid, boot: this.deps.boot };
  }
}

/** The node that has the dialog, which is to be replaced there, or joined. */
export function destinationAt({ node, dialog }: FoundThere, digits: string, why: Why, earlyOnly = false): Destination {
  return {
    pid: undefined,
    boot: 0,
    node,
    local: false,
    device: `node-${node}`,
    kind: 'station',
    digits,
    inPlaceOf: { replaces: { ...dialog, earlyOnly }, why },
  };
}
