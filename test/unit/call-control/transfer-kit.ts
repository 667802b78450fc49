import { type FakeDevice, type FakeSession, sdp, settled, talking, target, type TwoParties, type World } from './kit';

/** Alice (1000) talks to Bob (2000); Carol (3000) is there to be called. */
export class Office {
  readonly world: World;
  readonly alice: FakeSession;
  readonly bob: FakeSession;
  readonly carol: FakeDevice;

  constructor({ world, a, b }: TwoParties = talking()) {
    this.world = world;
    this.alice = a;
    this.bob = b;
    this.carol = world.device('SEP-carol', '1.dp.3');
    world.route('3000', [target('1.dp.3', 'SEP-carol', { digits: '3000' })]);
    world.route('1000', [target('1.dp.4', 'SEP-alice', { digits: '1000' })]);
    world.device('SEP-alice', '1.dp.4');
  }

  /** The answer to a REFER. */
  refer(by: FakeSession, to: string, values: Readonly<Record<string, string>> = {}): number | undefined {
    const id = by.requestsThat('REFER', '', undefined, { 'Refer-To': `<sip:${to}@example.com>`, ...values });
    return by.responseTo(id)?.status;
  }

  /** Every phone does what it is asked until nobody is asked anything any more. */
  async rest(): Promise<void> {
    for (let turn = 0; turn < 12; turn += 1) {
      for (const session of this.phones) {
        const { offered } = session;
        if (offered !== undefined && !session.over) session.answersReinvite(described(session, offered.sdp));
      }
      await settled();
    }
  }

  /** Alice calls Carol too; `answered`: she talks to her. */
  consult(answered: boolean): FakeSession {
    const session = this.world.call({ dialled: '3000' });
    this.carol.session.rings();
    if (answered) {
      this.carol.session.answers(sdp('carol'), { 'Session-Expires': '1800;refresher=uac' });
      session.acks();
    }
    return session;
  }

  get phones(): readonly FakeSession[] {
    const rung = [...this.world.devices.values()].flatMap(({ calls }) => calls.map(({ session }) => session));
    return [...this.world.sessions, ...rung];
  }
}

const NAMES: ReadonlyMap<string, string> = new Map([
  ['caller', 'alice'],
  ['SEP-bob', 'bob'],
  ['SEP-carol', 'carol'],
  ['SEP-alice', 'alice'],
]);

function described({ who }: FakeSession, offer: string | undefined): string {
  const direction = /a=(sendonly|inactive)/.exec(offer ?? '')?.[1];
  const answered = { sendonly: 'recvonly', inactive: 'inactive' }[direction ?? ''];
  return sdp(NAMES.get(who) ?? who, answered === undefined ? {} : { direction: answered });
}

/** What a transferor was told. */
export function told(session: FakeSession): readonly string[] {
  return session
    .all('request')
    .filter(({ method }) => method === 'NOTIFY')
    .map(({ body = '', headers }) => `${/ (\d+) /.exec(body)?.[1]} ${headers['Subscription-State']?.split(';')[0]}`);
}

/** It answers each NOTIFY, as phones do. */
export function acceptNotifies(session: FakeSession): void {
  for (const { id = '', method } of session.all('request'))
    if (method === 'NOTIFY')
      session.emit({
        ...{ type: 'request-answered', id, method, status: 200, reason: 'OK', body: '', contentType: undefined },
        header: () => undefined,
      });
}

/** Where a phone was told to send its voice, and that it may. */
export function sendsTo(session: FakeSession): string | undefined {
  const telling = ['reinvite', 'acknowledge', 'answer'];
  const description = session.commands.findLast(
    ({ name, sdp: told }) => telling.includes(name) && told !== undefined,
  )?.sdp;
  return /c=IN IP4 (\S+)/.exec(description ?? '')?.[1];
}

/** Names the dialog of a session as the phone at its other end does. */
export function replacing({ dialog }: FakeSession, more = ''): string {
  if (dialog === undefined) throw new Error('no dialog');
  return `${dialog.callId};to-tag=${dialog.localTag};from-tag=${dialog.remoteTag}${more}`;
}
