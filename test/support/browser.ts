import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { dirname, extname, join, normalize, resolve } from 'node:path';
import { type Browser, chromium, type Page } from 'playwright-core';
import { eventually } from './eventually';
import { findCommand } from './processes';
import type { Scope } from './scope';
import { describeSound, hearsTones, mustNotHear, type Sound } from './sound';

const CONTENT_TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.mjs': 'text/javascript',
};

const pageFolder = resolve(__dirname, 'browser-page');
const libraryFolder = dirname(require.resolve('sip.js/lib/index.js'));
const LIBRARY = '/sip.js/';

/** The file of a path: of the page, or a module of sip.js, as it comes. */
function fileOf(path: string): string {
  const plain = normalize(path);
  if (plain.startsWith(LIBRARY)) return join(libraryFolder, plain.slice(LIBRARY.length));
  return join(pageFolder, plain === '/' ? 'index.html' : plain);
}

/** Serves the telephone's page; to a page from 127.0.0.1 a browser gives WebRTC without a certificate. */
async function servePage(scope: Scope): Promise<string> {
  const server = createServer((request, response) => {
    const path = fileOf(new URL(request.url ?? '/', 'http://127.0.0.1').pathname);
    readFile(path).then(
      (content) => response.setHeader('Content-Type', CONTENT_TYPES[extname(path)] ?? 'text/plain').end(content),
      () => response.writeHead(404).end(),
    );
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  scope.defer(() => {
    server.close();
    server.closeAllConnections();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
}

const FLAGS = [
  '--autoplay-policy=no-user-gesture-required',
  '--auto-accept-this-tab-capture',
  // ICE leaves loopback addresses out by itself.
  '--allow-loopback-in-peer-connection',
  // The certificates of the tests are signed by nobody that a browser knows.
  '--ignore-certificate-errors',
];

/** A Chromium without a screen; each telephone is a page of its own in it. */
export class TestBrowser {
  private constructor(
    private readonly scope: Scope,
    private readonly browser: Browser,
    private readonly address: string,
  ) {}

  static async start(scope: Scope): Promise<TestBrowser> {
    const address = await servePage(scope);
    const browser = await chromium.launch({
      executablePath: findCommand('chromium', 'chromium'),
      // Chromium refuses to be run by root with its sandbox.
      chromiumSandbox: process.getuid?.() !== 0,
      args: FLAGS,
      // What is muted cannot be listened to either; there is no loudspeaker.
      ignoreDefaultArgs: ['--mute-audio'],
    });
    scope.defer(() => browser.close());
    return new TestBrowser(scope, browser, address);
  }

  /** A telephone that is registered. */
  async phone(options: BrowserPhoneOptions): Promise<BrowserPhone> {
    // Who may not use the microphone is given only the address of the default route for ICE, under a name of multicast DNS.
    const context = await this.browser.newContext({ permissions: ['microphone'] });
    const page = await context.newPage();
    await page.goto(this.address);
    await page.waitForFunction('window.telephone !== undefined');
    // Only after a gesture of the user may a page listen to itself.
    await page.mouse.click(1, 1);
    const phone = new BrowserPhone(options, page);
    await phone.register();
    this.scope.defer(() => context.close());
    return phone;
  }
}

export interface BrowserPhoneOptions {
  /** `ws://127.0.0.1:5066`. */
  readonly server: string;
  readonly username: string;
  readonly password: string;
  readonly domain: string;
  /** Hz; its microphone. */
  readonly tone: number;
}

/** How the media of a call travel, as the browser tells. */
export interface BrowserMedia {
  readonly ice?: string;
  readonly dtls?: string;
  readonly dtlsRole?: string;
  readonly cipher?: string;
  readonly codec?: string;
}

/** A sip.js phone in a browser: SIP over WebSocket, DTLS-SRTP with ICE and rtcp-mux. */
export class BrowserPhone {
  /** Events before it are old. */
  private mark = 0;

  constructor(
    readonly options: BrowserPhoneOptions,
    private readonly page: Page,
  ) {}

  async register(): Promise<void> {
    await this.ask('register', this.options);
  }

  /** Resolves when the INVITE has been sent. */
  async dial(number: string): Promise<void> {
    await this.now();
    await this.ask('dial', `sip:${number}@${this.options.domain}`);
  }

  async incoming(): Promise<void> {
    await this.event('Incoming');
  }

  async accept(): Promise<void> {
    await this.ask('accept');
  }

  /** It knows that the other end rings. */
  async ringing(): Promise<void> {
    await this.event('Ringing');
  }

  async established(): Promise<void> {
    await this.event('Established');
  }

  async closed(): Promise<void> {
    await this.event('Terminated');
  }

  /** Resolves when the re-INVITE has been accepted. */
  async hold(): Promise<void> {
    await this.ask('hold');
  }

  async resume(): Promise<void> {
    await this.ask('resume');
  }

  /** Blind transfer of its current call; resolves when the REFER has been accepted. */
  async transfer(number: string): Promise<void> {
    await this.ask('transfer', `sip:${number}@${this.options.domain}`);
  }

  /** Attended transfer: the other ends of its first and its last call are connected. */
  async connect(): Promise<void> {
    await this.ask('connect');
  }

  /** It was told how its transfer stands, by the first line of a NOTIFY. */
  async notified(line: string): Promise<void> {
    await this.event(`Notified ${line}`);
  }

  /** Ends, rejects or cancels; without a call nothing happens. */
  async hangup(): Promise<void> {
    await this.ask('hangup');
  }

  /** Unregisters and closes its WebSocket. */
  async leave(): Promise<void> {
    await this.ask('leave');
  }

  /** From here on only later events count. */
  async now(): Promise<void> {
    this.mark = (await this.ask<readonly string[]>('events')).length;
  }

  media(): Promise<BrowserMedia> {
    return this.ask('media');
  }

  /** The SIP messages that it has sent and received, in order. */
  messages(): Promise<readonly string[]> {
    return this.ask('messages');
  }

  /** Waits until these tones, and nothing else, are what it hears. */
  async hearsTones(...tones: number[]): Promise<void> {
    let heard: Sound = { rate: 48000, samples: new Float64Array(0) };
    const look = async (): Promise<string> => {
      heard = await this.hear();
      return describeSound(heard, tones);
    };
    const what = `${this.options.username}'s browser hears ${tones.join(' and ')} Hz`;
    await eventually(what, look, () => hearsTones(heard, tones), { every: 100 });
  }

  /** Fails when any of the tones is in what it hears. */
  async doesNotHear(tones: readonly number[]): Promise<void> {
    mustNotHear(`${this.options.username}'s browser`, await this.hear(), tones);
  }

  /** What it heard last, a third of a second of it. */
  private async hear(): Promise<Sound> {
    const { rate, samples } = await this.ask<{ rate: number; samples: number[] }>('heard');
    return { rate, samples: Float64Array.from(samples) };
  }

  private async event(type: string): Promise<void> {
    await eventually(
      `${this.options.username}'s browser: ${type}`,
      () => this.ask<readonly string[]>('events'),
      (events) => events.slice(this.mark).includes(type),
    );
  }

  /** Calls a function of the page (`browser-page/phone.mjs`). */
  private ask<Result = void>(name: string, argument: unknown = null): Promise<Result> {
    return this.page.evaluate<Result>(`window.telephone.${name}(${JSON.stringify(argument)})`);
  }
}
