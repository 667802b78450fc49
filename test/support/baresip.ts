import { existsSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { BaresipControl, type BaresipEvent } from './baresip-control';
import { eventually } from './eventually';
import { phoneShim } from './phone-shim';
import { type DialogName, tagOf } from './party-messages';
import { freeAddress, freePort } from './ports';
import { LaunchedProcess } from './processes';
import type { Scope } from './scope';
import { describeSound, hearsTones, isSilent, mustNotHear, readWav, type Sound } from './sound';

export interface BaresipOptions {
  readonly name: string;
  /** Hz; its microphone. */
  readonly tone: number;
  readonly username?: string;
  readonly password?: string;
  readonly domain?: string;
  readonly displayName?: string;
  /** `127.0.0.1:5060`; undefined: a phone that does not register and calls by address. */
  readonly server?: string;
  readonly transport?: 'udp' | 'tcp' | 'tls';
  /** In order, baresip's names. */
  readonly codecs?: string;
  readonly answerMode?: 'manual' | 'early' | 'auto';
  /** Seconds. */
  readonly registerInterval?: number;
  /** More parameters of the account, such as `mediaenc=srtp`. */
  readonly account?: string;
  /** More lines of the configuration, such as `module srtp.so`. */
  readonly config?: readonly string[];
}

/** One SIP message of the phone's own trace. */
export interface TracedMessage {
  /** `UDP 127.40.1.2:5060 -> 127.0.0.1:5070`. */
  readonly way: string;
  readonly text: string;
}

interface Place {
  readonly address: string;
  readonly sipPort: number;
  readonly controlPort: number;
  readonly directory: string;
}

function configuration(options: BaresipOptions, place: Place): string {
  const { address, sipPort, controlPort, directory } = place;
  const modules = ['opus', 'g722', 'g711', 'ausine', 'aufile', 'sndfile'];
  return [
    'poll_method epoll',
    `sip_listen ${address}:${sipPort}`,
    `net_interface ${address}`,
    'call_local_timeout 120',
    'call_max_calls 8',
    'audio_path /usr/share/baresip',
    'audio_player aubridge,sink',
    'audio_alert aubridge,alert',
    `audio_source ausine,${options.tone}`,
    'ausrc_srate 48000',
    'ausrc_channels 2',
    'audio_level no',
    'rtp_ports 10000-10100',
    'rtp_stats yes',
    'rtcp_mux no',
    'jitter_buffer_delay 5-10',
    'module_path /usr/lib/baresip/modules',
    ...modules.map((module) => `module ${module}.so`),
    `snd_path ${directory}/rec`,
    'module_tmp uuid.so',
    'module_tmp account.so',
    'module_app debug_cmd.so',
    'module_app menu.so',
    'module_app ctrl_tcp.so',
    `ctrl_tcp_listen ${address}:${controlPort}`,
    'ringback_disabled yes',
    'menu_bell no',
    'statmode_default off',
    ...(options.config ?? []),
    '',
  ].join('\n');
}

/** A baresip without a screen: a real phone with a tone for a microphone, which records what it hears. */
export class Phone {
  /** Where the tests look from: events before it are old. Every command of the phone moves it. */
  private mark = 0;

  private constructor(
    readonly options: BaresipOptions,
    readonly place: Place,
    readonly process: LaunchedProcess,
    readonly control: BaresipControl,
  ) {}

  /** Starts the program and creates its account; a phone with a server is registered with `register`. */
  static async start(scope: Scope, options: BaresipOptions): Promise<Phone> {
    const address = freeAddress();
    const directory = scope.directory(options.name);
    const place = { address, sipPort: await freePort(address), controlPort: await freePort(address), directory };
    mkdirSync(join(directory, 'rec'));
    writeFileSync(join(directory, 'config'), configuration(options, place));
    writeFileSync(join(directory, 'accounts'), '# created over the control port, so that no event is lost\n');
    writeFileSync(join(directory, 'contacts'), '');
    const process = LaunchedProcess.launch(scope, {
      command: 'baresip',
      args: ['-4', '-f', directory, '-s'],
      log: join(directory, 'log'),
      package: 'baresip-core',
      env: { HOME: directory, LD_PRELOAD: phoneShim(), PHONE_IP: address },
      nice: true,
      // It first unregisters, which takes its time when the server is gone.
      patience: 500,
    });
    let control: BaresipControl | undefined;
    await process.ready(async () => {
      control = await BaresipControl.connect(address, place.controlPort);
      return true;
    });
    if (control === undefined) throw new Error('unreachable: baresip is ready');
    const opened = control;
    scope.defer(() => {
      opened.close();
    });
    const phone = new Phone(options, place, process, opened);
    if (options.server === undefined) await phone.control.command('uanew', phone.account(0));
    return phone;
  }

  get name(): string {
    return this.options.name;
  }

  get username(): string {
    return this.options.username ?? this.options.name;
  }

  /** Where it can be called without a server. */
  get uri(): string {
    return `sip:${this.username}@${this.place.address}:${this.place.sipPort}`;
  }

  /** Registers; resolves when the server has accepted it. Throws with the server's reason when it refuses. */
  async register(cap = 30_000): Promise<void> {
    const event = await this.tryRegister(cap);
    if (event.type !== 'REGISTER_OK') throw new Error(`${this.name} may not register: ${event.param}`);
  }

  /** Registers; resolves with REGISTER_OK or REGISTER_FAIL. */
  async tryRegister(cap = 30_000): Promise<BaresipEvent> {
    const mark = this.now();
    await this.control.command('uanew', this.account(this.options.registerInterval ?? 60));
    return this.control.event(['REGISTER_OK', 'REGISTER_FAIL'], mark, cap);
  }

  /** Registers with another node, as a phone does that lost its own. */
  async moveTo(server: string, cap = 30_000): Promise<void> {
    await this.control.command('uadel', `sip:${this.username}@${this.domain}`);
    const mark = this.now();
    await this.control.command('uanew', this.account(this.options.registerInterval ?? 60, server));
    await this.control.event(['REGISTER_OK'], mark, cap);
  }

  async dial(target: string): Promise<void> {
    this.now();
    await this.control.command('dial', target);
  }

  async accept(): Promise<void> {
    await this.control.command('accept');
  }

  /** Ends, rejects or cancels. */
  async hangup(): Promise<void> {
    await this.control.command('hangup');
  }

  /** Resolves when the other side has answered the re-INVITE. */
  async hold(): Promise<void> {
    await this.reInvite('hold');
  }

  async resume(): Promise<void> {
    await this.reInvite('resume');
  }

  async reinvite(): Promise<void> {
    await this.reInvite('reinvite');
  }

  /** REFER in its current call: a number, or a URI without angle brackets as this phone writes it. */
  async transfer(target: string): Promise<void> {
    await this.control.command('transfer', target);
  }

  /** Makes the call with this Call-ID the current one. */
  async choose(callId: string): Promise<void> {
    await this.control.command('callfind', callId);
  }

  /** The dialog of its call that was established last, as this end names it: from the ACK, whichever end has sent it. */
  dialog(): DialogName {
    const callId = this.control.events.findLast(({ type }) => type === 'CALL_ESTABLISHED')?.id ?? '';
    const ack = this.trace().findLast(({ text }) => text.startsWith('ACK ') && text.includes(`\nCall-ID: ${callId}\n`));
    const tag = (name: string): string => tagOf(new RegExp(`^${name}: (.*)$`, 'm').exec(ack?.text ?? '')?.[1] ?? '');
    const sent = ack?.way.includes(` ${this.place.address}:${this.place.sipPort} -> `) === true;
    return { callId, localTag: tag(sent ? 'From' : 'To'), remoteTag: tag(sent ? 'To' : 'From') };
  }

  /** RFC 4733 digits. */
  async dtmf(digits: string): Promise<void> {
    await this.control.command('sndcode', digits);
  }

  /** The next event of a type; events count from the last `dial`, `register` or `now`. */
  event(types: string | readonly string[], cap = 30_000): Promise<BaresipEvent> {
    return this.control.event(typeof types === 'string' ? [types] : types, this.mark, cap);
  }

  incoming(cap?: number): Promise<BaresipEvent> {
    return this.event('CALL_INCOMING', cap);
  }

  established(cap?: number): Promise<BaresipEvent> {
    return this.event('CALL_ESTABLISHED', cap);
  }

  closed(cap?: number): Promise<BaresipEvent> {
    return this.event('CALL_CLOSED', cap);
  }

  /** From here on only later events count. Returns the mark. */
  now(): number {
    this.mark = this.control.events.length;
    return this.mark;
  }

  /** Types of the events since the mark. */
  eventTypes(): string[] {
    return this.control.events.slice(this.mark).map((event) => event.type);
  }

  /** What arrives at its ear in the next seconds. */
  async hear(seconds: number): Promise<Sound> {
    const before = new Map(this.recordings().map((path) => [path, statSync(path).size]));
    await pause(seconds * 1000);
    const sounds = this.recordings().map((path) => readWav(path, before.get(path) ?? 0));
    const last = sounds.findLast((sound) => sound.samples.length > 0);
    return last ?? { rate: 8000, samples: new Float64Array(0) };
  }

  /** Waits until these tones, and nothing else, are what it hears. */
  async hearsTones(...tones: number[]): Promise<void> {
    await this.listen(`hears ${tones.join(' and ')} Hz`, tones, (sound) => hearsTones(sound, tones));
  }

  /** Waits until it hears nothing for a second. */
  async hearsNothing(): Promise<void> {
    await this.listen('hears nothing', [], isSilent, 1);
  }

  /** Fails when any of the tones is heard in the next seconds. */
  async doesNotHear(tones: readonly number[], seconds = 1): Promise<void> {
    mustNotHear(this.name, await this.hear(seconds), tones);
  }

  /** The SIP messages that it has sent and received, in order. */
  trace(): TracedMessage[] {
    const blocks = /\u001b\[36;1m#\n(\w+ [\d.]+:\d+ -> [\d.]+:\d+)\n([\s\S]*?)\u001b\[;m/g;
    return Array.from(this.process.output().matchAll(blocks), (match) => ({
      way: match[1] ?? '',
      text: (match[2] ?? '').replaceAll('\r', ''),
    }));
  }

  async stop(): Promise<void> {
    await this.process.stop();
  }

  private get domain(): string {
    return this.options.domain ?? `${this.place.address}:${this.place.sipPort}`;
  }

  /** The string must not end in a quoted value, else the display name is taken for part of the address. */
  private account(registerInterval: number, server = this.options.server): string {
    const { transport = 'udp', codecs = 'pcma,pcmu', answerMode = 'manual', account, password } = this.options;
    return [
      `"${this.options.displayName ?? this.name}" <sip:${this.username}@${this.domain}>`,
      `auth_user=${this.username}`,
      ...(password === undefined ? [] : [`auth_pass=${password}`]),
      ...(server === undefined ? [] : [`outbound="sip:${server};transport=${transport}"`]),
      `regint=${registerInterval}`,
      `audio_codecs=${codecs}`,
      `answermode=${answerMode}`,
      ...(account === undefined ? [] : [account]),
      'ptime=20',
    ].join(';');
  }

  private async reInvite(command: 'hold' | 'resume' | 'reinvite'): Promise<void> {
    const answers = (): number => this.trace().filter((message) => this.isReInviteAnswer(message)).length;
    const before = answers();
    await this.control.command(command);
    await eventually(`the re-INVITE of ${this.name} is answered`, answers, (count) => count > before);
  }

  private isReInviteAnswer({ way, text }: TracedMessage): boolean {
    return (
      way.includes(`-> ${this.place.address}:`) && /^SIP\/2\.0 [2-6]/.test(text) && /^CSeq: \d+ INVITE$/m.test(text)
    );
  }

  private async listen(
    what: string,
    tones: readonly number[],
    accept: (sound: Sound) => boolean,
    seconds = 0.5,
  ): Promise<void> {
    let heard: Sound = { rate: 8000, samples: new Float64Array(0) };
    const look = async (): Promise<string> => {
      heard = await this.hear(seconds);
      return describeSound(heard, tones);
    };
    await eventually(`${this.name} ${what}`, look, () => accept(heard), { every: 0 });
  }

  private recordings(): string[] {
    const folder = join(this.place.directory, 'rec');
    if (!existsSync(folder)) return [];
    return readdirSync(folder)
      .filter((file) => file.endsWith('-dec.wav'))
      .sort()
      .map((file) => join(folder, file));
  }
}
