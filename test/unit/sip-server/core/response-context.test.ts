import fc from 'fast-check';
import type { SipResponse } from '../../../../src/sip-message/message';
import {
  proxyInitial,
  proxyStep,
  type ProxyEffect,
  type ProxySignal,
  type ProxyState,
} from '../../../../src/sip-server/core/proxy/response-context';

const response = (status: number): SipResponse => ({
  kind: 'response',
  status,
  reason: String(status),
  headers: [],
  body: Buffer.alloc(0),
});

/** Runs signals one after another and keeps what was decided. */
class Search {
  state: ProxyState;
  effects: ProxyEffect[] = [];

  constructor(options: Partial<Parameters<typeof proxyInitial>[0]> = {}) {
    this.state = proxyInitial({
      invite: true,
      simultaneous: false,
      followRedirects: false,
      destinations: ['sip:a', 'sip:b', 'sip:c'],
      ...options,
    });
    this.run({ type: 'start' });
  }

  run(signal: ProxySignal): ProxyEffect[] {
    const step = proxyStep(this.state, signal);
    this.state = step.state;
    this.effects.push(...step.effects);
    return [...step.effects];
  }

  provisional(branch: number, status = 180): ProxyEffect[] {
    return this.run({ type: 'provisional', branch, response: response(status) });
  }

  final(branch: number, status: number, contacts: readonly string[] = []): ProxyEffect[] {
    return this.run({ type: 'final', branch, outcome: { status, response: response(status) }, contacts });
  }

  failed(branch: number, status: number): ProxyEffect[] {
    return this.run({ type: 'final', branch, outcome: { status, response: undefined }, contacts: [] });
  }

  get tried(): string[] {
    return this.effects.flatMap((effect) => (effect.type === 'try' ? [effect.target.uri] : []));
  }

  get refused(): number[] {
    return this.effects.flatMap((effect) => (effect.type === 'refuse' ? [effect.status] : []));
  }
}

const types = (effects: readonly ProxyEffect[]): string[] => effects.map((effect) => effect.type);

describe('serial search', () => {
  test('the next target is tried after a refusal, and a 2xx ends the search', () => {
    const search = new Search();
    expect(search.tried).toEqual(['sip:a']);
    search.final(0, 486);
    expect(search.tried).toEqual(['sip:a', 'sip:b']);
    expect(types(search.final(1, 200))).toEqual(['forward', 'done']);
    expect(search.tried).toEqual(['sip:a', 'sip:b']);
  });

  test.each([
    [[486, 404, 503], 404],
    [[486, 404, 484], 484],
    [[503, 500, 486], 486],
    [[302, 404, 500], 302],
  ])('RFC 3261 §16.7 step 6: of %j the best is %i', (statuses, best) => {
    const search = new Search();
    statuses.forEach((status, branch) => search.final(branch, status));
    expect(search.refused).toEqual([best]);
  });

  test('RFC 3261 §16.7 step 6: when all that came was 503, the caller gets 500', () => {
    const search = new Search({ destinations: ['sip:a'] });
    search.final(0, 503);
    expect(search.refused).toEqual([500]);
  });

  test('RFC 3261 §16.7 step 5: after 6xx no other target is tried', () => {
    const search = new Search();
    search.final(0, 603);
    expect(search.tried).toEqual(['sip:a']);
    expect(search.refused).toEqual([603]);
  });

  test.each([401, 407])('a %i stops the search: the caller has to answer it', (status) => {
    const search = new Search();
    search.final(0, status);
    expect(search.tried).toEqual(['sip:a']);
    expect(search.refused).toEqual([status]);
  });

  test('a target that is overdue is cancelled and the next one tried; a 2xx of it still counts', () => {
    const search = new Search();
    expect(types(search.run({ type: 'overdue', branch: 0 }))).toEqual(['cancel', 'try']);
    expect(types(search.provisional(0))).toEqual([]);
    expect(types(search.final(0, 200))).toEqual(['forward', 'cancel', 'done']);
  });

  test('no answer of anybody is 408', () => {
    const search = new Search();
    [0, 1, 2].forEach((branch) => search.failed(branch, 408));
    expect(search.refused).toEqual([408]);
  });
});

describe('simultaneous search', () => {
  test('all targets at once; a 2xx cancels those that are left, and further 2xx are forwarded', () => {
    const search = new Search({ simultaneous: true });
    expect(search.tried).toEqual(['sip:a', 'sip:b', 'sip:c']);
    search.provisional(0);
    expect(types(search.final(1, 200))).toEqual(['forward', 'cancel', 'cancel', 'done']);
    expect(types(search.final(0, 200))).toEqual(['forward']);
    expect(types(search.final(2, 487))).toEqual([]);
    expect(search.refused).toEqual([]);
  });

  test('RFC 3261 §16.7 step 5: 6xx cancels the others, and goes upstream when they have ended', () => {
    const search = new Search({ simultaneous: true });
    expect(types(search.final(0, 603))).toEqual(['cancel', 'cancel']);
    search.final(1, 487);
    search.final(2, 486);
    expect(search.refused).toEqual([603]);
  });

  test('RFC 3261 §16.7 step 7: the challenges of all targets go upstream together', () => {
    const search = new Search({ simultaneous: true });
    search.final(0, 407);
    search.final(1, 486);
    search.final(2, 401);
    const refusal = search.effects.find((effect) => effect.type === 'refuse');
    expect(refusal?.challenges.map(({ status }) => status)).toEqual([407, 401]);
  });
});

describe('redirects', () => {
  test('Contacts of a 3xx become targets, each only once', () => {
    const search = new Search({ followRedirects: true, destinations: ['sip:a'] });
    search.final(0, 302, ['sip:b', 'sip:a']);
    search.final(1, 302, ['sip:a', 'sip:b']);
    expect(search.tried).toEqual(['sip:a', 'sip:b']);
    expect(search.refused).toEqual([302]);
  });

  test('without being asked to follow, the 3xx goes upstream', () => {
    const search = new Search({ destinations: ['sip:a'] });
    search.final(0, 302, ['sip:b']);
    expect(search.refused).toEqual([302]);
  });

  test('redirects without end come to an end', () => {
    const search = new Search({ followRedirects: true, destinations: ['sip:a'] });
    for (let branch = 0; branch < 1000 && search.refused.length === 0; branch += 1) {
      search.final(branch, 302, [`sip:n${branch}`, `sip:m${branch}`]);
    }
    expect(search.tried.length).toBeLessThanOrEqual(32);
    expect(search.refused).toEqual([302]);
  });
});

describe('CANCEL of the caller', () => {
  test('RFC 3261 §16.10: branches that ring are cancelled and heard to the end; the others are not waited for', () => {
    const search = new Search({ simultaneous: true });
    search.provisional(0);
    expect(types(search.run({ type: 'cancel' }))).toEqual(['cancel', 'cancel', 'cancel']);
    expect(search.refused).toEqual([]);
    search.final(0, 487);
    expect(search.refused).toEqual([487]);
  });

  test('a 2xx that crosses the CANCEL goes upstream', () => {
    const search = new Search({ destinations: ['sip:a'] });
    search.provisional(0);
    search.run({ type: 'cancel' });
    expect(types(search.final(0, 200))).toEqual(['forward', 'done']);
    expect(search.refused).toEqual([]);
  });
});

test('whatever comes, in whatever order: one final response goes upstream, and nothing is tried after it', () => {
  const status = fc.constantFrom(100, 180, 200, 302, 401, 404, 407, 486, 487, 500, 503, 603);
  const branch = fc.nat({ max: 8 });
  const signal = fc.oneof<fc.Arbitrary<ProxySignal>[]>(
    fc.record({ type: fc.constant('provisional' as const), branch, response: fc.constant(response(180)) }),
    fc.record({
      type: fc.constant('final' as const),
      branch,
      outcome: fc.oneof(
        status.filter((one) => one >= 200).map((one) => ({ status: one, response: response(one) })),
        fc.constantFrom(408, 503).map((one) => ({ status: one, response: undefined })),
      ),
      contacts: fc.array(fc.constantFrom('sip:d', 'sip:e', 'sip:f'), { maxLength: 3 }),
    }),
    fc.record({ type: fc.constant('overdue' as const), branch }),
    fc.constant<ProxySignal>({ type: 'cancel' }),
  );
  fc.assert(
    fc.property(
      fc.record({ invite: fc.boolean(), simultaneous: fc.boolean(), followRedirects: fc.boolean() }),
      fc.array(signal, { maxLength: 40, size: 'max' }),
      (options, signals) => {
        const search = new Search(options);
        for (const one of signals) search.run(one);
        // Everybody who has not answered is silent in the end.
        for (let index = 0; index < search.state.branches.length; index += 1) search.failed(index, 408);
        const upstream = search.effects.filter(
          (effect) => effect.type === 'refuse' || (effect.type === 'forward' && effect.response.status >= 200),
        );
        const dones = search.effects.filter((effect) => effect.type === 'done');
        expect(dones).toHaveLength(1);
        const end = search.effects.findIndex((effect) => effect.type === 'done');
        expect(types(search.effects.slice(end))).not.toContain('try');
        if (search.refused.length > 0 || !options.invite) expect(upstream).toHaveLength(1);
        else expect(upstream.length).toBeGreaterThan(0);
      },
    ),
  );
});
