import { systemClock, type Clock } from '../process/clock';
import type { Application } from './control/application';
import { ControlServer } from './control/control-server';
import { RouteTable } from './control/route-table';
import { CallEvents } from './core/call-events';
import { DEFAULT_TIMERS, type CoreContext, type SipTimers } from './core/context';
import { systemResolver, type Resolver } from './core/next-hop';
import { RegisteredContacts } from './core/registered-contacts';
import { SipCore } from './core/sip-core';
import type { ListenPoint } from './layers';
import { noLog, type Log } from './log';
import { createTransactionLayer } from './transaction';
import { createTransport } from './transport';

export { sipServerCommand } from './command';

export interface SipServerOptions {
  readonly listen: readonly ListenPoint[];
  /** Port 0: any free one. */
  readonly control: { readonly address: string; readonly port: number };
  /** Applications must know it. */
  readonly secret: string;
  readonly log?: Log;
  readonly clock?: Clock;
  readonly timers?: SipTimers;
  readonly resolve?: Resolver;
}

export interface RunningSipServer {
  readonly control: { readonly address: string; readonly port: number };
  readonly points: readonly ListenPoint[];
  /** What is going on, for tests and metrics. */
  readonly size: SipCore['size'];
  stop(): Promise<void>;
}

/** Starts the embedded SIP server: SIP listeners first, then the control port. Rejects when an address is taken. */
export async function runSipServer(options: SipServerOptions): Promise<RunningSipServer> {
  const clock = options.clock ?? systemClock;
  const log = options.log ?? noLog;
  const timers = options.timers ?? DEFAULT_TIMERS;
  const transport = createTransport({ clock, log });
  const transactions = createTransactionLayer({ transport, clock, timers, log });
  const routes = new RouteTable<Application>();
  const context: CoreContext = {
    transactions,
    clock,
    timers,
    routes,
    events: new CallEvents(routes, clock),
    contacts: new RegisteredContacts(),
    resolve: options.resolve ?? systemResolver,
    log,
  };
  const core = new SipCore(context);
  const server = new ControlServer({ secret: options.secret, clock, log }, core);
  const stop = async (): Promise<void> => {
    core.stop();
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
      stop,
    };
  } catch (error) {
    await stop().catch(() => undefined);
    throw error;
  }
}
