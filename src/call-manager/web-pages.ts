import type { NodeConfig, TandemConfig } from '../config/types';
import { configuredHosts, SipDomain } from '../sip/domain';

/**
 * The pages that may open a WebSocket to a node: those of the configuration, else those of this exchange: of its domain and what is
 * below it, and of the names and addresses of its nodes.
 */
export function allowedPages({ cluster, ...config }: TandemConfig, { listen }: NodeConfig): readonly string[] {
  if (cluster.webSocketOrigins !== undefined) return cluster.webSocketOrigins;
  const domain = new SipDomain(cluster.domain, configuredHosts({ cluster, ...config }));
  for (const { address } of listen) domain.addListener(address);
  return [`.${cluster.domain.toLowerCase()}`, ...domain.all()];
}
