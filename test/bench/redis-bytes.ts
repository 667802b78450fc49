import { createClient } from 'redis';

/** Bytes that this Redis has sent to its clients so far. */
export async function redisBytes(port: number): Promise<number> {
  const client = createClient({ url: `redis://127.0.0.1:${port}` });
  client.on('error', () => undefined);
  await client.connect();
  try {
    const info = await client.info('stats');
    return Number(/total_net_output_bytes:(\d+)/.exec(info)?.[1]);
  } finally {
    client.destroy();
  }
}
