import { reasonPhrase } from '../../../src/sip-message/response';
import { WORD_HEADER } from '../../../src/sip/node-signature';
import { type Command, type FakeDevice, profile, sdp, target, World } from './kit';

// 488 and 606 ask for media resources first, on either side: path.test.ts.
const STATUSES = [
  ...[300, 302, 305, 380, 400, 401, 402, 403, 404, 405, 406, 407, 408, 410, 413, 414, 415, 416, 420, 421, 422, 423],
  ...[428, 430, 433, 436, 437, 438, 439, 480, 481, 482, 483, 484, 485, 486, 487, 489, 491, 493, 494],
  ...[500, 501, 502, 503, 504, 505, 513, 580, 599, 600, 603, 604, 699],
];

type Refuses = (callee: FakeDevice) => void;

/** What the caller hears, and whether the second target was tried. */
interface Outcome {
  readonly status: number | undefined;
  readonly reason: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly wentOn: boolean;
}

/** What the user agent writes when it is told nothing. */
const phrase = ({ status = 0, reason }: Command): string => reason ?? reasonPhrase(status);

const withoutMark = ({ [WORD_HEADER]: _, ...headers }: Command['headers']): Command['headers'] => headers;

/** The two targets of a number; the first is a device of this node. */
function heardHere(kind: 'station' | 'gateway', refuses: Refuses): Outcome {
  const world = new World();
  const [callee, other] = [world.device('callee', '1.dp.2', kind), world.device('other', '1.dp.3', kind)];
  world.route('2000', [target('1.dp.2', 'callee', { kind }), target('1.dp.3', 'other', { kind })]);
  const a = world.call();
  refuses(callee);
  const wentOn = other.calls.length > 0;
  if (wentOn) other.session.rejects(480);
  const heard = a.last('reject');
  return { status: heard.status, reason: phrase(heard), headers: withoutMark(heard.headers), wentOn };
}

/** The same with the first device at another node, which is asked for that PID. */
function heardAcross(kind: 'station' | 'gateway', refuses: Refuses): Outcome {
  const [near, far] = [new World(), new World()];
  const node = near.device('node-2', '2.dp.1', 'node');
  const other = near.device('other', '1.dp.3', kind);
  near.route('2000', [target('2.dp.1', 'callee', { kind }), target('1.dp.3', 'other', { kind })]);
  const a = near.call();
  const callee = far.device('callee', '2.dp.1', kind);
  const between = far.call({ from: { ...profile('node-1', 'node'), node: 1 }, target: callee });
  refuses(callee);
  const answer = between.last('reject');
  node.session.rejects(answer.status ?? 0, answer.headers, phrase(answer));
  const wentOn = other.calls.length > 0;
  if (wentOn) other.session.rejects(480);
  const heard = a.last('reject');
  return { status: heard.status, reason: phrase(heard), headers: withoutMark(heard.headers), wentOn };
}

describe('a refusal is the same for the caller, and tries as much, wherever the device is', () => {
  describe.each(['station', 'gateway'] as const)('a %s says', (kind) => {
    test.each(STATUSES)('%i', (status) => {
      const refuses: Refuses = (callee) => callee.session.rejects(status, { 'Retry-After': '30' }, 'As It Says');
      expect(heardAcross(kind, refuses)).toEqual(heardHere(kind, refuses));
    });

    test('200 without a description', () => {
      const refuses: Refuses = (callee) => callee.session.answers(undefined);
      const here = heardHere(kind, refuses);
      expect(here.status).toBe(500);
      expect(heardAcross(kind, refuses)).toEqual(here);
    });
  });

  test.each([500, 503])(
    '%i without the signed word of the node is the failure of the node: 480, and the next one',
    (status) => {
      const world = new World();
      const [node, here] = [world.device('node-2', '2.dp.1', 'node'), world.device('SEP-bob', '1.dp.2')];
      world.route('2000', [target('2.dp.1', 'SEP-bob'), target('1.dp.2', 'SEP-bob')]);
      const a = world.call({ sdp: sdp('alice') });
      node.session.rejects(status, { Reason: 'Q.850;cause=34' });
      here.session.rejects(480);
      expect(a.last('reject').status).toBe(480);
    },
  );

  test('a node that stops says nothing of the number', () => {
    const world = new World();
    const callee = world.device('callee', '1.dp.2');
    const a = world.call({ from: { ...profile('node-2', 'node'), node: 2 }, target: callee });
    world.control.endAll('The node stops');
    expect(a.last('reject').headers).not.toHaveProperty(WORD_HEADER);
  });

  test('a phone is not told', () => {
    const world = new World();
    const callee = world.device('callee', '1.dp.2');
    world.route('2000', [target('1.dp.2', 'callee')]);
    const a = world.call();
    callee.session.rejects(500);
    expect(a.last('reject').headers).not.toHaveProperty(WORD_HEADER);
  });
});
