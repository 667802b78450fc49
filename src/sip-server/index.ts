import { systemClock, type Clock } from '../process/clock';
import type { Application } from './control/application';
import { ControlServer } from './control/control-server';
import { RouteTable } from './control/route-table';
import { Acquaintances } from './acquaintances';
import { CallEvents } from './core/call-events';
import { DEFAULT_TIMERS, type CoreContext, type SipTimers } from './core/context';
import { Deliveries } from './core/deliveries';
import { NamedFlows } from './core/named-flows';
import { SipCore } from './core/sip-core';
import { DEFAULT_SOURCE_LIMITS, SourceLimits, type SourceLimitOptions } from './core/source-limits';
import type { Flow, ListenPoint, TransportLayer } from './layers';
import { systemLocator, type Locate } from './locate';
import { noLog, type Log } from './log';
import { createTransactionLayer } from './transaction';
import { createTransport, type TlsFiles } from './transport';
import { type AskForFlow, PeerFlows } from './peer-flows';
import { Wakefulness } from './transport/wakefulness';

export { sipServerCommand } from './command';

export interface SipServerOptions {
  readonly listen: readonly ListenPoint[];
  /** Needed for `tls` and `wss` listeners. */
  readonly tls?: TlsFiles;
  /** Port 0: any free one. */
  readonly control: { readonly address: string; readonly port: number };
  /** Applications must know it. */
  readonly secret: string;
  /** Web pages that may open WebSockets: origins, hosts, `.domain`, `*`; undefined: all. */
  readonly origins?: readonly string[];
  /** As of the transports. */
  readonly forceRport?: boolean;
  /** What one source address may do. */
  readonly limits?: Partial<SourceLimitOptions>;
  readonly log?: Log;
  readonly clock?: Clock;
  readonly timers?: SipTimers;
  /** How host names are found; by the DNS of this machine when left out. */
  readonly locate?: Locate;
  /** As `AskForFlow`; the answer is given to `flowFound`. */
  readonly askForFlow?: AskForFlow;
  /** A flow that is watched is closed. */
  readonly onFlowClosed?: (flow: string) => void;
}

export interface RunningSipServer {
  readonly control: { readonly address: string; readonly port: number };
  readonly points: readonly ListenPoint[];
  /** What is going on, for tests and metrics. */
  readonly size: SipCore['size'];
  /** Transactions that are not yet terminated. */
  readonly transactions: { readonly client: number; readonly server: number };
  /** As `NamedFlows.close` and `NamedFlows.watch`. */
  closeFlow(flow: string): void;
  watchFlow(flow: string): boolean;
  /** As `PeerFlows.found`. */
  flowFound(id: number, flow: string | undefined): void;
  stop(): Promise<void>;
}

/**
 * About 13 KB each. Of what strangers were refused only the response is kept, so these are the requests of those who have
 * shown where they are: room for a thousand calls a second.
 */
const MAX_SERVER_TRANSACTIONS = 40_000;

/** Starts the embedded SIP server: SIP listeners first, then the control port. Rejects when an address is taken. */
export async function runSipServer(options: SipServerOptions): Promise<RunningSipServer> {
  const clock = options.clock ?? systemClock;
  const log = options.log ?? noLog;
  const timers = options.timers ?? DEFAULT_TIMERS;
  const limits = new SourceLimits({ ...DEFAULT_SOURCE_LIMITS, ...options.limits }, clock, log);
  const acquaintances = new Acquaintances(clock, (connection) => transport.keep(connection));
  const isKnown = (flow: Flow): boolean => acquaintances.standing(flow) === 'known';
  const transport: TransportLayer = limits.guard(
    createTransport({
      ...{ clock, log, isKnown },
      wakefulness: new Wakefulness(),
      ...(options.tls === undefined ? {} : { tls: options.tls }),
      ...(options.origins === undefined ? {} : { origins: options.origins }),
      ...(options.forceRport === true ? { forceRport: true } : {}),
    }),
  );
  const transactions = createTransactionLayer({
    transport,
    clock,
    timers,
    log,
    acquaintances,
    maxServerTransactions: MAX_SERVER_TRANSACTIONS,
  });
  const routes = new RouteTable<Application>();
  const flows = new NamedFlows(transport, (flow) => options.onFlowClosed?.(flow));
  const peerFlows = new PeerFlows(clock, options.askForFlow);
  const context: CoreContext = {
    transactions,
    clock,
    timers,
    routes,
    events: new CallEvents(routes, clock),
    acquaintances,
    deliveries: new Deliveries(clock),
    flows,
    peerFlows,
    locate: options.locate ?? systemLocator(clock),
    log,
  };
  const core = new SipCore(context);
  const server = new ControlServer({ secret: options.secret, clock, log }, core);
  const stop = async (): Promise<void> => {
    core.stop();
    peerFlows.stop();
    await server.close();
    await transactions.stop();
  };
  try {
    const points = await transactions.start(options.listen, core);
    const control = await server.listen(options.control.address, options.control.port);
    return {
      control,
      points,
      get size() {
        return core.size;
      },
      get transactions() {
        return transactions.open;
      },
      closeFlow: (flow) => flows.close(flow),
      watchFlow: (flow) => flows.watch(flow),
      flowFound: (id, flow) => peerFlows.found(id, flow),
      stop,
    };
  } catch (error) {
    await stop().catch(() => undefined);
    throw error;
  }
}
