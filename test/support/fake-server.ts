import { once } from 'node:events';
import type { Server } from 'node:http';
import { KubeConfig } from '@kubernetes/client-node';

/** Lets a server listen on a free port, as the API server of the configuration that is returned. */
export async function listenAsApiServer(server: Server): Promise<KubeConfig> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const config = new KubeConfig();
  config.loadFromClusterAndUser(
    { name: 'fake', server: `http://127.0.0.1:${port}`, skipTLSVerify: true },
    { name: 'tester' },
  );
  return config;
}
