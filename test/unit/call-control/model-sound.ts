import type { OutgoingCall } from '../../../src/device/device-process';
import type { Side } from '../../../src/media-resource/ports';
import type { Pid } from '../../../src/process/pid';
import type { Session } from '../../../src/sip/user-agent';
import { readSdp, type RemoteAudio } from '../../support/party-sdp';
import { type FakeAllocation, FakeDevice, type World } from './kit';
import type { WiredPhone } from './wired-phone';

/** What phones of a model hear, followed through the media resources of its nodes. */

/** A device whose phone is at the end of a wire. */
export class WiredDevice extends FakeDevice {
  constructor(
    about: FakeDevice['profile'],
    pid: Pid,
    private readonly begin: (call: OutgoingCall) => Session,
  ) {
    super(about, pid);
  }

  override call(call: OutgoingCall): Session {
    return this.begin(call);
  }
}

interface Place {
  readonly address: string;
  readonly port: number;
}

function inUse(worlds: readonly World[]): readonly FakeAllocation[] {
  return worlds.flatMap(({ resources }) => resources.granted.filter(({ released }) => released === 0));
}

/** A resource that is in use at a node dies; false: there is none. */
export function lose(world: World, which: number): boolean {
  const used = inUse([world]);
  const one = used[which % Math.max(1, used.length)];
  if (one === undefined) return false;
  world.resources.joining += 1;
  one.lost();
  return true;
}

/** What `ear` hears of `mouth`: `speech`, or what is wrong. `most`: resources and phones on the way. */
export function speech(worlds: readonly World[], mouth: WiredPhone, ear: WiredPhone, most: number): string {
  let at: Place | undefined = mouth.voice;
  if (at === undefined) return `nothing: ${mouth.name} is silent`;
  for (let hops = 0; hops < most && at !== undefined; hops++) {
    const { address, port }: Place = at;
    if (port === ear.port) return ear.codecs.includes(mouth.voice!.codec) || hops > 0 ? 'speech' : 'noise';
    const relay = inUse(worlds).find((one) => one.port === port && one.need.type !== 'moh');
    if (relay === undefined) return `nothing: nobody is at ${address}:${port}`;
    const [from, to]: readonly Side[] = address === '10.0.8.1' ? ['a', 'b'] : ['b', 'a'];
    const spoken = said(relay, from);
    const heard = said(relay, to);
    if (!mayFlow(spoken, heard)) return `nothing: ${address}:${port} relays ${JSON.stringify({ spoken, heard })}`;
    at = heard;
  }
  return 'nothing: it goes in a circle';
}

/** Whether a phone hears music: `music`, or what is wrong. */
export function music(worlds: readonly World[], { remote, port: own }: WiredPhone): string {
  const server = inUse(worlds).find(({ port, need }) => need.type === 'moh' && port === remote?.port);
  const told = readSdp(server?.answers.at(-1) ?? '');
  return told?.port === own && told.direction !== 'inactive' ? 'music' : `no music, but ${JSON.stringify(remote)}`;
}

function said({ described }: FakeAllocation, side: Side | undefined): RemoteAudio | undefined {
  return side === undefined ? undefined : readSdp(described.get(side) ?? '');
}

function mayFlow(spoken: RemoteAudio | undefined, heard: RemoteAudio | undefined): boolean {
  const sends = spoken?.direction === 'sendrecv' || spoken?.direction === 'sendonly';
  const hears = heard?.direction === 'sendrecv' || heard?.direction === 'recvonly';
  return sends && hears;
}
