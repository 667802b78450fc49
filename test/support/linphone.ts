import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { eventually, eventuallyTrue } from './eventually';
import { phoneShim } from './phone-shim';
import { freeAddress, freePort } from './ports';
import { LaunchedProcess } from './processes';
import type { Scope } from './scope';
import { describeSound, encodeWav, hearsTones, isSilent, makeTones, mustNotHear, readWav, type Sound } from './sound';

export interface LinphoneOptions {
  readonly name: string;
  /** Hz; also what it sends while it holds: unlike baresip it goes on sending. */
  readonly tone: number;
  readonly username?: string;
  readonly password?: string;
  readonly domain?: string;
  /** `127.0.0.1:5060`; undefined: it does not register. */
  readonly server?: string;
  /** It speaks nothing but SRTP, with keys in its descriptions. */
  readonly srtp?: boolean;
}

const codecs = ['opus/48000', 'speex/16000', 'speex/8000', 'speex/32000', 'GSM/8000', 'G722/8000', 'G729/8000'];

/** All codecs must be listed: those that are not are added by the phone, and offered first. */
function codecSections(): string[] {
  return ['PCMA/8000', 'PCMU/8000', ...codecs].flatMap((codec, index) => {
    const [mime, rate] = codec.split('/');
    const enabled = index < 2 ? 1 : 0;
    const channels = mime === 'opus' ? 2 : 1;
    return [`[audio_codec_${index}]`, `mime=${mime}`, `rate=${rate}`, `channels=${channels}`, `enabled=${enabled}`];
  });
}

function account({ name, username = name, password, domain, server }: LinphoneOptions): string[] {
  if (server === undefined || domain === undefined) return [];
  return [
    '[proxy_0]',
    `reg_proxy=<sip:${server};transport=udp>`,
    `reg_route=<sip:${server};transport=udp;lr>`,
    `reg_identity="${name}" <sip:${username}@${domain}>`,
    'reg_expires=60',
    'reg_sendregister=1',
    'publish=0',
    '[auth_info_0]',
    `username=${username}`,
    `userid=${username}`,
    `passwd=${password ?? ''}`,
    `realm=${domain}`,
    `domain=${domain}`,
  ];
}

function configuration(options: LinphoneOptions, address: string, sipPort: number, rtpPort: number): string {
  return [
    '[sip]',
    `sip_port=${sipPort}`,
    'sip_tcp_port=0',
    'sip_tls_port=0',
    `bind_address=${address}`,
    'guess_hostname=0',
    `contact="${options.name}" <sip:${options.username ?? options.name}@${address}:${sipPort}>`,
    'use_ipv6=0',
    ...(options.srtp === true ? ['media_encryption=srtp', 'media_encryption_mandatory=1'] : []),
    `default_proxy=${options.server === undefined ? -1 : 0}`,
    'register_only_when_network_is_up=0',
    'keepalive_period=0',
    '[rtp]',
    `audio_rtp_port=${rtpPort}`,
    `bind_address=${address}`,
    '[sound]',
    'echocancellation=0',
    '[net]',
    'firewall_policy=0',
    'dns_srv_enabled=0',
    'mtu=0',
    '[video]',
    'enabled=0',
    'capture=0',
    'display=0',
    'automatically_initiate=0',
    'automatically_accept=0',
    '[misc]',
    'log_collection=0',
    'store_friends=0',
    ...account(options),
    ...codecSections(),
    '',
  ].join('\n');
}

/** A linphonec driven by lines: the second independent stack, and a holder that goes on sending while it holds. */
export class LinphonePhone {
  /** Where the tests look from. Every call of the phone moves it. */
  private mark = 0;

  private constructor(
    readonly options: LinphoneOptions,
    readonly uri: string,
    private readonly recording: string,
    readonly process: LaunchedProcess,
  ) {}

  /** Starts it, with files for microphone and ear; registered when it has a server. */
  static async start(scope: Scope, options: LinphoneOptions): Promise<LinphonePhone> {
    const directory = scope.directory(options.name);
    const address = freeAddress();
    const sipPort = await freePort(address);
    // Without this folder its database cannot be made, and it stops half-way without a word.
    mkdirSync(join(directory, '.local/share/linphone'), { recursive: true });
    writeFileSync(join(directory, 'linphonerc'), configuration(options, address, sipPort, await freePort(address)));
    const microphone = join(directory, 'microphone.wav');
    writeFileSync(microphone, encodeWav(makeTones([options.tone], 120)));
    const recording = join(directory, 'ear.wav');
    const process = LaunchedProcess.launch(scope, {
      command: 'linphonec',
      args: ['-c', join(directory, 'linphonerc'), '-d', '5', '-l', join(directory, 'sip.log'), '-S'],
      log: join(directory, 'log'),
      package: 'linphone-cli',
      env: { HOME: directory, LD_PRELOAD: phoneShim(), PHONE_IP: address, TERM: 'dumb' },
      cwd: directory,
      stdin: true,
      nice: true,
    });
    scope.defer(() => {
      process.writeLine('quit');
    });
    const uri = `sip:${options.username ?? options.name}@${address}:${sipPort}`;
    const phone = new LinphonePhone(options, uri, recording, process);
    await process.ready(() => process.output().includes('linphonec>'));
    await phone.command('soundcard use files');
    await phone.command(`play ${microphone}`);
    await phone.command(`record ${recording}`);
    if (options.server !== undefined) await phone.registered();
    return phone;
  }

  /** Sends one line and waits for the prompt; returns what was printed in between. */
  async command(line: string): Promise<string> {
    const before = this.process.output().length;
    this.process.writeLine(line);
    // Its answer has no end mark, and it loses a line that comes while it is still busy with the one before.
    await eventuallyTrue(`linphonec answers ${line}`, () => this.process.output().length > before, { cap: 5000 }).catch(
      () => undefined,
    );
    await pause(250);
    return this.process.output().slice(before);
  }

  /** A call that it has is to be held before. */
  async dial(target: string): Promise<void> {
    this.now();
    await this.command(`call ${target}`);
  }

  async accept(): Promise<void> {
    await this.command('answer');
  }

  /** Holds; it sends `a=sendonly` and goes on sending its tone. */
  async hold(): Promise<void> {
    await this.command('pause');
  }

  /** `call`: its number of it; left out: the one that is held. */
  async resume(call?: number): Promise<void> {
    await this.command(call === undefined ? 'resume' : `resume ${call}`);
  }

  /** Blind: of its only call. */
  async transfer(target: string): Promise<void> {
    await this.command(`transfer ${target}`);
  }

  /** Its number of the call that has begun last. */
  get lastCall(): number {
    return Number([...this.process.output().matchAll(/assigned id (\d+)/g)].at(-1)?.[1] ?? 0);
  }

  /** Attended: the other end of one of its calls gets that of another one. */
  async connect(call: number, other: number): Promise<void> {
    await this.command(`transfer ${call} --to-call ${other}`);
  }

  async hangup(): Promise<void> {
    await this.command('terminate all');
  }

  /** From here on only what it prints later counts. */
  now(): void {
    this.mark = this.process.output().length;
  }

  /** Waits until it has printed something since the mark. */
  async prints(pattern: RegExp, cap = 30_000): Promise<void> {
    const printed = (): string => this.process.output().slice(this.mark);
    await eventually(`${this.options.name} prints ${String(pattern)}`, printed, (text) => pattern.test(text), { cap });
  }

  async incoming(): Promise<void> {
    await this.prints(/Receiving new incoming call/);
  }

  async established(): Promise<void> {
    await this.prints(/Media streams established|Call \d+ with .* connected/i);
  }

  async closed(): Promise<void> {
    await this.prints(/Call \d+ with .* ended/i);
  }

  /** What arrives at its ear in the next seconds. */
  async hear(seconds: number): Promise<Sound> {
    const before = existsSync(this.recording) ? statSync(this.recording).size : 0;
    await pause(seconds * 1000);
    if (!existsSync(this.recording)) return { rate: 8000, samples: new Float64Array(0) };
    return readWav(this.recording, before);
  }

  async hearsTones(...tones: number[]): Promise<void> {
    let heard: Sound = { rate: 8000, samples: new Float64Array(0) };
    await eventually(
      `${this.options.name} hears ${tones.join(' and ')} Hz`,
      async () => {
        heard = await this.hear(0.5);
        return describeSound(heard, tones);
      },
      () => hearsTones(heard, tones),
      { every: 0 },
    );
  }

  async hearsNothing(): Promise<void> {
    let heard: Sound = { rate: 8000, samples: new Float64Array(0) };
    await eventually(
      `${this.options.name} hears nothing`,
      async () => {
        heard = await this.hear(1);
        return describeSound(heard, []);
      },
      () => isSilent(heard),
      { every: 0 },
    );
  }

  /** Fails when any of the tones is heard in the next seconds. */
  async doesNotHear(tones: readonly number[], seconds = 1): Promise<void> {
    mustNotHear(this.options.name, await this.hear(seconds), tones);
  }

  async stop(): Promise<void> {
    await this.process.stop();
  }

  /** Its own log of SIP messages. */
  sipLog(): string {
    return readFileSync(join(this.recording, '../sip.log'), 'utf8');
  }

  private async registered(): Promise<void> {
    await eventually(
      `${this.options.name} is registered`,
      () => this.command('status register'),
      (answer) => answer.includes('registered, identity'),
      { every: 100 },
    );
  }
}
