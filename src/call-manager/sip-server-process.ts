import { setTimeout as delay } from 'node:timers/promises';
import type { NodeConfig, SourceLimitsConfig } from '../config/types';
import type { Flows } from '../device/ports';
import type { ServerAddress } from '../sip/drachtio';
import { launchEmbeddedServer, type LaunchedServer } from '../sip-server/launcher';
import type { Logger } from '../telemetry/logger';
import type { Metrics } from '../telemetry/metrics';

const RESTART_PAUSE_MS = 250;

/** The SIP server of a node: a drachtio-server that is configured, or the embedded one, which this owns and restarts. */
export class SipServerProcess {
  /** Undefined: drachtio's control protocol has no word for connections. */
  readonly flows: Flows | undefined;
  private launching: Promise<LaunchedServer> | undefined;
  /** Process number of the embedded one. */
  pid: number | undefined;
  private readonly flowListeners: Parameters<Flows['onClosed']>[0][] = [];
  private stopped = false;
  /** The server does not answer: what phones do not say is not their fault. */
  private silent = false;

  constructor(
    private readonly options: {
      readonly node: NodeConfig;
      readonly limits: SourceLimitsConfig;
      /** Web pages that may open WebSockets. */
      readonly origins: readonly string[];
      /** Path of main.js, which the embedded server is a command of. */
      readonly entry: string;
      readonly log: Logger;
      readonly metrics: Metrics;
      /** As `LaunchOptions.flowOf`. */
      readonly flowOf: (dialog: string) => string | undefined;
      /** The server has become silent, or answers again. */
      readonly onSilent: (silent: boolean) => void;
    },
  ) {
    const flows: Flows = {
      onClosed: (listener) => void this.flowListeners.push(listener),
      close: (flow) => void this.launching?.then((server) => server.closeFlow(flow)).catch(() => undefined),
      isOpen: (flow) => this.isFlowOpen(flow),
    };
    this.flows = options.node.drachtio === 'embedded' ? flows : undefined;
  }

  /** Where it is; starts the embedded one when it is not running. Rejects when it cannot be started. */
  readonly address: ServerAddress = async () => {
    const { drachtio } = this.options.node;
    if (drachtio !== 'embedded') return drachtio;
    if (this.stopped) throw new Error('the node stops');
    this.launching ??= this.launch();
    try {
      const { host, port, secret, pid } = await this.launching;
      this.pid = pid;
      return { host, port, secret };
    } catch (error) {
      this.launching = undefined;
      throw error;
    }
  };

  /** It is there, and does not answer. */
  get isSilent(): boolean {
    return this.silent;
  }

  /** Also told by the user agent of a server that we have not started. */
  readonly setSilent = (silent: boolean, unansweredMs = 0): void => {
    if (silent === this.silent) return;
    this.silent = silent;
    const { log, metrics, onSilent } = this.options;
    if (silent) {
      log.error({ unansweredMs }, 'the SIP server does not answer: phones are not judged until it does');
      metrics.count('tandem_sip_server_silent_total');
    } else log.info({}, 'the SIP server answers again');
    onSilent(silent);
  };

  async stop(): Promise<void> {
    this.stopped = true;
    const server = await this.launching?.catch(() => undefined);
    await server?.stop();
  }

  private async isFlowOpen(flow: string): Promise<boolean> {
    const server = await this.launching?.catch(() => undefined);
    return server?.isFlowOpen(flow) ?? false;
  }

  private launch(): Promise<LaunchedServer> {
    const { node, entry, log, metrics } = this.options;
    return launchEmbeddedServer({
      entry,
      listen: node.listen,
      ...(node.tls === undefined ? {} : { tls: node.tls }),
      limits: this.options.limits,
      origins: this.options.origins,
      forceRport: node.forceRport,
      ...(node.address === undefined ? {} : { announced: node.address }),
      log,
      onFlowClosed: (flow) => {
        for (const listener of this.flowListeners) listener(flow);
      },
      flowOf: this.options.flowOf,
      onVerdict: (verdict, unansweredMs) => {
        this.setSilent(verdict !== 'good', unansweredMs);
        if (verdict === 'dead') log.error({ unansweredMs }, 'the embedded SIP server hangs: it is killed');
      },
      onExit: (reason) => {
        this.setSilent(false);
        log.error({ reason }, 'the embedded SIP server has ended; it is started again');
        metrics.count('tandem_sip_server_restarts_total');
        const ended = this.launching;
        void delay(RESTART_PAUSE_MS, undefined, { ref: false }).then(() => {
          if (this.launching === ended) this.launching = undefined;
        });
      },
    });
  }
}
